//! What a failed lab leaves for whoever has to find out why: a folder, and in it who ran on what.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use jiff::Zoned;
use lab_cli::Paths;

use crate::{
    caller::{self, OPEN, as_caller},
    cmd::Cmd,
};

/// So many of them are kept: each holds some MB of logs.
const KEPT: usize = 10;

/// Makes the folder and begins it.
pub fn begin(paths: &Paths, cluster: &str, lab: u8) -> Result<PathBuf> {
    let folder = folder(paths, &format!("lab{lab}"))?;
    let (file, kernel) = (folder.join("versions.txt"), Cmd::new("uname").arg("-a").read().unwrap_or_default());
    let versions = format!(
        "lab {}\nkernel {kernel}\nprograms {}\ncluster {cluster}\n",
        env!("CARGO_PKG_VERSION"),
        paths.programs.display()
    );
    caller::write(&file, versions, OPEN)?;
    Ok(folder)
}

/// A new folder for what is left, named by the time and by what it is of; the oldest beyond [`KEPT`] go.
pub fn folder(paths: &Paths, of: &str) -> Result<PathBuf> {
    let now = Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let folder = paths.reports().join(format!("{now}-{of}-{}", std::process::id()));
    caller::folder(&folder)?;
    as_caller(|| prune(&paths.reports()));
    Ok(folder)
}

/// Their names begin with the time.
fn prune(reports: &Path) {
    let entries = fs::read_dir(reports).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir() && !path.is_symlink()).collect();
    folders.sort();
    for old in folders.iter().rev().skip(KEPT) {
        // What can't be removed is in nobody's way.
        let _ = fs::remove_dir_all(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ten_are_kept() {
        let reports = tempfile::tempdir().unwrap();
        let made: Vec<_> =
            (10..32).map(|second| reports.path().join(format!("20260101-0000{second}-lab2-7"))).collect();
        made.iter().for_each(|folder| fs::create_dir_all(folder.join("components")).unwrap());
        fs::write(reports.path().join("a-file"), "").unwrap();
        prune(reports.path());
        let left: Vec<_> = made.iter().filter(|folder| folder.exists()).cloned().collect();
        assert_eq!(left, made[made.len() - KEPT..]);
        assert!(reports.path().join("a-file").exists(), "only folders of ours go");
    }
}

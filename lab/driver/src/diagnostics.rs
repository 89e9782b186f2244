//! What a failed lab leaves for whoever has to find out why: a folder, and in it who ran on what.

use std::path::PathBuf;

use anyhow::Result;
use interface::Paths;
use jiff::Zoned;

use crate::{
    caller::{self, OPEN},
    cmd::Cmd,
};

/// Makes the folder and begins it.
pub fn begin(paths: &Paths, cluster: &str, lab: u8) -> Result<PathBuf> {
    let folder = paths.reports().join(format!("{}-lab{lab}", Zoned::now().strftime("%Y%m%d-%H%M%S")));
    caller::folder(&folder)?;
    let (file, kernel) = (folder.join("versions.txt"), Cmd::new("uname").arg("-a").read().unwrap_or_default());
    let versions = format!(
        "lab {}\nkernel {kernel}\nprograms {}\ncluster {cluster}\n",
        env!("CARGO_PKG_VERSION"),
        paths.programs.display()
    );
    caller::write(&file, versions, OPEN)?;
    Ok(folder)
}

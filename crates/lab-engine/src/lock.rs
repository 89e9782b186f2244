//! One `lab` at a time works on a cluster; the second is told who does.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use jiff::Zoned;
use lab_cli::Paths;
use nix::fcntl::OFlag;

use crate::{
    caller::{self, SECRET, as_caller},
    error::Busy,
};

/// Held until it is dropped; a process that is killed holds nothing.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the user's lock of the cluster of this name.
///
/// # Errors
/// [`Busy`], naming the holder, if another `lab` has it.
pub fn take(paths: &Paths, cluster: &str) -> Result<Lock> {
    let path = paths.kubeconfig(cluster).with_file_name("lock");
    caller::folder(path.parent().context("a lock lies in a folder")?)?;
    hold(open(&path)?)
}

/// Opens a file of the user's to be locked.
pub fn open(path: &Path) -> Result<File> {
    as_caller(|| open_roots(path))
}

/// Opens a file in a folder of root's to be locked. It stays the same file, which a link could be to any other.
pub fn open_roots(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(SECRET).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(path).with_context(|| format!("failed to open {}", path.display()))
}

/// Locks a file, and writes into it by whom it is held.
///
/// # Errors
/// [`Busy`], naming the holder, if another process has it.
pub fn hold(mut file: File) -> Result<Lock> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).context("failed to read who holds the lock")?;
            return Err(Busy { holder: holder.trim().to_owned() }.into());
        }
        Err(TryLockError::Error(error)) => return Err(error).context("failed to take the cluster's lock"),
    }
    let line: Vec<_> = std::env::args().skip(1).collect();
    file.set_len(0)?;
    file.rewind()?;
    let since = Zoned::now().strftime("%H:%M:%S").to_string();
    write!(file, "process {}, `lab {}`, since {since}", std::process::id(), line.join(" "))?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_second_holder_is_told_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = hold(open(&path).unwrap()).unwrap();
        let busy = hold(open(&path).unwrap()).unwrap_err();
        assert!(busy.to_string().contains(&format!("process {}", std::process::id())), "{busy}");
        drop(first);
        hold(open(&path).unwrap()).unwrap();
    }

    #[test]
    fn a_link_in_a_locks_place_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("lock"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, "untouched").unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(open(&path).is_err());
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "untouched");
    }
}

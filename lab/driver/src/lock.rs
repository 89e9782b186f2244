//! One `lab` at a time works on a cluster; the second is told who does.

use std::{
    fs::{self, File, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
};

use anyhow::{Context, Result};
use interface::Paths;
use jiff::Zoned;

use crate::{caller::give_to_caller, error::Busy};

/// Held until it is dropped; a process that is killed holds nothing.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock of the cluster of this name.
///
/// # Errors
/// [`Busy`], naming the holder, if another `lab` has it.
pub fn take(paths: &Paths, cluster: &str) -> Result<Lock> {
    let kubeconfig = paths.kubeconfig(cluster);
    let folder = kubeconfig.parent().context("a kubeconfig lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    let path = folder.join("lock");
    let mut options = File::options();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    give_to_caller(&[&paths.state, folder, &path])?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).context("read who holds the lock")?;
            return Err(Busy { holder: holder.trim().to_owned() }.into());
        }
        Err(TryLockError::Error(error)) => return Err(error).context("take the cluster's lock"),
    }
    let line: Vec<_> = std::env::args().skip(1).collect();
    file.set_len(0)?;
    file.rewind()?;
    write!(
        file,
        "process {}, `lab {}`, since {}",
        std::process::id(),
        line.join(" "),
        Zoned::now().strftime("%H:%M:%S")
    )?;
    Ok(Lock { _file: file })
}

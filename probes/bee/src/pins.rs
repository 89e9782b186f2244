//! Names for what a probe has in the kernel, its maps and programs, in a BPF file system, where other tools find them.
//!
//! The names go when the run ends. They are all that survives `kill -9`, and the next run takes them over.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::labels::label_name;
use crate::probe::Probe;
use crate::raw;

/// Where the names go, if anywhere.
#[derive(Debug, Clone, Default)]
pub struct PinOptions {
    pub maps: Option<PathBuf>,
    pub programs: Option<PathBuf>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{0} is in no BPF file system: choose a folder in one, or mount it: mkdir -p /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf"
    )]
    NoFileSystem(PathBuf),
    #[error("can't make the folder {folder}")]
    Folder { folder: PathBuf, source: io::Error },
    #[error("can't replace {path}, which an earlier run may have left")]
    Replace { path: PathBuf, source: io::Error },
    #[error("can't pin {name} to {path}")]
    Pin { name: String, path: PathBuf, source: io::Error },
}

/// Names that were given; dropping this takes them away.
#[derive(Default)]
pub struct Pins {
    paths: Vec<PathBuf>,
    /// Those that were made for it, the outer ones first.
    folders: Vec<PathBuf>,
}

impl PinOptions {
    /// Sees that there can be names at all, before anything is loaded.
    pub fn check(&self) -> Result<(), Error> {
        [&self.maps, &self.programs].into_iter().flatten().try_for_each(|folder| check(folder))
    }
}

fn check(folder: &Path) -> Result<(), Error> {
    let folder = std::path::absolute(folder).map_err(|source| Error::Folder { folder: folder.to_owned(), source })?;
    let there = folder.ancestors().find(|ancestor| ancestor.exists());
    let kind = there.and_then(|there| statfs(there).ok()).map(|found| found.filesystem_type());
    if kind == Some(BPF_FS_MAGIC) { Ok(()) } else { Err(Error::NoFileSystem(folder)) }
}

impl Pins {
    /// Gives names to the maps and programs of probes. Where there are several, each has a folder of its own.
    pub fn new(options: &PinOptions, probes: &[(&str, &Probe)]) -> Result<Self, Error> {
        let mut pins = Self::default();
        for (name, probe) in probes {
            let own = |folder: &PathBuf| if probes.len() > 1 { folder.join(label_name(name)) } else { folder.clone() };
            if let Some(folder) = options.maps.as_ref().map(own) {
                pins.make(&folder)?;
                for (name, map) in probe.named_maps() {
                    pins.pin(&folder, &name, |path| raw::pin(map.as_fd(), path))?;
                }
            }
            if let Some(folder) = options.programs.as_ref().map(own) {
                pins.make(&folder)?;
                for (name, program) in probe.programs() {
                    pins.pin(&folder, &name, |path| raw::pin(program.as_fd(), path))?;
                }
            }
        }
        Ok(pins)
    }

    fn make(&mut self, folder: &Path) -> Result<(), Error> {
        let missing: Vec<_> =
            folder.ancestors().take_while(|ancestor| !ancestor.exists()).map(Path::to_owned).collect();
        fs::create_dir_all(folder).map_err(|source| Error::Folder { folder: folder.to_owned(), source })?;
        self.folders.extend(missing.into_iter().rev());
        Ok(())
    }

    fn pin(&mut self, folder: &Path, name: &str, pin: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), Error> {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(Error::Replace { path, source }),
            _ => {}
        }
        pin(&path).map_err(|source| Error::Pin { name: name.to_owned(), path: path.clone(), source })?;
        self.paths.push(path);
        Ok(())
    }
}

impl Drop for Pins {
    /// What is gone already, or a folder that somebody else has put something into, is left alone.
    fn drop(&mut self) {
        self.paths.iter().for_each(|path| drop(fs::remove_file(path)));
        self.folders.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

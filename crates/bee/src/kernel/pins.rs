//! Names for what a probe has in the kernel, its maps and programs, in a BPF file system, where other tools find them.
//!
//! The names go when the run ends, however it does: `kill -9` leaves no time to take them away, so another process waits for the end and
//! does it. Only where that one is killed too, or the machine stops, do names stay; the next run takes them over.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::decode::labels::label_name;
use crate::kernel::probe::Probe;
use crate::kernel::sys;

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
    #[error("failed to make the folder {folder}")]
    Folder { folder: PathBuf, source: io::Error },
    #[error("failed to replace {path}, which an earlier run may have left")]
    Replace { path: PathBuf, source: io::Error },
    #[error("failed to pin {name} to {path}")]
    Pin { name: String, path: PathBuf, source: io::Error },
    #[error("failed to start the process that takes pins away again")]
    Keeper(#[source] io::Error),
}

/// The argument with which this program is the one that waits, see [`take_away`].
pub const KEEPER: &str = "take-pins-away";

/// Names that were given; dropping this takes them away.
#[derive(Default)]
pub struct Pins {
    keeper: Option<Keeper>,
}

/// The process that waits.
struct Keeper {
    process: Child,
    /// Paths go there, each ended by a zero; it ends with this process.
    paths: Option<ChildStdin>,
}

impl PinOptions {
    /// Sees that there can be names at all, before anything is loaded.
    pub fn check(&self) -> Result<(), Error> {
        for folder in [&self.maps, &self.programs].into_iter().flatten() {
            check(folder)?;
        }
        Ok(())
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
            let own = (probes.len() > 1).then_some(*name);
            if let Some(folder) = &options.maps {
                let folder = folder_of(own, folder);
                pins.make(&folder)?;
                for (name, map) in probe.named_maps() {
                    pins.pin(&folder, &name, |path| sys::pin(map.as_fd(), path))?;
                }
            }
            if let Some(folder) = &options.programs {
                let folder = folder_of(own, folder);
                pins.make(&folder)?;
                for (name, program) in probe.programs() {
                    pins.pin(&folder, &name, |path| sys::pin(program.as_fd(), path))?;
                }
            }
        }
        Ok(pins)
    }

    fn make(&mut self, folder: &Path) -> Result<(), Error> {
        let missing: Vec<_> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
        // The outer ones first.
        for folder in missing.into_iter().rev() {
            self.note(folder)?;
        }
        fs::create_dir_all(folder).map_err(|source| Error::Folder { folder: folder.to_owned(), source })
    }

    fn pin(&mut self, folder: &Path, name: &str, pin: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), Error> {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(Error::Replace { path, source }),
            _ => {}
        }
        self.note(&path)?;
        pin(&path).map_err(|source| Error::Pin { name: name.to_owned(), path, source })
    }

    /// Has a path taken away at the end, which is not there yet.
    fn note(&mut self, path: &Path) -> Result<(), Error> {
        let keeper = match &mut self.keeper {
            Some(keeper) => keeper,
            none => none.insert(Keeper::start().map_err(Error::Keeper)?),
        };
        keeper.note(path).map_err(Error::Keeper)
    }
}

fn folder_of(probe: Option<&str>, folder: &Path) -> PathBuf {
    match probe {
        Some(name) => folder.join(label_name(name)),
        None => folder.to_owned(),
    }
}

impl Keeper {
    fn start() -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        // Ctrl-C is for the run: this one is to outlive it. What the run prints to, it does not keep open.
        command.arg(KEEPER).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        Ok(Self { paths: process.stdin.take(), process })
    }

    fn note(&mut self, path: &Path) -> io::Result<()> {
        match &mut self.paths {
            Some(paths) => paths.write_all(&[path.as_os_str().as_bytes(), &[0]].concat()),
            None => Ok(()),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.paths.take());
        let _ = self.process.wait();
    }
}

/// What the process that waits does: reads paths until whoever writes them is no more, and removes them, the last ones first. What is
/// gone already, or a folder that somebody else has put something into, is left alone.
///
/// # Errors
/// The paths can't be read.
pub fn take_away(mut input: impl Read) -> io::Result<()> {
    let mut paths = vec![];
    input.read_to_end(&mut paths)?;
    for path in paths.split(|byte| *byte == 0).rev().filter(|path| !path.is_empty()) {
        let path = Path::new(OsStr::from_bytes(path));
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
    }
    Ok(())
}

//! What programs say with `bpf_printk`, from a trace buffer of our own.
//!
//! `trace_pipe` itself has what all programs of the machine say, and whoever reads it takes it from other readers. So bee makes an instance
//! (<https://docs.kernel.org/trace/ftrace.html#instances>) in which nothing but the event `bpf_trace_printk` is recorded, each with its
//! stack: the innermost BPF program there is the one that spoke.

mod code;
mod entry;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

use serde::{Deserialize, Serialize};

use crate::kernel::probe::Probe;
use code::Code;
use entry::{Caller, Entries, Said};

/// What one look takes at the most; the rest waits for the next.
const AT_ONCE: usize = 1 << 16;
/// For each CPU; the kernel's own default is 1.4 MB.
const BUFFER_KILOBYTES: &str = "256";
/// What names of instances begin with; the process's number follows.
const NAME: &str = "bee-";
const EVENT: &str = "events/bpf_trace/bpf_trace_printk/enable";
/// The most of the list of mounts that is read.
const MOUNTS: u64 = 1 << 20;

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("--trace-pipe needs tracefs, which is not mounted: mount -t tracefs tracefs /sys/kernel/tracing")]
    NotMounted,
    #[error("--trace-pipe is not supported: this kernel has no event bpf_trace_printk, which came with Linux 5.9")]
    NoEvent,
    #[error("failed to create the trace buffer {path}")]
    Instance { path: PathBuf, source: io::Error },
    #[error("failed to set up {path}")]
    SetUp { path: PathBuf, source: io::Error },
}

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which of the run's probes, and its program; nobody knows where the kernel gives no stack.
    pub whose: Option<(usize, String)>,
    pub comm: String,
    pub pid: u32,
    pub text: String,
}

impl Line {
    /// `curl-7`, as the kernel writes it.
    pub fn process(&self) -> String {
        format!("{}-{}", self.comm, self.pid)
    }
}

/// A trace buffer of our own, which is gone when this is dropped.
pub struct TracePipe {
    directory: PathBuf,
    /// Open as long as the instance is.
    pipe: Option<File>,
    entries: Entries,
    programs: Vec<Code>,
}

impl TracePipe {
    /// From now on everything is recorded.
    pub fn open() -> Result<Self, Error> {
        let instances = tracefs().ok_or(Error::NotMounted)?.join("instances");
        remove_leftovers(&instances);
        let directory = instances.join(format!("{NAME}{}", process::id()));
        fs::create_dir(&directory).map_err(|source| Error::Instance { path: directory.clone(), source })?;
        let mut made = Self { directory, pipe: None, entries: Entries::default(), programs: vec![] };
        if !made.directory.join(EVENT).exists() {
            return Err(Error::NoEvent);
        }
        made.set("buffer_size_kb", BUFFER_KILOBYTES)?;
        // A kernel without these tells no stacks: then all is shown.
        for option in ["options/stacktrace", "options/sym-addr"] {
            let _ = made.set(option, "1");
        }
        let path = made.directory.join("trace_pipe");
        let pipe = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
        made.pipe = Some(pipe.map_err(|source| Error::SetUp { path, source })?);
        made.set(EVENT, "1")?;
        Ok(made)
    }

    /// Whose lines are shown. Returns whether the kernel lets one tell them from others'.
    pub fn listen_to(&mut self, probes: &[Probe]) -> bool {
        for (probe, running) in probes.iter().enumerate() {
            self.programs.extend(code::of(probe, running));
        }
        let is_known = !self.programs.is_empty() && self.programs.iter().all(|code| !code.ranges.is_empty());
        is_known && self.is_set("options/stacktrace") && self.is_set("options/sym-addr")
    }

    /// What was said since the last look, up to a bound.
    pub fn read(&mut self) -> Vec<Line> {
        let mut bytes = vec![0; AT_ONCE];
        let Some(Ok(length)) = self.pipe.as_mut().map(|pipe| pipe.read(&mut bytes)) else { return vec![] };
        let said = self.entries.take(&bytes[..length]);
        self.lines(said)
    }

    /// What is left at the end.
    pub fn rest(&mut self) -> Vec<Line> {
        let mut lines = self.read();
        let said = self.entries.rest();
        lines.extend(self.lines(said));
        lines
    }

    /// How many lines the kernel had no room for.
    pub fn lost(&self) -> u64 {
        self.entries.lost
    }

    /// Those of our programs, and those of which nobody knows whose they are.
    fn lines(&self, said: Vec<Said>) -> Vec<Line> {
        let mut lines = vec![];
        for Said { comm, pid, text, caller } in said {
            let whose = match caller {
                Caller::Unknown => None,
                Caller::Program(address) => match self.program_at(address) {
                    None => continue,
                    found => found,
                },
            };
            // The kernel ends the line by itself, and many programs do as well.
            let text = text.trim_end_matches('\n').to_owned();
            lines.push(Line { whose, comm, pid, text });
        }
        lines
    }

    fn program_at(&self, address: u64) -> Option<(usize, String)> {
        for Code { probe, program, ranges } in &self.programs {
            if ranges.iter().any(|(first, last)| (*first..=*last).contains(&address)) {
                return Some((*probe, program.clone()));
            }
        }
        None
    }

    fn set(&self, file: &str, value: &str) -> Result<(), Error> {
        let path = self.directory.join(file);
        fs::write(&path, value).map_err(|source| Error::SetUp { path, source })
    }

    fn is_set(&self, option: &str) -> bool {
        fs::read_to_string(self.directory.join(option)).is_ok_and(|value| value.trim() == "1")
    }
}

impl Drop for TracePipe {
    fn drop(&mut self) {
        // The kernel removes none that is being read.
        self.pipe = None;
        let _ = fs::remove_dir(&self.directory);
    }
}

/// Where tracefs is mounted: at the usual place, or at any other.
fn tracefs() -> Option<PathBuf> {
    for usual in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
        if Path::new(usual).join("instances").is_dir() {
            return Some(usual.into());
        }
    }
    let mut mounts = String::new();
    File::open("/proc/self/mounts").ok()?.take(MOUNTS).read_to_string(&mut mounts).ok()?;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        if let (_, Some(place), Some("tracefs")) = (words.next(), words.next(), words.next()) {
            return Some(place.into());
        }
    }
    None
}

/// Removes the buffers of runs that were killed. The kernel keeps those that are being read, as by a process of another PID namespace.
fn remove_leftovers(instances: &Path) {
    let Ok(entries) = fs::read_dir(instances) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(pid) = name.strip_prefix(NAME)
            && !Path::new("/proc").join(pid).exists()
        {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

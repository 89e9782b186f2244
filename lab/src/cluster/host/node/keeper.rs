//! The keeper: starts a node, and starts it again when it ends.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    process::Stdio,
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result};
use manners::print;

use super::{Place, enter};
use crate::{
    cluster::host::cgroups,
    cmd::{self, Cmd},
};

/// The rest between the end of a node and its next start.
const REST: Duration = Duration::from_millis(500);

/// Starts a node's keeper as a process of its own, unless it runs.
pub fn start(place: &Place) -> Result<()> {
    if is_kept(place) {
        return Ok(());
    }
    let log = log(place)?;
    let keeper = Cmd::new(place.folders.bin().join("lab")).args(place.arguments("keep")).with(|command| {
        // Ctrl-C in the terminal that started the cluster is not meant for it.
        command.process_group(0).env_clear().env("PATH", path(place));
    });
    let child = keeper.spawn(Stdio::from(log.try_clone()?), Stdio::from(log))?;
    fs::write(place.folders.keeper(place.name()), child.id().to_string()).context("note the keeper's process id")
}

/// Whether a node's keeper is alive; a process that took over its number is another program.
pub fn is_kept(place: &Place) -> bool {
    let pid = fs::read_to_string(place.folders.keeper(place.name())).unwrap_or_default();
    is_step(&pid, "keep", place)
}

fn is_step(pid: &str, step: &str, place: &Place) -> bool {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments: Vec<_> = line.trim_end_matches('\0').split('\0').skip(1).collect();
    !pid.is_empty() && arguments == place.arguments(step)
}

/// The body of the keeper's process.
pub fn run(place: &Place) -> Result<()> {
    cgroups::join(place.number, "keepers")?;
    // An earlier keeper was killed and its node lives on: that node is kept, too.
    while orphan(place) {
        sleep(REST);
    }
    loop {
        let log = log(place)?;
        cgroups::remove_leftovers(place.number, place.name())?;
        let node = Cmd::new(place.folders.bin().join("lab")).args(place.arguments("enter"));
        let ended = node.spawn(Stdio::from(log.try_clone()?), Stdio::from(log))?.wait()?;
        print::note(format!("{} ended ({ended}), starting it again", place.name()));
        sleep(REST);
    }
}

fn orphan(place: &Place) -> bool {
    let processes = cgroups::processes(place.number);
    processes.iter().any(|(pid, _)| is_step(&pid.to_string(), "enter", place) && enter::is_alive(*pid))
}

fn log(place: &Place) -> Result<File> {
    let path = place.folders.logs().join(format!("{}.log", place.name()));
    File::options().create(true).append(true).open(&path).with_context(|| format!("open {}", path.display()))
}

/// The cluster's own programs first, and the tools that were linked beside them.
fn path(place: &Place) -> String {
    format!("{}:{}", place.folders.bin().display(), cmd::path())
}

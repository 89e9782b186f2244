//! The keeper: starts a node, and starts it again when it ends.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    process::Stdio,
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result};
use clikit::print;

use super::{Place, enter};
use crate::{
    cluster::host::{cgroups, held},
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
    keeper.spawn(Stdio::from(log.try_clone()?), Stdio::from(log))?;
    Ok(())
}

/// Whether a node's keeper is alive.
pub fn is_kept(place: &Place) -> bool {
    held::holder(&place.folders.keeper(place.name())).is_some()
}

fn is_step(pid: i32, step: &str, place: &Place) -> bool {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments: Vec<_> = line.trim_end_matches('\0').split('\0').skip(1).collect();
    arguments == place.arguments(step)
}

/// The body of the keeper's process.
pub fn run(place: &Place) -> Result<()> {
    held::close_inherited();
    let Some(_held) = held::hold(&place.folders.keeper(place.name()))? else { return Ok(()) };
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
    processes.iter().any(|(pid, _)| is_step(*pid, "enter", place) && enter::is_alive(*pid))
}

fn log(place: &Place) -> Result<File> {
    let path = place.folders.logs().join(format!("{}.log", place.name()));
    File::options().create(true).append(true).open(&path).with_context(|| format!("failed to open {}", path.display()))
}

/// The cluster's own programs first, and the tools that were linked beside them.
fn path(place: &Place) -> String {
    format!("{}:{}", place.folders.bin().display(), cmd::path())
}

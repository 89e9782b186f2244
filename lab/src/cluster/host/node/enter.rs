//! Makes a node's namespaces, starts process 1 in them and waits for its end.

use std::{fs, fs::File, process::Stdio};

use anyhow::{Context, Result};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    sys::{prctl::set_pdeathsig, signal::Signal},
};

use super::Place;
use crate::{
    cluster::host::{cgroups, network::Network},
    cmd::Cmd,
};

pub fn run(place: &Place) -> Result<()> {
    cgroups::join(place.number, place.name())?;
    let network = Network::new(place.number).namespace_file(place.name());
    let network = File::open(&network).with_context(|| format!("open the network namespace {}", network.display()))?;
    setns(network, CloneFlags::CLONE_NEWNET).context("enter the node's network namespace")?;
    let namespaces =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWCGROUP;
    unshare(namespaces).context("make the node's namespaces")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("keep the node's mounts to itself")?;
    let init = Cmd::new(place.folders.bin().join("lab")).args(place.arguments("init"));
    let mut init = init.spawn(Stdio::inherit(), Stdio::inherit())?;
    // A version 2 group that has processes can't give controllers to groups below it; init moves out of it as well.
    cgroups::join(place.number, "keepers")?;
    let ended = init.wait()?;
    anyhow::bail!("process 1 of {} ended ({ended})", place.name())
}

/// Called first in process 1: when the process outside ends, so does the node.
pub fn end_with_parent() -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("tie the node to the process that made it")
}

/// Whether a process runs and is not just waiting to be reaped.
pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

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

/// This process stays in the keepers' cgroup: a version 2 group that has processes can't give controllers to the groups below it.
pub fn run(place: &Place) -> Result<()> {
    let network = Network::new(place.number).namespace_file(place.name());
    let network =
        File::open(&network).with_context(|| format!("failed to open the network namespace {}", network.display()))?;
    setns(network, CloneFlags::CLONE_NEWNET).context("failed to enter the node's network namespace")?;
    let namespaces = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS;
    unshare(namespaces).context("failed to make the node's namespaces")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("failed to keep the node's mounts to itself")?;
    let init = Cmd::new(place.folders.bin().join("lab")).args(place.arguments("init"));
    let ended = init.spawn(Stdio::inherit(), Stdio::inherit())?.wait()?;
    anyhow::bail!("process 1 of {} ended ({ended})", place.name())
}

/// Called first in process 1: when the process outside ends, so does the node.
pub fn end_with_parent() -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("failed to tie the node to the process that made it")
}

/// Makes the node's cgroups the root of all that process 1 and its children see.
///
/// Process 1 joins them before it has a cgroup namespace, while no group is out of its reach: where cgroup2 is mounted with
/// `nsdelegate`, as systemd does, nobody moves a process across the border of a namespace.
pub fn own_cgroups(place: &Place) -> Result<()> {
    cgroups::join(place.number, place.name())?;
    unshare(CloneFlags::CLONE_NEWCGROUP).context("failed to make the node's cgroup namespace")
}

/// Whether a process runs and is not just waiting to be reaped.
pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

//! Whether the kernel has inotify instances left for a new cluster. Without them its kubelets end, again and again.

use anyhow::Result;
use lab_cli::inotify;
use procfs::process::{FDTarget, Process, all_processes};

use super::node::{self, Place};
use crate::{cmd::Here, error::refusal};

/// # Errors
/// What root's processes have and what a cluster takes is more than a user may have.
pub fn see_room(places: &[Place]) -> Result<()> {
    // Nodes that run have theirs.
    if places.iter().any(node::is_kept) {
        return Ok(());
    }
    inotify::obstacle(&Here, in_use()).map_or(Ok(()), |obstacle| Err(refusal(obstacle)))
}

/// How many instances root's processes have. Two that share one are counted twice.
fn in_use() -> usize {
    let roots =
        all_processes().into_iter().flatten().flatten().filter(|process| process.uid().is_ok_and(|uid| uid == 0));
    roots.map(|process| instances(&process)).sum()
}

/// Of one that has ended meanwhile: none.
fn instances(process: &Process) -> usize {
    let open = process.fd().into_iter().flatten().flatten();
    open.filter(|open| matches!(&open.target, FDTarget::AnonInode(kind) if kind == "inotify")).count()
}

//! The kernel's inotify instances, of which root has a limited number: what a cluster takes of them, and what becomes of one that gets
//! none.

use std::{path::Path, time::Duration};

use lab_cli::{inotify, patience::stretched};
use nix::sys::{
    inotify::{InitFlags, Inotify},
    signal::Signal,
};
use procfs::process::{FDTarget, Process};
use testkit::{TestCluster, rest};

use crate::{
    Scene,
    recovery::{all_processes, processes, signal},
};

/// On the cluster that has every lab.
pub const FIRST: &[(&str, Scene)] = &[("a_cluster_takes_no_more_inotify_instances_than_are_kept_for_it", taken)];

pub const SCENES: &[(&str, Scene)] = &[
    ("a_cluster_for_which_too_few_are_left_is_refused", refused),
    ("kubelets_that_get_none_are_named_with_what_fixes_it", starved),
];

fn taken(cluster: &TestCluster) {
    let processes = all_processes(cluster);
    let taken: usize = processes.into_iter().map(instances).sum();
    eprintln!("inotify instances of a cluster with every lab: {taken}");
    assert!((10..=inotify::OF_A_CLUSTER).contains(&taken), "{taken}");
}

fn refused(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let held = take_all_but(inotify::OF_A_CLUSTER - 10);
    let run = cluster.lab(&["lab", "2"]);
    drop(held);
    assert!(run.code == 4 && run.stderr.contains("inotify instances"), "{}", run.stderr);
    assert!(run.stderr.contains(inotify::FIX), "{}", run.stderr);
    assert!(!Path::new(&format!("/var/lib/ebpf-lab/{}", cluster.number)).exists(), "nothing was made");
}

fn starved(cluster: &TestCluster) {
    cluster.lab(&["lab", "2"]).succeeds();
    let held = take_all_but(0);
    signal(&processes(cluster, "kubelet"), Signal::SIGKILL);
    // They are started again a little later than they end.
    rest(Duration::from_millis(100));
    let theirs = take_all_but(0);
    assert!(theirs.len() > 3, "{}", theirs.len());
    let run = cluster.lab(&["lab", "2"]);
    drop((held, theirs));
    assert!(run.code == 4 && run.stderr.contains("kubelet of node ebpf-"), "{}", run.stderr);
    assert!(run.stderr.contains("keeps ending") && run.stderr.contains(inotify::FIX), "{}", run.stderr);
    assert!(stretched(Duration::from_secs(120)) > run.took, "it took {:?}", run.took);
    cluster.lab(&["lab", "2"]).succeeds();
    cluster.passes("2", "60s");
}

/// Takes instances until so many are left.
fn take_all_but(left: usize) -> Vec<Inotify> {
    let mut taken: Vec<_> = std::iter::from_fn(|| Inotify::init(InitFlags::IN_CLOEXEC).ok()).collect();
    taken.truncate(taken.len().saturating_sub(left));
    taken
}

fn instances(process: i32) -> usize {
    let open = Process::new(process).and_then(|process| process.fd()).into_iter().flatten().flatten();
    open.filter(|open| matches!(&open.target, FDTarget::AnonInode(kind) if kind == "inotify")).count()
}

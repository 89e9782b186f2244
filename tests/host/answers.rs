//! Who gives no answer any more is named at once, with what to do.

use std::{process::Command, time::Duration};

use lab_cli::patience::stretched;
use nix::sys::signal::Signal;
use testkit::{TestCluster, until};

use crate::{
    Scene,
    recovery::{processes, signal},
};

pub const SCENES: &[(&str, Scene)] = &[
    ("an_api_server_that_hangs_is_said_to_at_once", hangs),
    ("an_etcd_whose_data_are_damaged_is_named_and_ends_the_waiting", damaged),
];

fn hangs(cluster: &TestCluster) {
    cluster.lab(&["lab", "2"]).succeeds();
    let api_servers = processes(cluster, "kube-apiserver");
    signal(&api_servers, Signal::SIGSTOP);
    let run = cluster.lab(&["check", "2", "--wait", "0s"]);
    signal(&api_servers, Signal::SIGCONT);
    assert!(run.code == 3 && run.stderr.contains("the API server does not answer"), "{}", run.stderr);
    assert!(stretched(Duration::from_secs(15)) > run.took, "it took {:?}", run.took);
    cluster.passes("2", "60s");
}

fn damaged(cluster: &TestCluster) {
    cluster.lab(&["lab", "2"]).succeeds();
    let data = format!("/var/lib/ebpf-lab/{}/etcd/member", cluster.number);
    let script = format!(
        "for file in {data}/snap/db {data}/wal/*.wal; do dd if=/dev/urandom of=$file bs=4096 count=64 conv=notrunc; done"
    );
    let etcd = processes(cluster, "etcd");
    signal(&etcd, Signal::SIGSTOP);
    Command::new("sh").args(["-c", &script]).output().unwrap();
    signal(&etcd, Signal::SIGKILL);
    let words = "etcd of node ebpf-control-plane keeps ending";
    let says = |arguments: &[&str]| {
        let run = cluster.lab(arguments);
        run.code != 0 && run.stderr.contains(words) && run.stderr.contains("cargo xtask clean")
    };
    assert!(until(Duration::from_secs(60), || says(&["check", "2", "--wait", "0s"])), "check says what it is");
    let run = cluster.lab(&["lab", "2"]);
    assert!(run.code == 4 && run.stderr.contains(words), "so does lab 2: {}", run.stderr);
    assert!(stretched(Duration::from_secs(60)) > run.took, "and waits no longer: {:?}", run.took);
    cluster.lab(&["clean"]).succeeds();
}

//! The six labs on Kubernetes as it was one minor before: whoever brings a cluster of their own may have that one.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::collections::BTreeSet;

use libtest_mimic::Arguments;
use serde_json::Value;
use testkit::{Scene, TestCluster, pins, scenes::labs, trials::group};

const NUMBER: u8 = 31;

const SCENES: &[(&str, Scene)] = &[
    ("every_lab_runs_and_passes_its_checks", every_lab),
    ("the_api_server_and_every_kubelet_are_one_minor_before", version),
];

fn cluster() -> TestCluster {
    TestCluster::of(NUMBER)
}

fn every_lab(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    labs::every_lab(cluster);
}

fn version(cluster: &TestCluster) {
    let pinned = |file: &str| pins::kubernetes(&cluster.paths().checkout, file);
    let before = pinned("previous.mod");
    let minor = |version: &str| version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    assert_eq!(minor(&before) + 1, minor(&pinned("go.mod")));
    let said: Value = serde_json::from_str(&cluster.kubectl(&["version", "--output=json"])).unwrap();
    assert_eq!(said["serverVersion"]["gitVersion"], before.as_str());
    let kubelets = "--output=jsonpath={.items[*].status.nodeInfo.kubeletVersion}";
    let kubelets = cluster.kubectl(&["get", "nodes", kubelets]);
    assert_eq!(kubelets.split_whitespace().collect::<BTreeSet<_>>(), BTreeSet::from([before.as_str()]));
}

fn main() {
    let arguments = Arguments::from_args();
    let conclusion = libtest_mimic::run(&arguments, group("previous", cluster, SCENES));
    if arguments.ignored && std::env::var_os("EBPF_LAB_KEEP").is_none() {
        cluster().lab(&["clean"]);
    }
    conclusion.exit();
}

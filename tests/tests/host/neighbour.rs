//! A good neighbour: two clusters side by side, addresses that are taken, and nothing left behind.

use std::{collections::BTreeSet, process::Command};

use end_to_end::{TestCluster, machine};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[
    ("beside_a_compose_project_a_cluster_has_other_addresses_for_its_life", compose_project),
    ("a_machine_without_a_free_range_is_refused_before_anything_is_made", no_range_is_free),
    ("clean_leaves_nothing_behind_and_harms_no_other_cluster", clean),
];

/// A bridge as Docker's second network has it; goes with the value.
struct Bridge(&'static str);

impl Bridge {
    fn new(name: &'static str, addresses: &[&str]) -> Self {
        ip(&["link", "add", name, "type", "bridge"]);
        let bridge = Self(name);
        addresses.iter().for_each(|address| ip(&["address", "add", address, "dev", name]));
        ip(&["link", "set", name, "up"]);
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", self.0]).status();
    }
}

#[track_caller]
fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

/// The machine is also one of a cloud's, with addresses that the cluster's pods and Services have: those are the cluster's alone.
fn compose_project(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let before = machine::traces();
    let number = cluster.number;
    let [pods, services] = [format!("10.{}.0.2/16", 100 + number), format!("10.{number}.0.2/16")];
    let bridge = Bridge::new("br-0a1b2c3d4e5f", &["172.18.0.1/16", &pods, &services]);
    let run = cluster.lab(&["lab", "2"]).succeeds();
    let said = "addresses: 172.18.0.0/16 is taken by br-0a1b2c3d4e5f (Docker); this cluster has 172.30";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let page = format!("172.30.{number}.");
    assert!(cluster.kubectl(&["get", "ipaddresspools", "-A", "-o", "yaml"]).contains(&page));
    // The project ends: what the cluster has, it keeps.
    drop(bridge);
    let kept = cluster.lab(&["lab", "2"]).succeeds();
    assert!(!kept.stderr.contains("addresses:"), "{}", kept.stderr);
    assert_eq!(machine::base(number).to_string(), "172.30.0.0/16");
    cluster.passes("2", "30s");
    cluster.lab(&["clean"]).succeeds();
    assert_eq!(machine::difference(&before, &machine::traces()), Vec::<String>::new());
}

fn no_range_is_free(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let before = machine::traces();
    // As a VPN that takes every private address; all of 10.0.0.0/8 would take this machine's own ways with it.
    let of_ten = (200..=254).map(|second| format!("10.{second}.{}.1/24", cluster.number));
    let everything: Vec<_> = ["172.18.0.1/12", "198.18.0.1/15"].map(str::to_owned).into_iter().chain(of_ten).collect();
    let everything: Vec<_> = everything.iter().map(String::as_str).collect();
    let during = {
        let _bridge = Bridge::new("tun-everything", &everything);
        let run = cluster.lab(&["lab", "2"]);
        assert_eq!(run.code, 4, "{}", run.stderr);
        let words = "172.16.0.0/12 is taken by tun-everything (a VPN), and so is every other range";
        assert!(run.stderr.contains(words), "{}", run.stderr);
        machine::traces()
    };
    let files = |traces: &BTreeSet<String>| -> BTreeSet<String> {
        traces.iter().filter(|trace| trace.starts_with("file: ")).cloned().collect()
    };
    assert_eq!(machine::difference(&files(&before), &files(&during)), Vec::<String>::new());
    assert_eq!(machine::difference(&before, &machine::traces()), Vec::<String>::new());
}

fn clean(cluster: &TestCluster) {
    let other = TestCluster::of(21);
    other.lab(&["lab", "2"]).succeeds();
    cluster.lab(&["clean"]).succeeds();
    let before = machine::traces();
    cluster.lab(&["lab", "2-3"]).succeeds();
    assert_ne!(
        machine::difference(&before, &machine::traces()),
        Vec::<String>::new(),
        "a cluster leaves traces while it is up"
    );
    cluster.lab(&["clean"]).succeeds();
    assert_eq!(machine::difference(&before, &machine::traces()), Vec::<String>::new());
    other.passes("2", "0");
}

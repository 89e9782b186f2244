//! A good neighbour: two clusters side by side, a route that is taken, and nothing left behind.

use std::process::Command;

use end_to_end::{TestCluster, machine};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[
    ("a_route_that_overlaps_is_named_before_anything_starts", overlapping_route),
    ("clean_leaves_nothing_behind_and_harms_no_other_cluster", clean),
];

fn overlapping_route(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let before = machine::traces();
    let ip = |args: &str| assert!(Command::new("ip").args(args.split(' ')).status().unwrap().success(), "ip {args}");
    ip("link add taken type veth peer name taken-far");
    ip("link set taken up");
    ip(&format!("route add 172.18.{}.0/24 dev taken", cluster.number));
    let run = cluster.lab(&["lab", "2"]);
    ip("link del taken");
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("172.18.{}.0/24", cluster.number)), "{}", run.stderr);
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

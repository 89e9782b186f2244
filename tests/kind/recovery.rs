//! What is cut short is finished: `lab` killed while kind makes the nodes, and nodes that were stopped, as by a reboot.

use std::{process::Stdio, time::Duration};

use testkit::{Scene, TestCluster, figures::Figures, scenes::labs, until};

use crate::{compare, docker};

pub const FIRST: &[(&str, Scene)] =
    &[("killed_while_the_nodes_are_made_it_makes_them_anew_and_runs_every_lab", killed_then_every_lab)];
pub const SCENES: &[(&str, Scene)] = &[("stopped_nodes_are_started_again_and_the_labs_go_on", stopped)];

fn killed_then_every_lab(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let mut lab = cluster.command(&["lab", "2"]).stderr(Stdio::null()).spawn().unwrap();
    assert!(until(Duration::from_secs(60), || running() > 0), "kind starts a node");
    lab.kill().unwrap();
    lab.wait().unwrap();
    let nodes = running();
    assert!(nodes > 0, "what kind had made is there");
    let run = labs::every_lab(cluster);
    compare::note(Figures::of(cluster, &run));
    assert_eq!(running(), 3);
}

fn stopped(cluster: &TestCluster) {
    let uid =
        |cluster: &TestCluster| cluster.kubectl(&["get", "namespace", "prometheus", "-o", "jsonpath={.metadata.uid}"]);
    let before = uid(cluster);
    let nodes = docker(&["ps", "--quiet"]);
    docker(&[&["stop", "--time", "5"], nodes.split_whitespace().collect::<Vec<_>>().as_slice()].concat());
    assert_eq!(running(), 0);
    let run = cluster.lab(&["lab", "2"]).succeeds();
    eprintln!("the cluster is back {:.1} s after its nodes were stopped", run.took.as_secs_f64());
    assert_eq!(uid(cluster), before, "it is the same cluster");
    cluster.passes("3-6", "2m");
}

/// kind's nodes; what `lab` tries out in a container beforehand is none.
fn running() -> usize {
    docker(&["ps", "--quiet", "--filter", "label=io.x-k8s.kind.cluster"]).lines().count()
}

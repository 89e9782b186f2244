//! The same labs on the host cluster and on kind, back to back: what they cost, and that they show the same.

use std::sync::OnceLock;

use testkit::{Scene, TestCluster, figures::Figures};

pub const HOST: &[(&str, Scene)] = &[("the_labs_on_the_host_cluster_are_measured", host)];
pub const SCENES: &[(&str, Scene)] = &[("the_same_labs_on_host_and_on_kind_show_the_same_graph", same)];

static ON_HOST: OnceLock<Figures> = OnceLock::new();
static ON_KIND: OnceLock<Figures> = OnceLock::new();

/// Before there is a network of kind, whose range the host cluster's addresses would lie in.
fn host(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let run = cluster.lab(&["lab", "2-6", "--json"]).succeeds();
    ON_HOST.set(Figures::of(cluster, &run)).unwrap();
    cluster.lab(&["clean"]).succeeds();
}

/// Notes what a first run of the labs on kind cost.
pub fn note(figures: Figures) {
    let _ = ON_KIND.set(figures);
}

fn same(_: &TestCluster) {
    let (host, kind) = (ON_HOST.get().expect("measured first"), ON_KIND.get().expect("measured first"));
    println!("{}", Figures::table(&[("host", host), ("kind", kind)]));
    assert_eq!(host.edges.len(), 3, "{host:?}");
    assert_eq!(host.edges, kind.edges);
}

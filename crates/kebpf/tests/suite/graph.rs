//! From address pairs and identities to the graph.

use std::collections::BTreeSet;

use kebpf::edges::Pair;
use kebpf::graph::{Edge, Graph};
use kebpf::identity::Directory;

use crate::bookinfo::{self, Cluster, pair};

fn graph(cluster: &Cluster, pairs: &[Pair]) -> Graph {
    Graph::new(pairs, &Directory::new(&cluster.objects(), &[]))
}

fn edges(graph: &Graph) -> Vec<(&str, &str, u64)> {
    graph.edges.iter().map(|edge| (&*edge.source, &*edge.target, edge.connections)).collect()
}

#[test]
fn bookinfo_is_exactly_its_three_edges() {
    let graph = graph(&Cluster::new(), &bookinfo::pairs());
    let bookinfo: BTreeSet<&str> = [
        "service/default/productpage",
        "service/default/details",
        "service/default/reviews",
        "service/default/ratings",
    ]
    .into();
    let among = |edge: &&Edge| bookinfo.contains(&*edge.source) && bookinfo.contains(&*edge.target);
    let found: Vec<_> = graph.edges.iter().filter(among).map(|e| (&*e.source, &*e.target, e.connections)).collect();
    assert_eq!(
        found,
        [
            ("service/default/productpage", "service/default/details", 20),
            ("service/default/productpage", "service/default/reviews", 20),
            ("service/default/reviews", "service/default/ratings", 13),
        ]
    );
}

#[test]
fn everything_else_of_the_cluster_has_its_name_and_nothing_is_external() {
    let graph = graph(&Cluster::new(), &bookinfo::pairs());
    let rest: Vec<_> =
        edges(&graph).into_iter().filter(|(source, ..)| !source.starts_with("service/default")).collect();
    assert_eq!(
        rest,
        [
            ("node/ebpf-worker", "service/default/kubernetes", 9),
            ("node/ebpf-worker", "service/default/productpage", 50),
            ("node/ebpf-worker2", "service/default/details", 50),
            ("service/kube-system/kube-dns", "service/default/kubernetes", 3),
            ("service/prometheus/prometheus-prom", "daemonset/default/bumblebee", 24),
        ]
    );
    assert!(graph.nodes.iter().all(|node| node.kind != "external"));
    assert!(graph.unresolved.is_empty());
}

#[test]
fn the_api_has_the_promised_shape() {
    let graph = graph(&Cluster::new(), &[pair(bookinfo::PRODUCTPAGE_POD, "10.1.10.3", 24)]);
    assert_eq!(
        serde_json::to_value(&graph).unwrap(),
        serde_json::json!({
            "nodes": [
                {"id": "service/default/productpage", "namespace": "default", "name": "productpage", "kind": "service",
                 "workloads": ["deployment/productpage-v1"]},
                {"id": "service/default/reviews", "namespace": "default", "name": "reviews", "kind": "service",
                 "workloads": ["deployment/reviews-v1", "deployment/reviews-v2", "deployment/reviews-v3"]},
            ],
            "edges": [{"source": "service/default/productpage", "target": "service/default/reviews",
                       "connections": 24, "per_second": 0.4}],
        })
    );
}

#[test]
fn a_pod_called_by_its_own_address_and_through_its_service_is_one_node() {
    let pairs = [
        pair(bookinfo::PRODUCTPAGE_POD, "10.1.10.3", 2),
        pair(bookinfo::PRODUCTPAGE_POD, bookinfo::REVIEWS_PODS[0], 3),
    ];
    let graph = graph(&Cluster::new(), &pairs);
    assert_eq!(edges(&graph), [("service/default/productpage", "service/default/reviews", 5)]);
}

#[test]
fn of_several_services_a_pod_belongs_to_the_one_it_is_called_by() {
    let mut cluster = Cluster::new();
    cluster.add("/api/v1/services", bookinfo::service("a-reviews", "default", "10.1.10.30", Some("reviews")));
    let calls_ratings = pair(bookinfo::REVIEWS_PODS[1], "10.1.10.4", 1);

    let uncalled = graph(&cluster, std::slice::from_ref(&calls_ratings));
    assert_eq!(uncalled.edges[0].source, "service/default/a-reviews", "the first by name");

    let called = graph(&cluster, &[calls_ratings, pair(bookinfo::PRODUCTPAGE_POD, "10.1.10.3", 1)]);
    assert!(called.nodes.iter().any(|node| node.id == "service/default/reviews"));
    assert!(called.nodes.iter().all(|node| node.id != "service/default/a-reviews"));
}

#[test]
fn of_several_services_one_with_a_cluster_ip_comes_before_a_headless_one() {
    let graph = graph(&Cluster::new(), &[pair(bookinfo::PROMETHEUS_POD, bookinfo::BEE_PODS[0], 1)]);
    assert_eq!(edges(&graph), [("service/prometheus/prometheus-prom", "daemonset/default/bumblebee", 1)]);
}

#[test]
fn replicas_that_call_each_other_make_an_edge_from_the_node_to_itself() {
    let graph = graph(&Cluster::new(), &[pair(bookinfo::REVIEWS_PODS[0], bookinfo::REVIEWS_PODS[1], 4)]);
    assert_eq!(edges(&graph), [("service/default/reviews", "service/default/reviews", 4)]);
}

#[test]
fn traffic_that_never_touches_the_cluster_is_not_drawn() {
    let pairs = [pair(bookinfo::HOST, "192.0.2.1", 9), pair("127.0.0.1", bookinfo::DETAILS_POD, 9)];
    assert_eq!(graph(&Cluster::new(), &pairs), Graph::default());
}

#[test]
fn who_calls_from_outside_is_external() {
    let graph = graph(&Cluster::new(), &[pair(bookinfo::HOST, bookinfo::LOADBALANCER, 2)]);
    assert_eq!(edges(&graph), [("external/172.18.1.254", "service/default/kebpf", 2)]);
    assert_eq!((&*graph.nodes[0].kind, &*graph.nodes[0].namespace), ("external", ""));
}

#[test]
fn connections_of_an_address_that_nobody_holds_are_counted_as_unresolved() {
    let graph =
        graph(&Cluster::new(), &[pair("10.101.1.200", "10.1.10.4", 2), pair(bookinfo::DETAILS_POD, "10.1.99.9", 1)]);
    assert!(graph.nodes.is_empty() && graph.edges.is_empty());
    assert_eq!(graph.unresolved.len(), 2);
}

#[test]
fn the_order_of_the_pairs_changes_nothing() {
    let forward = bookinfo::pairs();
    let backward: Vec<Pair> = forward.iter().rev().cloned().collect();
    assert_eq!(graph(&Cluster::new(), &forward), graph(&Cluster::new(), &backward));
}

#[test]
fn a_namespace_keeps_its_edges_to_others_and_drops_the_rest() {
    let graph = graph(&Cluster::new(), &bookinfo::pairs()).of_namespace("kube-system");
    assert_eq!(edges(&graph), [("service/kube-system/kube-dns", "service/default/kubernetes", 3)]);
    assert_eq!(graph.nodes.len(), 2);
}

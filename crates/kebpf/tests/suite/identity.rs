//! Who stands behind an address.

use std::net::IpAddr;

use kebpf::identity::{Directory, Identity, Party};
use kebpf::objects::ObjectName;
use serde_json::json;

use crate::bookinfo::{self, Cluster};

#[track_caller]
fn resolve(cluster: &Cluster, address: &str) -> Party {
    Directory::new(&cluster.objects(), &[]).resolve(address.parse::<IpAddr>().unwrap())
}

#[track_caller]
fn workload(cluster: &Cluster, address: &str) -> String {
    let Party::Known(identity) = resolve(cluster, address) else { panic!("{address} is nobody's") };
    let Identity::Pod { workload, .. } = &*identity else { panic!("{address} is {identity:?}") };
    workload.path()
}

#[track_caller]
fn known(cluster: &Cluster, address: &str) -> Identity {
    let Party::Known(identity) = resolve(cluster, address) else { panic!("{address} is nobody's") };
    (*identity).clone()
}

#[test]
fn a_pod_is_known_by_the_last_in_its_owner_chain() {
    let cluster = Cluster::new();
    assert_eq!(workload(&cluster, bookinfo::DETAILS_POD), "deployment/details-v1");
    assert_eq!(workload(&cluster, bookinfo::PROMETHEUS_POD), "statefulset/prometheus-prom");
    assert_eq!(workload(&cluster, bookinfo::BEE_PODS[0]), "daemonset/bumblebee");
    assert_eq!(workload(&cluster, "10.101.1.40"), "cronjob/backup");
}

#[test]
fn a_pod_that_nobody_owns_is_its_own_workload() {
    let mut cluster = Cluster::new();
    cluster.add("/api/v1/pods", bookinfo::pod("curl", "default", "10.101.1.50", "curl", None));
    cluster.add("/api/v1/pods", bookinfo::pod("static", "default", "10.101.1.51", "x", Some(("Node", "ebpf-worker"))));
    assert_eq!(workload(&cluster, "10.101.1.50"), "pod/curl");
    assert_eq!(workload(&cluster, "10.101.1.51"), "pod/static");
}

#[test]
fn a_pod_whose_replicaset_is_gone_still_belongs_to_its_deployment() {
    let mut cluster = Cluster::new();
    cluster.remove("/apis/apps/v1/replicasets", "details-v1-7c9");
    assert_eq!(workload(&cluster, bookinfo::DETAILS_POD), "deployment/details-v1");
}

#[test]
fn a_replicaset_without_a_deployment_is_the_workload() {
    let mut cluster = Cluster::new();
    cluster.remove("/apis/apps/v1/replicasets", "details-v1-7c9");
    cluster.add(
        "/apis/apps/v1/replicasets",
        json!({"metadata": {"name": "details-v1-7c9", "namespace": "default", "uid": "1"}}),
    );
    assert_eq!(workload(&cluster, bookinfo::DETAILS_POD), "replicaset/details-v1-7c9");
}

#[test]
fn a_service_selects_a_pod_only_by_its_whole_selector_and_in_its_own_namespace() {
    let mut cluster = Cluster::new();
    let mut narrow = bookinfo::service("details-v2", "default", "10.1.10.20", Some("details"));
    narrow["spec"]["selector"]["version"] = json!("v2");
    cluster.add("/api/v1/services", narrow);
    cluster.add("/api/v1/services", bookinfo::service("details", "elsewhere", "10.1.10.21", Some("details")));
    let Identity::Pod { services, .. } = known(&cluster, bookinfo::DETAILS_POD) else { panic!("not a pod") };
    assert_eq!(services, [ObjectName::new("default", "details")].into());
}

#[test]
fn cluster_ips_and_load_balancer_addresses_are_their_services() {
    let cluster = Cluster::new();
    assert_eq!(known(&cluster, "10.1.10.3"), Identity::Service(ObjectName::new("default", "reviews")));
    assert_eq!(known(&cluster, bookinfo::LOADBALANCER), Identity::Service(ObjectName::new("default", "kebpf")));
}

#[test]
fn the_api_servers_own_address_is_the_kubernetes_service() {
    let kubernetes = Identity::Service(ObjectName::new("default", "kubernetes"));
    assert_eq!(known(&Cluster::new(), bookinfo::API_SERVER), kubernetes);
}

#[test]
fn a_nodes_addresses_and_its_pods_gateway_are_the_node_and_so_are_pods_on_its_network() {
    let cluster = Cluster::new();
    for address in ["172.18.101.11", "10.101.1.1"] {
        assert_eq!(known(&cluster, address), Identity::Node("ebpf-worker".to_owned()), "{address}");
    }
}

#[test]
fn loopback_is_local_and_an_address_of_the_cluster_that_nobody_holds_is_never_external() {
    let cluster = Cluster::new();
    assert_eq!(resolve(&cluster, "127.0.0.1"), Party::Local);
    assert_eq!(resolve(&cluster, "::1"), Party::Local);
    assert_eq!(resolve(&cluster, "0.0.0.0"), Party::Local);
    assert_eq!(resolve(&cluster, "10.101.2.250"), Party::Unknown, "a pod that is gone");
    assert_eq!(resolve(&cluster, "10.1.77.7"), Party::Unknown, "a Service that is gone");
    assert_eq!(resolve(&cluster, "192.0.2.1"), Party::External);
    assert_eq!(resolve(&cluster, bookinfo::HOST), Party::External);
}

#[test]
fn ranges_that_are_given_replace_the_guess_for_services_and_not_the_nodes_pod_ranges() {
    let directory = Directory::new(&Cluster::new().objects(), &["10.1.0.0/19".parse().unwrap()]);
    let resolve = |text: &str| directory.resolve(text.parse().unwrap());
    assert_eq!(resolve("10.1.31.1"), Party::Unknown);
    assert_eq!(resolve("10.1.32.1"), Party::External);
    assert_eq!(resolve("10.101.2.250"), Party::Unknown);
}

#[test]
fn of_two_pods_with_one_address_the_living_one_holds_it() {
    for order in [["finished", "living"], ["living", "finished"]] {
        let mut cluster = Cluster::new();
        for name in order {
            let mut pod = bookinfo::pod(name, "default", "10.101.1.60", name, None);
            if name == "finished" {
                pod["status"]["phase"] = json!("Succeeded");
                pod["metadata"]["creationTimestamp"] = json!("2026-11-24T09:00:00Z");
            }
            cluster.add("/api/v1/pods", pod);
        }
        assert_eq!(workload(&cluster, "10.101.1.60"), "pod/living");
    }
}

#[test]
fn both_families_of_a_dual_stack_node_and_pod_are_known() {
    let mut cluster = Cluster::new();
    cluster.add(
        "/api/v1/nodes",
        json!({"metadata": {"name": "dual"}, "spec": {"podCIDRs": ["10.101.9.0/24", "fd00:10:101:9::/64"]}}),
    );
    let mut pod = bookinfo::pod("dual", "default", "10.101.9.2", "dual", None);
    pod["status"]["podIPs"] = json!([{"ip": "10.101.9.2"}, {"ip": "fd00:10:101:9::2"}]);
    cluster.add("/api/v1/pods", pod);
    assert_eq!(workload(&cluster, "fd00:10:101:9::2"), "pod/dual");
    assert_eq!(known(&cluster, "fd00:10:101:9::1"), Identity::Node("dual".to_owned()));
    assert_eq!(resolve(&cluster, "fd00:10:101:9::77"), Party::Unknown);
}

//! A cluster with Bookinfo on it, as the API server lists it, and what the probes count there.

use std::net::IpAddr;
use std::sync::Arc;

use kebpf::edges::Pair;
use kebpf::objects::Objects;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub const HOST: &str = "172.18.1.254";
pub const API_SERVER: &str = "172.18.101.1";
pub const PRODUCTPAGE_POD: &str = "10.101.1.10";
pub const DETAILS_POD: &str = "10.101.2.10";
pub const RATINGS_POD: &str = "10.101.1.11";
pub const REVIEWS_PODS: [&str; 3] = ["10.101.1.12", "10.101.2.12", "10.101.2.13"];
pub const COREDNS_POD: &str = "10.101.0.2";
pub const PROMETHEUS_POD: &str = "10.101.2.20";
pub const BEE_PODS: [&str; 2] = ["10.101.1.30", "10.101.2.30"];
pub const LOADBALANCER: &str = "172.18.1.1";

/// Every kind that kebpf watches: the path of its list, and the items.
pub struct Cluster(pub Vec<(&'static str, Vec<Value>)>);

impl Cluster {
    pub fn new() -> Self {
        Self(vec![
            ("/api/v1/pods", pods()),
            ("/api/v1/services", services()),
            ("/apis/discovery.k8s.io/v1/endpointslices", vec![api_server_slice()]),
            ("/api/v1/nodes", nodes()),
            ("/apis/apps/v1/replicasets", replica_sets()),
            (
                "/apis/batch/v1/jobs",
                vec![json!({"metadata": meta("backup-1", "default", Some(("CronJob", "backup")))})],
            ),
        ])
    }

    pub fn add(&mut self, path: &str, item: Value) {
        self.items(path).push(item);
    }

    pub fn remove(&mut self, path: &str, name: &str) {
        self.items(path).retain(|item| item["metadata"]["name"] != name);
    }

    fn items(&mut self, path: &str) -> &mut Vec<Value> {
        &mut self.0.iter_mut().find(|(kind, _)| *kind == path).expect("a watched kind").1
    }

    pub fn objects(&self) -> Objects {
        Objects {
            pods: self.typed("/api/v1/pods"),
            services: self.typed("/api/v1/services"),
            endpoint_slices: self.typed("/apis/discovery.k8s.io/v1/endpointslices"),
            nodes: self.typed("/api/v1/nodes"),
            replica_sets: self.typed("/apis/apps/v1/replicasets"),
            jobs: self.typed("/apis/batch/v1/jobs"),
        }
    }

    fn typed<K: DeserializeOwned>(&self, path: &str) -> Vec<Arc<K>> {
        let (_, items) = self.0.iter().find(|(kind, _)| *kind == path).unwrap();
        items.iter().map(|item| Arc::new(serde_json::from_value(item.clone()).unwrap())).collect()
    }
}

/// What the probes have counted after 20 requests to productpage.
pub fn pairs() -> Vec<Pair> {
    let mut pairs = vec![
        pair(PRODUCTPAGE_POD, "10.1.10.2", 20),
        pair(PRODUCTPAGE_POD, "10.1.10.3", 20),
        pair(REVIEWS_PODS[1], "10.1.10.4", 7),
        pair(REVIEWS_PODS[2], "10.1.10.4", 6),
        // The request itself, made inside productpage's pod.
        pair("127.0.0.1", "127.0.0.1", 20),
        pair(PRODUCTPAGE_POD, PRODUCTPAGE_POD, 20),
        // kubelets' probes.
        pair("10.101.1.1", PRODUCTPAGE_POD, 50),
        pair("10.101.2.1", DETAILS_POD, 50),
        // The cluster's own traffic.
        pair(COREDNS_POD, "10.1.0.1", 3),
        pair("172.18.101.11", API_SERVER, 9),
    ];
    pairs.extend(BEE_PODS.map(|bee| pair(PROMETHEUS_POD, bee, 12)));
    pairs
}

pub fn pair(source: &str, target: &str, connections: u64) -> Pair {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    Pair { source: address(source), target: address(target), connections, per_second: connections as f64 / 60.0 }
}

pub fn pod(name: &str, namespace: &str, ip: &str, app: &str, owner: Option<(&str, &str)>) -> Value {
    let mut metadata = meta(name, namespace, owner);
    metadata["labels"] = json!({"app": app, "pod-template-hash": "7c9"});
    json!({
        "metadata": metadata,
        "spec": {"containers": [{"name": app, "image": app}], "nodeName": "ebpf-worker"},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
    })
}

pub fn service(name: &str, namespace: &str, ip: &str, app: Option<&str>) -> Value {
    let selector = app.map(|app| json!({"app": app}));
    json!({
        "metadata": meta(name, namespace, None),
        "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "selector": selector},
        "status": {"loadBalancer": {}},
    })
}

fn meta(name: &str, namespace: &str, owner: Option<(&str, &str)>) -> Value {
    let owners = owner.map(|(kind, name)| {
        json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": format!("{kind}-{name}"), "controller": true}])
    });
    json!({
        "name": name, "namespace": namespace, "uid": format!("{namespace}-{name}"), "resourceVersion": "1",
        "creationTimestamp": "2026-11-24T00:00:00Z", "ownerReferences": owners,
    })
}

fn pods() -> Vec<Value> {
    let deployed = |workload: &str, namespace, ip, app| {
        let set = format!("{workload}-7c9");
        pod(&format!("{set}-abcde"), namespace, ip, app, Some(("ReplicaSet", &set)))
    };
    let mut pods = vec![
        deployed("productpage-v1", "default", PRODUCTPAGE_POD, "productpage"),
        deployed("details-v1", "default", DETAILS_POD, "details"),
        deployed("ratings-v1", "default", RATINGS_POD, "ratings"),
        deployed("coredns", "kube-system", COREDNS_POD, "coredns"),
        pod("prometheus-prom-0", "prometheus", PROMETHEUS_POD, "prometheus", Some(("StatefulSet", "prometheus-prom"))),
        pod("backup-1-xyz", "default", "10.101.1.40", "backup", Some(("Job", "backup-1"))),
    ];
    for (index, ip) in REVIEWS_PODS.into_iter().enumerate() {
        pods.push(deployed(&format!("reviews-v{}", index + 1), "default", ip, "reviews"));
    }
    for (index, ip) in BEE_PODS.into_iter().enumerate() {
        pods.push(pod(&format!("bumblebee-{index}"), "default", ip, "bumblebee", Some(("DaemonSet", "bumblebee"))));
    }
    let mut proxy = pod("kube-proxy-1", "kube-system", "172.18.101.11", "proxy", Some(("DaemonSet", "kube-proxy")));
    proxy["spec"]["hostNetwork"] = json!(true);
    pods.push(proxy);
    pods
}

fn services() -> Vec<Value> {
    let mut kebpf = service("kebpf", "default", "10.1.10.9", Some("kebpf"));
    kebpf["status"]["loadBalancer"] = json!({"ingress": [{"ip": LOADBALANCER}]});
    vec![
        service("productpage", "default", "10.1.10.1", Some("productpage")),
        service("details", "default", "10.1.10.2", Some("details")),
        service("reviews", "default", "10.1.10.3", Some("reviews")),
        service("ratings", "default", "10.1.10.4", Some("ratings")),
        service("kubernetes", "default", "10.1.0.1", None),
        service("kube-dns", "kube-system", "10.1.0.10", Some("coredns")),
        service("prometheus-operated", "prometheus", "None", Some("prometheus")),
        service("prometheus-prom", "prometheus", "10.1.20.1", Some("prometheus")),
        kebpf,
    ]
}

/// The API server writes this one itself, where it listens: no pod, no node.
fn api_server_slice() -> Value {
    let mut metadata = meta("kubernetes", "default", None);
    metadata["labels"] = json!({"kubernetes.io/service-name": "kubernetes"});
    json!({"metadata": metadata, "addressType": "IPv4", "endpoints": [{"addresses": [API_SERVER]}]})
}

fn nodes() -> Vec<Value> {
    let node = |(index, name): (usize, &str)| {
        let range = format!("10.101.{index}.0/24");
        json!({
            "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
            "spec": {"podCIDR": range, "podCIDRs": [range]},
            "status": {"addresses": [
                {"type": "InternalIP", "address": format!("172.18.101.1{index}")},
                {"type": "Hostname", "address": name},
            ]},
        })
    };
    ["ebpf-control-plane", "ebpf-worker", "ebpf-worker2"].into_iter().enumerate().map(node).collect()
}

fn replica_sets() -> Vec<Value> {
    let set = |(name, namespace): (&str, &str)| json!({"metadata": meta(&format!("{name}-7c9"), namespace, Some(("Deployment", name)))});
    let bookinfo = ["productpage-v1", "details-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3"];
    bookinfo.map(|name| (name, "default")).into_iter().chain([("coredns", "kube-system")]).map(set).collect()
}

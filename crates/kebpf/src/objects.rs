//! What kebpf watches of the cluster, and how its objects are named.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;

/// What is watched of the cluster, at one moment.
#[derive(Clone, Default)]
pub struct Objects {
    pub pods: Vec<Arc<Pod>>,
    pub services: Vec<Arc<Service>>,
    /// Of Services without a selector only: the others' pods are found by their labels.
    pub endpoint_slices: Vec<Arc<EndpointSlice>>,
    pub nodes: Vec<Arc<Node>>,
    pub replica_sets: Vec<Arc<PartialObjectMeta<ReplicaSet>>>,
    pub jobs: Vec<Arc<PartialObjectMeta<Job>>>,
}

/// An object's name within its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    pub namespace: String,
    pub name: String,
}

/// What a pod was made by, last in its owner chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// In lower case, as on kubectl's command line.
    pub kind: String,
    pub object: ObjectName,
}

impl ObjectName {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    pub fn of(object: &impl ResourceExt) -> Self {
        Self::new(object.namespace().unwrap_or_default(), object.name_any())
    }
}

impl Workload {
    /// `deployment/reviews-v1`
    pub fn path(&self) -> String {
        format!("{}/{}", self.kind, self.object.name)
    }
}

/// None for a headless Service, whose `clusterIP` reads `None`.
pub fn cluster_ips(service: &Service) -> impl Iterator<Item = &String> {
    let spec = service.spec.iter();
    let all = spec.flat_map(|spec| spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip));
    all.filter(|address| address.parse::<IpAddr>().is_ok())
}

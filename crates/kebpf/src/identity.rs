//! Who stands behind an address: a pure function from the watched objects to a [`Directory`].
//!
//! A pod is known by its workload, found up the owner chain, and by the Services that select it. A connection is
//! counted before kube-proxy rewrites its destination, so ClusterIPs are parties like pods are. What Kubernetes does
//! not know is *external*, but only outside the ranges that belong to the cluster: there, it is an address whose
//! holder is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;

use crate::hosts::HostName;
use crate::objects::{ObjectName, Objects, Workload, cluster_ips};
use crate::owners::Owners;
use crate::ranges;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    Pod { workload: Workload, services: BTreeSet<ObjectName> },
    Service(ObjectName),
    Node(String),
}

/// What an address means to the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    Known(Arc<Identity>),
    /// Within the cluster's ranges, but nobody's.
    Unknown,
    External,
    /// Loopback and the unspecified address: traffic that leaves no machine.
    Local,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceFacts {
    pub has_cluster_ip: bool,
    /// `deployment/reviews-v1`, …
    pub workloads: BTreeSet<String>,
}

/// Everybody that has an address.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    pub addresses: HashMap<IpAddr, Arc<Identity>>,
    pub services: BTreeMap<ObjectName, ServiceFacts>,
    /// Where pods and Services have their addresses.
    pub ranges: BTreeSet<IpNet>,
    /// The names that load balancers gave to Services.
    pub hosts: BTreeSet<HostName>,
}

impl Directory {
    /// `ranges`: the cluster's own address ranges where they are known for certain; learned from the objects otherwise.
    pub fn new(objects: &Objects, ranges: &[IpNet]) -> Self {
        let mut directory = Self { ranges: ranges::learn(objects, ranges), ..Self::default() };
        // Where two claim an address the later one wins: an address of the API server is the node's on most clusters.
        directory.add_endpoints(objects);
        directory.add_entrances(objects);
        directory.add_nodes(objects);
        directory.add_services(objects);
        directory.add_pods(objects);
        directory
    }

    pub fn resolve(&self, address: IpAddr) -> Party {
        if address.is_loopback() || address.is_unspecified() {
            return Party::Local;
        }
        match self.addresses.get(&address) {
            Some(identity) => Party::Known(identity.clone()),
            None if self.ranges.iter().any(|range| range.contains(&address)) => Party::Unknown,
            None => Party::External,
        }
    }

    fn add(&mut self, address: &str, identity: &Arc<Identity>) {
        if let Ok(address) = address.parse::<IpAddr>() {
            self.addresses.insert(address.to_canonical(), identity.clone());
        }
    }

    /// Addresses that a Service has without pods: the API server's, behind `default/kubernetes`, is one.
    fn add_endpoints(&mut self, objects: &Objects) {
        for slice in &objects.endpoint_slices {
            let Some(service) = slice.labels().get("kubernetes.io/service-name") else { continue };
            let namespace = slice.namespace().unwrap_or_default();
            let identity = Arc::new(Identity::Service(ObjectName::new(namespace, service)));
            for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.target_ref.is_none()) {
                endpoint.addresses.iter().for_each(|address| self.add(address, &identity));
            }
        }
    }

    /// Where a Service is reached from outside.
    fn add_entrances(&mut self, objects: &Objects) {
        for service in &objects.services {
            let identity = Arc::new(Identity::Service(ObjectName::of(&**service)));
            let external = service.spec.iter().flat_map(|spec| spec.external_ips.iter().flatten());
            let balancer = service.status.iter().filter_map(|status| status.load_balancer.as_ref());
            let ingress = balancer.flat_map(|balancer| balancer.ingress.iter().flatten());
            let names = ingress.clone().filter_map(|ingress| ingress.hostname.as_ref()?.parse().ok());
            self.hosts.extend(names);
            for address in external.chain(ingress.filter_map(|ingress| ingress.ip.as_ref())) {
                self.add(address, &identity);
            }
        }
    }

    /// A kubelet's probes come from the first address of its node's pod range: the node's end of the pods' network.
    fn add_nodes(&mut self, objects: &Objects) {
        for node in &objects.nodes {
            let identity = Arc::new(Identity::Node(node.name_any()));
            let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
            addresses.for_each(|address| self.add(&address.address, &identity));
            for gateway in ranges::of_node(node).filter_map(ranges::first_address) {
                self.addresses.insert(gateway, identity.clone());
            }
        }
    }

    fn add_services(&mut self, objects: &Objects) {
        for service in &objects.services {
            let name = ObjectName::of(&**service);
            let identity = Arc::new(Identity::Service(name.clone()));
            cluster_ips(service).for_each(|address| self.add(address, &identity));
            let has_cluster_ip = cluster_ips(service).next().is_some();
            self.services.insert(name, ServiceFacts { has_cluster_ip, workloads: BTreeSet::new() });
        }
    }

    fn add_pods(&mut self, objects: &Objects) {
        let owners = Owners::new(objects);
        let selectors = Selectors::new(&objects.services);
        let mut pods: Vec<&Pod> = objects.pods.iter().map(|pod| &**pod).collect();
        // A finished pod keeps its address in its status while another already uses it: the younger, living one wins.
        pods.sort_by_cached_key(|pod| (!is_finished(pod), pod.creation_timestamp(), pod.name_any()));
        for pod in pods {
            let workload = owners.workload(pod);
            let services = selectors.services_of(pod);
            for service in services.iter().filter(|_| !is_finished(pod)) {
                self.services.entry(service.clone()).or_default().workloads.insert(workload.path());
            }
            // A pod on its node's network has no address of its own.
            if !pod.spec.as_ref().is_some_and(|spec| spec.host_network.unwrap_or(false)) {
                let identity = Arc::new(Identity::Pod { workload, services });
                pod_ips(pod).for_each(|address| self.add(address, &identity));
            }
        }
    }
}

/// Which Services select a pod. Thousands of Services are not compared with each pod: they are looked up by the
/// first pair of their selector, and only what is found is compared in full.
struct Selectors<'a>(HashMap<(String, &'a str, &'a str), Vec<&'a Service>>);

impl<'a> Selectors<'a> {
    fn new(services: &'a [Arc<Service>]) -> Self {
        let mut index: HashMap<_, Vec<&Service>> = HashMap::new();
        for service in services {
            if let Some((key, value)) = selector(service).and_then(BTreeMap::first_key_value) {
                let namespace = service.namespace().unwrap_or_default();
                index.entry((namespace, key.as_str(), value.as_str())).or_default().push(service);
            }
        }
        Self(index)
    }

    fn services_of(&self, pod: &Pod) -> BTreeSet<ObjectName> {
        let namespace = pod.namespace().unwrap_or_default();
        let labels = pod.labels();
        let candidates = labels.iter().filter_map(|(key, value)| self.0.get(&(namespace.clone(), key, value)));
        let selects = |service: &&&Service| {
            selector(service).is_some_and(|selector| selector.iter().all(|(key, value)| labels.get(key) == Some(value)))
        };
        candidates.flatten().filter(selects).map(|service| ObjectName::of(*service)).collect()
    }
}

fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    service.spec.as_ref()?.selector.as_ref()
}

fn pod_ips(pod: &Pod) -> impl Iterator<Item = &String> {
    let status = pod.status.iter();
    status.flat_map(|status| status.pod_ips.iter().flatten().map(|ip| &ip.ip).chain(&status.pod_ip))
}

fn is_finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

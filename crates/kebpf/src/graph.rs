//! The graph: a pure function from address pairs and a [`Directory`] to nodes and edges.
//!
//! A Service and the workloads behind it are one node, whichever of their addresses was seen: callers dial the
//! ClusterIP, the same pods then call others under their own addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;

use crate::edges::Pair;
use crate::identity::{Directory, Identity, Party};
use crate::objects::{ObjectName, Workload};

/// Nodes by id, edges by their ends: the same input gives the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// Addresses of the cluster that nobody holds (any more); their connections are in no edge.
    #[serde(skip)]
    pub unresolved: BTreeSet<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// `service/default/reviews`, `deployment/default/kebpf`, `node/ebpf-worker`, `external/192.0.2.1`
    pub id: String,
    /// Empty for what is in no namespace.
    pub namespace: String,
    pub name: String,
    /// `service`, `node`, `external`, or the kind of a workload that no Service selects.
    pub kind: String,
    /// `deployment/reviews-v1`, …: the workloads behind the node.
    pub workloads: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edge {
    /// The id of the node that opened the connections.
    pub source: String,
    pub target: String,
    pub connections: u64,
    /// Of the last minute, to a thousandth.
    pub per_second: f64,
}

impl Graph {
    pub fn new(pairs: &[Pair], directory: &Directory) -> Self {
        Drawing::new(directory, pairs).draw(pairs)
    }

    /// The edges that begin or end in `namespace`, and their nodes.
    pub fn of_namespace(&self, namespace: &str) -> Self {
        let inside: BTreeSet<&str> =
            self.nodes.iter().filter(|node| node.namespace == namespace).map(|node| &*node.id).collect();
        let touches = |edge: &&Edge| inside.contains(&*edge.source) || inside.contains(&*edge.target);
        let edges: Vec<Edge> = self.edges.iter().filter(touches).cloned().collect();
        let ends: BTreeSet<&str> = edges.iter().flat_map(|edge| [&*edge.source, &*edge.target]).collect();
        let nodes = self.nodes.iter().filter(|node| ends.contains(&*node.id)).cloned().collect();
        Self { nodes, edges, unresolved: self.unresolved.clone() }
    }
}

struct Drawing<'a> {
    directory: &'a Directory,
    /// Services that somebody dialled by an address of their own.
    called: BTreeSet<ObjectName>,
    nodes: BTreeMap<String, Node>,
    edges: BTreeMap<(String, String), (u64, f64)>,
    unresolved: BTreeSet<IpAddr>,
}

impl<'a> Drawing<'a> {
    fn new(directory: &'a Directory, pairs: &[Pair]) -> Self {
        let called = pairs.iter().filter_map(|pair| match directory.resolve(pair.target) {
            Party::Known(identity) => match &*identity {
                Identity::Service(name) => Some(name.clone()),
                _ => None,
            },
            _ => None,
        });
        Self {
            directory,
            called: called.collect(),
            nodes: BTreeMap::new(),
            edges: BTreeMap::new(),
            unresolved: BTreeSet::new(),
        }
    }

    fn draw(mut self, pairs: &[Pair]) -> Graph {
        // A pod that calls its own address stays within itself, as over loopback.
        for pair in pairs.iter().filter(|pair| pair.source != pair.target && pair.connections > 0) {
            self.add(pair);
        }
        let edges = self.edges.into_iter().map(|((source, target), (connections, per_second))| Edge {
            source,
            target,
            connections,
            per_second: (per_second * 1000.0).round() / 1000.0,
        });
        Graph { edges: edges.collect(), nodes: self.nodes.into_values().collect(), unresolved: self.unresolved }
    }

    fn add(&mut self, pair: &Pair) {
        let ends = [pair.source, pair.target].map(|address| (address, self.directory.resolve(address)));
        if ends.iter().any(|(_, party)| *party == Party::Local) {
            return;
        }
        // The machine's own traffic: probes see all that its kernel does, and none of this is the cluster's.
        if ends.iter().all(|(_, party)| *party == Party::External) {
            return;
        }
        let unknown = ends.iter().filter(|(_, party)| *party == Party::Unknown);
        let unresolved: Vec<IpAddr> = unknown.map(|(address, _)| *address).collect();
        if !unresolved.is_empty() {
            self.unresolved.extend(unresolved);
            return;
        }
        let [source, target] = ends.map(|(address, party)| self.node(address, &party));
        let (connections, per_second) = self.edges.entry((source, target)).or_default();
        *connections = connections.saturating_add(pair.connections);
        *per_second += pair.per_second;
    }

    /// The id of the node that this party is drawn as.
    fn node(&mut self, address: IpAddr, party: &Party) -> String {
        let node = match party {
            Party::Known(identity) => match &**identity {
                Identity::Service(name) => self.service(name),
                Identity::Node(name) => plain("node", name),
                Identity::Pod { workload, services } => match self.own_service(services) {
                    Some(name) => self.service(name),
                    None => workload_node(workload),
                },
            },
            _ => plain("external", &address.to_string()),
        };
        let id = node.id.clone();
        self.nodes.entry(id.clone()).or_insert(node);
        id
    }

    /// Of several Services that select a pod: one that is called, then one with a ClusterIP, then the first by name.
    fn own_service<'b>(&self, services: &'b BTreeSet<ObjectName>) -> Option<&'b ObjectName> {
        let has_cluster_ip = |name| self.directory.services.get(name).is_some_and(|facts| facts.has_cluster_ip);
        services.iter().min_by_key(|name| (!self.called.contains(*name), !has_cluster_ip(*name), *name))
    }

    fn service(&self, name: &ObjectName) -> Node {
        let workloads = self.directory.services.get(name).map(|facts| facts.workloads.clone());
        namespaced("service", name, workloads.unwrap_or_default())
    }
}

fn workload_node(workload: &Workload) -> Node {
    namespaced(&workload.kind, &workload.object, BTreeSet::from([workload.path()]))
}

fn namespaced(kind: &str, ObjectName { namespace, name }: &ObjectName, workloads: BTreeSet<String>) -> Node {
    Node {
        id: format!("{kind}/{namespace}/{name}"),
        namespace: namespace.clone(),
        name: name.clone(),
        kind: kind.to_owned(),
        workloads,
    }
}

fn plain(kind: &str, name: &str) -> Node {
    Node {
        id: format!("{kind}/{name}"),
        namespace: String::new(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        workloads: BTreeSet::new(),
    }
}

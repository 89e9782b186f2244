//! Whether kebpf's page is reachable and its graph shows what Bookinfo does, and nothing else of it.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use lab_cli::{
    network::{pods, services},
    range::Range,
};
use serde::Deserialize;

use super::{
    Check,
    bookinfo::{CALLS, DEPLOYMENTS, SERVICES},
};
use crate::{finding::Finding, kubernetes::ServicePort, plain_http, wait, workshop::Workshop};

const OBJECT: &str = "service/kebpf in namespace default";
const PATIENCE: Duration = Duration::from_secs(5);

/// The address at which a browser on this machine reaches the graph.
pub async fn address(workshop: &Workshop) -> Result<String> {
    let page = ServicePort { namespace: "default".into(), service: "kebpf".into(), port: 80 };
    // Some clusters are asked otherwise for it than by their API server.
    let client = workshop.client_unasked().await?;
    let found = wait::within(PATIENCE, workshop.cluster.reach(&client, &page)).await;
    found.with_context(|| format!("the API server does not answer within {} s", PATIENCE.as_secs()))?
}

/// The page answers at the address that a browser would use.
pub fn page_answers() -> Check {
    Check::new("the graph's page answers at its LoadBalancer address", |workshop, _| {
        Box::pin(async move {
            let page = get(workshop, "/").await;
            let page = page.map_err(|error| {
                finding("its page does not answer").because(crate::error::message(&error)).fix(FIX_REACH)
            })?;
            if page.contains("<html") { Ok(()) } else { Err(finding("what answers is not a page").fix(FIX_REACH)) }
        })
    })
}

const FIX_REACH: &str = "`cargo xtask check 2` says whether MetalLB is well, `cargo xtask kubectl describe service kebpf` what address it gave";

/// Bookinfo's edges, all of them and no other among its services.
pub fn holds_bookinfo() -> Check {
    Check::new(
        "the graph holds what Bookinfo does: productpage -> details, productpage -> reviews, reviews -> ratings",
        |workshop, _| {
            Box::pin(async move {
                let graph = graph(workshop).await;
                let graph = graph.map_err(|error| {
                    finding("its graph can't be read").because(crate::error::message(&error)).fix(FIX_REACH)
                })?;
                judge(&graph, workshop.number).map_err(|condition| finding(&condition).fix(FIX_GRAPH))
            })
        },
    )
}

const FIX_GRAPH: &str = "`cargo xtask traffic` makes requests, a scrape later they are in the graph; `cargo xtask check 5` tells whether Prometheus has them, \
                          `cargo xtask kubectl logs deployment/kebpf` what kebpf could not read";

fn finding(condition: &str) -> Finding {
    Finding::new(OBJECT, condition)
}

#[derive(Debug, Deserialize)]
struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Edge {
    source: String,
    target: String,
}

async fn graph(workshop: &Workshop) -> Result<Graph> {
    serde_json::from_str(&get(workshop, "/api/graph").await?).context("the graph is not what kebpf's API promises")
}

async fn get(workshop: &Workshop, path: &str) -> Result<String> {
    let url = format!("{}{path}", address(workshop).await?);
    let request = plain_http::client()?.get(&url);
    let answer = async { request.send().await?.error_for_status()?.text().await };
    let answer = wait::within(PATIENCE, answer).await.with_context(|| format!("{url} does not answer"))?;
    answer.with_context(|| format!("failed to ask {url}"))
}

/// Nothing if the graph of cluster `number` is right, else what is wrong with it.
fn judge(graph: &Graph, number: u8) -> Result<(), String> {
    let name = |id: &str| SERVICES.into_iter().find(|name| id == format!("service/default/{name}"));
    let edges: BTreeSet<_> =
        graph.edges.iter().filter_map(|edge| Some((name(&edge.source)?, name(&edge.target)?))).collect();
    let list = |edges: Vec<&(&str, &str)>| {
        edges.iter().map(|(from, to)| format!("{from} -> {to}")).collect::<Vec<_>>().join(", ")
    };
    let missing: Vec<_> = CALLS.iter().filter(|call| !edges.contains(*call)).collect();
    if !missing.is_empty() {
        return Err(format!("its graph lacks {}", list(missing)));
    }
    let more: Vec<_> = edges.iter().filter(|edge| !CALLS.contains(edge)).collect();
    if !more.is_empty() {
        return Err(format!("its graph has {}, which Bookinfo does not do", list(more)));
    }
    let twice =
        graph.nodes.iter().find(|node| DEPLOYMENTS.iter().any(|name| node.id == format!("deployment/default/{name}")));
    if let Some(node) = twice {
        return Err(format!("its graph shows {} beside its Service", node.id));
    }
    match graph.nodes.iter().find(|node| node.kind == "external" && is_of_cluster(&node.id, number)) {
        Some(node) => Err(format!("its graph takes {} for an address outside the cluster", node.id)),
        None => Ok(()),
    }
}

/// Whether it is an address that cluster `number` gives to pods and Services.
fn is_of_cluster(id: &str, number: u8) -> bool {
    let address = id.strip_prefix("external/").and_then(Range::parse);
    address.is_some_and(|address| address.overlaps(pods(number)) || address.overlaps(services(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)], more: &[(&str, &str)]) -> Graph {
        let id = |name: &str| format!("service/default/{name}");
        let nodes = SERVICES.iter().map(|name| Node { id: id(name), kind: "service".into() });
        let more = more.iter().map(|(id, kind)| Node { id: (*id).into(), kind: (*kind).into() });
        let edges = edges.iter().map(|(source, target)| Edge { source: id(source), target: id(target) }).collect();
        Graph { nodes: nodes.chain(more).collect(), edges }
    }

    #[test]
    fn bookinfos_edges_and_no_other_pass() {
        assert_eq!(judge(&graph(&CALLS, &[]), 1), Ok(()));
        assert_eq!(judge(&graph(&CALLS[..2], &[]), 1).unwrap_err(), "its graph lacks reviews -> ratings");
        let wrong = [&CALLS[..], &[("ratings", "details")]].concat();
        assert!(judge(&graph(&wrong, &[]), 1).unwrap_err().contains("ratings -> details"));
    }

    #[test]
    fn a_workload_beside_its_service_and_a_false_external_do_not_pass() {
        assert!(judge(&graph(&CALLS, &[("deployment/default/reviews-v1", "deployment")]), 1).is_err());
        assert!(judge(&graph(&CALLS, &[("external/10.101.1.7", "external")]), 1).is_err());
        assert_eq!(judge(&graph(&CALLS, &[("external/10.89.0.1", "external")]), 1), Ok(()), "Podman's gateway");
    }
}

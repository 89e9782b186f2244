//! Whether a cluster can be used: its nodes are Ready and its DNS answers.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Service};
use kube::{Api, Client, ResourceExt, api::ListParams};

use super::dns;
use crate::{
    error::{message, words},
    finding::Finding,
    wait::{self, NotYet},
};

const KUBERNETES: &str = "kubernetes.default.svc.cluster.local";
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks once whether at least `least` nodes are Ready and cluster DNS answers; an API server that hangs is no answer.
pub async fn usable(client: &Client, least: usize) -> Result<(), NotYet> {
    let asked = async {
        ready(client, least).await.map_err(NotYet::found)?;
        dns_answers(client).await.map_err(NotYet::found)
    };
    let late = || NotYet::Because("the API server does not answer".to_owned());
    wait::within(PATIENCE, asked).await.ok_or_else(late)?
}

/// Asks once whether at least `least` nodes are there and all of them Ready.
pub async fn ready(client: &Client, least: usize) -> Result<(), Finding> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await;
    let nodes =
        nodes.map_err(|error| Finding::new("nodes", "could not be listed").because(words(&error)).cluster_down())?;
    let waiting: Vec<_> = nodes.iter().filter_map(not_ready).collect();
    if nodes.items.len() >= least && waiting.is_empty() {
        return Ok(());
    }
    let ready = nodes.items.len() - waiting.len();
    Err(Finding::new("nodes", format!("{ready} of {} Ready", nodes.items.len()))
        .why(waiting)
        .fix("`cargo xtask lab 2` starts what is not running; `cargo xtask kubectl describe nodes` shows more"))
}

fn not_ready(node: &Node) -> Option<String> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.and_then(|all| all.iter().find(|condition| condition.type_ == "Ready"));
    match ready {
        Some(condition) if condition.status == "True" => None,
        Some(condition) => {
            let why = condition.message.as_deref().unwrap_or("no reason given");
            Some(format!("node {}: {why}", node.name_any()))
        }
        None => Some(format!("node {} has not reported yet", node.name_any())),
    }
}

/// Asks once for the name that every pod may need first, and compares with what the API server knows itself.
pub async fn dns_answers(client: &Client) -> Result<(), Finding> {
    let finding = |condition: String| {
        Finding::new("DNS (pods with k8s-app=kube-dns in namespace kube-system)", condition).fix(
            "`cargo xtask kubectl logs --namespace kube-system --selector k8s-app=kube-dns` says what CoreDNS misses",
        )
    };
    let addresses = dns::look_up(client, KUBERNETES).await;
    let addresses =
        addresses.map_err(|error| finding(format!("{KUBERNETES} was not answered")).because(message(&error)))?;
    let service = Api::<Service>::namespaced(client.clone(), "default").get("kubernetes").await;
    let service = service.map_err(|error| finding("could not be compared".into()).because(words(&error)))?;
    let expected = service.spec.and_then(|spec| spec.cluster_ip).unwrap_or_default();
    if addresses.iter().any(|address| address.to_string() == expected) {
        return Ok(());
    }
    Err(finding(format!("{KUBERNETES} is {addresses:?}, but its Service has {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_that_is_not_ready_says_why() {
        let node = |status: &str| -> Node {
            let ready = json!({"type": "Ready", "status": status, "message": "network plugin is not ready"});
            serde_json::from_value(json!({"metadata": {"name": "ebpf-worker"}, "status": {"conditions": [ready]}}))
                .unwrap()
        };
        assert_eq!(not_ready(&node("True")), None);
        assert_eq!(not_ready(&node("False")).unwrap(), "node ebpf-worker: network plugin is not ready");
        assert!(not_ready(&Node::default()).is_some());
    }
}

//! Whether the cluster itself is usable: its nodes, its DNS, and what gives out LoadBalancer addresses.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::core::v1::{Node, Service};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams},
    discovery::ApiResource,
};

use super::{Check, Finding, client};
use crate::{
    kubernetes::{dns, words},
    wait::NotYet,
};

const KUBERNETES: &str = "kubernetes.default.svc.cluster.local";
const PATIENCE: Duration = Duration::from_secs(5);

pub fn all_ready() -> Check {
    Check::new("all nodes are Ready", |workshop, _| Box::pin(async move { ready(&client(workshop).await?, 1).await }))
}

pub fn dns_answers() -> Check {
    Check::new("DNS answers", |workshop, _| Box::pin(async move { dns_answers_now(&client(workshop).await?).await }))
}

/// MetalLB has addresses to give out.
pub fn address_pool() -> Check {
    Check::new("MetalLB has a pool of addresses", |workshop, _| {
        Box::pin(async move { pool(&client(workshop).await?).await })
    })
}

/// Asks once whether at least `least` nodes are Ready and cluster DNS answers; an API server that hangs is no answer.
pub async fn usable(client: &Client, least: usize) -> Result<(), NotYet> {
    let asked = async {
        ready(client, least).await.map_err(NotYet::found)?;
        dns_answers_now(client).await.map_err(NotYet::found)
    };
    let late = |_| NotYet::Because("the API server does not answer".to_owned());
    tokio::time::timeout(PATIENCE, asked).await.map_err(late)?
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
        .mend("`cargo xtask lab 2` starts what is not running; `cargo xtask kubectl describe nodes` shows more"))
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
pub async fn dns_answers_now(client: &Client) -> Result<(), Finding> {
    let finding = |condition: String| {
        Finding::new("DNS (pods with k8s-app=kube-dns in namespace kube-system)", condition).mend(
            "`cargo xtask kubectl logs --namespace kube-system --selector k8s-app=kube-dns` says what CoreDNS misses",
        )
    };
    let addresses = dns::look_up(client, KUBERNETES).await;
    let addresses = addresses
        .map_err(|error| finding(format!("{KUBERNETES} was not answered")).because(crate::error::message(&error)))?;
    let service = Api::<Service>::namespaced(client.clone(), "default").get("kubernetes").await;
    let service = service.map_err(|error| finding("could not be compared".into()).because(words(&error)))?;
    let expected = service.spec.and_then(|spec| spec.cluster_ip).unwrap_or_default();
    if addresses.iter().any(|address| address.to_string() == expected) {
        return Ok(());
    }
    Err(finding(format!("{KUBERNETES} is {addresses:?}, but its Service has {expected}")))
}

async fn pool(client: &Client) -> Result<(), Finding> {
    let finding = |condition: &str| {
        Finding::new("ipaddresspool in namespace metallb-system", condition).mend("run `cargo xtask lab 2`")
    };
    let pools = pools(client)
        .await
        .map_err(|error| finding("could not be asked for").because(crate::error::message(&error)))?;
    let addresses = pools.iter().filter_map(|pool| pool.data["spec"]["addresses"].as_array()).flatten().count();
    if addresses == 0 { Err(finding("no addresses to give out")) } else { Ok(()) }
}

async fn pools(client: &Client) -> anyhow::Result<Vec<DynamicObject>> {
    let kind = kube::core::GroupVersionKind::gvk("metallb.io", "v1beta1", "IPAddressPool");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "metallb-system", &ApiResource::from_gvk(&kind));
    Ok(api.list(&ListParams::default()).await.context("list the address pools")?.items)
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

//! Routes from a node to the pods of the others, as the controller manager gives out their ranges.

use std::net::IpAddr;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use manners::print;

use super::Place;
use crate::{cmd::Cmd, kubernetes};

/// Watches the nodes for as long as this one lives.
pub fn run(place: &Place) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(place))
}

async fn watch(place: &Place) -> Result<()> {
    // kube-proxy's identity may list nodes; from Kubernetes 1.32 on a node's own may not.
    let client = kubernetes::client(&place.folders.pki().join("proxy.kubeconfig"), "ebpf", kubernetes::Way::Direct)?;
    let nodes = watcher(Api::<Node>::all(client), watcher::Config::default()).default_backoff().applied_objects();
    let mut nodes = std::pin::pin!(nodes);
    while let Some(node) = nodes.try_next().await.transpose() {
        match node {
            Ok(node) if node.metadata.name.as_deref() != Some(place.name()) => add(&node)?,
            Ok(_) => {}
            // The watcher tries again by itself, after a while.
            Err(error) => print::note(format!("watch nodes: {error}")),
        }
    }
    Ok(())
}

fn add(node: &Node) -> Result<()> {
    let Some((range, address)) = route(node) else { return Ok(()) };
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let replace = Cmd::new("ip").args(["route", "replace", &range, "via", &address.to_string()]);
    replace.run().with_context(|| format!("route to the pods of {name}"))
}

/// A node's pod range and the address that leads to it.
fn route(node: &Node) -> Option<(String, IpAddr)> {
    let range = node.spec.as_ref()?.pod_cidr.clone()?;
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    let internal = addresses.iter().find(|address| address.type_ == "InternalIP")?;
    Some((range, internal.address.parse().ok()?))
}

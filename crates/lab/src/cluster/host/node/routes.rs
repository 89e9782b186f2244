//! Routes from a node to the pods of the others, as the controller manager gives out their ranges.

use std::{net::IpAddr, pin::pin, time::Duration};

use anyhow::{Context, Result};
use clikit::print;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    runtime::{WatchStreamExt, reflector, watcher},
};
use procfs::net::RouteEntry;

use super::Place;
use crate::{cmd::Cmd, kubernetes};

/// How often the kernel's routes are looked at: a link that goes down loses those by it, and nobody says so.
const LOOK: Duration = Duration::from_secs(2);

/// Watches the nodes for as long as this one lives.
pub fn run(place: &Place) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(place))
}

async fn watch(place: &Place) -> Result<()> {
    // kube-proxy's identity may list nodes; from Kubernetes 1.32 on a node's own may not.
    let client = kubernetes::client(&place.folders.pki().join("proxy.kubeconfig"), "ebpf", kubernetes::Way::Direct)?;
    let (store, writer) = reflector::store();
    let nodes = watcher(Api::<Node>::all(client), watcher::Config::default());
    let mut nodes = pin!(nodes.default_backoff().reflect(writer).applied_objects());
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            node = nodes.next() => match node {
                None => return Ok(()),
                Some(Ok(_)) => {}
                // The watcher tries again by itself, after a while.
                Some(Err(error)) => print::note(format!("watch nodes: {error}")),
            },
            _ = look.tick() => {}
        }
        let others = store.state().into_iter().filter(|node| node.metadata.name.as_deref() != Some(place.name()));
        let others: Vec<_> = others.collect();
        if let Err(error) = add_missing(others.iter().filter_map(|node| route(node))) {
            print::note(format!("route to the other nodes' pods: {error:#}"));
        }
    }
}

fn add_missing(routes: impl Iterator<Item = (String, IpAddr)>) -> Result<()> {
    let there = procfs::net::route().context("failed to read the kernel's routes")?;
    let there: Vec<_> = there.iter().map(|route| (range(route), IpAddr::V4(route.gateway))).collect();
    for (range, address) in routes.filter(|route| !there.contains(route)) {
        Cmd::new("ip").args(["route", "replace", &range, "via", &address.to_string()]).run()?;
    }
    Ok(())
}

fn range(route: &RouteEntry) -> String {
    format!("{}/{}", route.destination, route.mask.to_bits().leading_ones())
}

/// A node's pod range and the address that leads to it.
fn route(node: &Node) -> Option<(String, IpAddr)> {
    let range = node.spec.as_ref()?.pod_cidr.clone()?;
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    let internal = addresses.iter().find(|address| address.type_ == "InternalIP")?;
    Some((range, internal.address.parse().ok()?))
}

//! Whether the cluster itself is usable: its nodes, its DNS, and what gives out LoadBalancer addresses.

use anyhow::Context;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    discovery::ApiResource,
};

use super::{Check, client};
use crate::{finding::Finding, kubernetes::nodes};

pub fn all_ready() -> Check {
    Check::new("all nodes are Ready", |workshop, _| {
        Box::pin(async move { nodes::ready(&client(workshop).await?, 1).await })
    })
}

pub fn dns_answers() -> Check {
    Check::new("DNS answers", |workshop, _| Box::pin(async move { nodes::dns_answers(&client(workshop).await?).await }))
}

/// MetalLB has addresses to give out.
pub fn address_pool() -> Check {
    Check::new("MetalLB has a pool of addresses", |workshop, _| {
        Box::pin(async move { pool(&client(workshop).await?).await })
    })
}

async fn pool(client: &Client) -> Result<(), Finding> {
    let finding = |condition: &str| {
        Finding::new("ipaddresspool in namespace metallb-system", condition).fix("run `cargo xtask lab 2`")
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
    Ok(api.list(&ListParams::default()).await.context("failed to list the address pools")?.items)
}

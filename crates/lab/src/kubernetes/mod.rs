//! Talking to Kubernetes: objects from manifests, apply and delete, rollouts and why they hang, exec, the service proxy.
//!
//! Nothing here knows a lab or where the cluster runs.

pub mod apply;
mod config;
pub mod crds;
pub mod dns;
pub mod exec;
pub mod manifest;
pub mod nodes;
pub mod pods;
pub mod proxy;
pub mod rollout;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use kube::config::Kubeconfig;

pub use config::Way;

use crate::wait::{self, NotYet};

/// Under this name the API server keeps which fields are ours.
pub const FIELD_MANAGER: &str = "ebpf-lab";
/// The label, key and value, on every object that we create.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", FIELD_MANAGER);

/// A client for one context of one kubeconfig file. It is made within a runtime.
pub fn client(kubeconfig: &Path, context: &str, way: Way) -> Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig).with_context(|| {
        format!("failed to read the kubeconfig {}: run `cargo xtask lab 2` first", kubeconfig.display())
    })?;
    let config = config::of(&file, context, way).context("failed to use the cluster's kubeconfig")?;
    kube::Client::try_from(config).context("failed to make a Kubernetes client")
}

/// An API server that has nothing to say says so within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// The client, if the API server calls itself ready.
pub async fn ready(client: kube::Client) -> Result<kube::Client, NotYet> {
    let ready = http::Request::get("/readyz").body(vec![])?;
    let answer = wait::within(PATIENCE, client.request_text(ready)).await;
    answer.ok_or_else(|| NotYet::Because("it does not answer".to_owned()))??;
    Ok(client)
}

/// Sees that there is somebody who will answer.
///
/// # Errors
/// Nobody listens, nobody says a word, or the API server says that it can't do its work: most questions would get no answer then.
pub async fn reach(client: &kube::Client) -> Result<()> {
    let alive = http::Request::get("/livez").body(vec![])?;
    match wait::within(PATIENCE, client.request_text(alive)).await {
        Some(Err(kube::Error::Api(status))) => match failures(&status.message) {
            Some(failures) => bail!("the API server is not well: {failures}"),
            // Not everybody may ask this.
            None => Ok(()),
        },
        Some(Err(error)) => Err(error).context("the API server can't be reached"),
        Some(Ok(_)) => Ok(()),
        None => bail!("the API server does not answer within {} s", PATIENCE.as_secs()),
    }
}

/// What the API server says that it lacks: `[-]etcd failed: reason withheld`.
fn failures(said: &str) -> Option<String> {
    let failures: Vec<_> = said.split("[-]").skip(1).filter_map(|part| part.split([':', '\n']).next()).collect();
    (!failures.is_empty()).then(|| failures.join(", "))
}

/// Whether we made the object, by its label.
pub fn is_ours(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> bool {
    let value = meta.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY.0));
    value.is_some_and(|value| value == MANAGED_BY.1)
}

/// Whether the API server answered that there is no such object, or no such kind.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// A Service's port, for a person's browser or for a check.
#[derive(Debug, Clone)]
pub struct ServicePort {
    pub namespace: String,
    pub service: String,
    pub port: u16,
}

/// The address or name that a load balancer gave to a Service.
pub fn ingress_address(service: &k8s_openapi::api::core::v1::Service) -> Option<String> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
    ingress.ip.clone().or_else(|| ingress.hostname.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_api_server_lacks_is_read_from_what_it_says() {
        let said = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n[-]etcd-readiness failed: reason withheld\nlivez check failed";
        assert_eq!(failures(said).as_deref(), Some("etcd failed, etcd-readiness failed"));
        assert_eq!(failures("forbidden: User \"system:anonymous\" cannot get path \"/livez\""), None);
    }
}

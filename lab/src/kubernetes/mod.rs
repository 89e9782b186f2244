//! Talking to Kubernetes: apply, conditions, exec, the service proxy.

use std::path::Path;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};

/// A client for one context of one kubeconfig file.
pub async fn client(kubeconfig: &Path, context: &str) -> Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("read the kubeconfig {}: run `cargo xtask lab 2` first", kubeconfig.display()))?;
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..Default::default() };
    let config = kube::Config::from_custom_kubeconfig(file, &options).await.context("use the cluster's kubeconfig")?;
    kube::Client::try_from(config).context("make a Kubernetes client")
}

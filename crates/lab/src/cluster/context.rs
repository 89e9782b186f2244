//! A cluster of the user's own, named by a context of their kubeconfig: it is used, never created or removed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, config::Kubeconfig};
use lab_cli::Paths;

use super::{Cluster, Outcome, ServicePort, State};
use crate::{
    caller::{self, SECRET, as_caller},
    error::unfit,
    images::Image,
    kubernetes::{self, Way},
    live::Live,
    wait,
};

/// A cluster that can't be reached is said to be so after this time.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Context {
    /// `context-NAME`, fit for a file name.
    name: String,
    /// The context's own name.
    context: String,
    kubeconfig: PathBuf,
}

impl Context {
    /// Copies the context, and nothing else, out of the user's kubeconfig: whatever runs later can't reach another cluster.
    pub fn new(paths: &Paths, name: &str, context: &str) -> Result<Self> {
        let theirs = Kubeconfig::read().context("failed to read your kubeconfig: set KUBECONFIG, or use --on host")?;
        let one = restrict(theirs, context)?;
        let kubeconfig = paths.kubeconfig(name);
        caller::folder(kubeconfig.parent().context("a kubeconfig lies in a folder")?)?;
        caller::write(&kubeconfig, serde_json::to_string(&one)?, SECRET)?;
        Ok(Self { name: name.to_owned(), context: context.to_owned(), kubeconfig })
    }
}

/// The kubeconfig with one context, its cluster and its user.
fn restrict(mut config: Kubeconfig, context: &str) -> Result<Kubeconfig> {
    let names: Vec<_> = config.contexts.iter().map(|context| context.name.clone()).collect();
    config.contexts.retain(|named| named.name == context);
    let chosen = config.contexts.first().and_then(|named| named.context.clone()).ok_or_else(|| {
        let known = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        unfit(format!("your kubeconfig has no context {context}"), known)
    })?;
    config.clusters.retain(|cluster| cluster.name == chosen.cluster);
    config.auth_infos.retain(|user| Some(&user.name) == chosen.user.as_ref());
    config.current_context = Some(context.to_owned());
    Ok(config)
}

#[async_trait]
impl Cluster for Context {
    fn name(&self) -> &str {
        &self.name
    }

    fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    fn context(&self) -> &str {
        &self.context
    }

    fn ours(&self) -> bool {
        false
    }

    /// Nothing is installed: only whether it answers is seen.
    async fn up(&self, live: &Live) -> Result<Outcome> {
        live.waiting("asking the cluster for its version");
        let version = async {
            let client = kubernetes::client(&self.kubeconfig, &self.context, Way::AsConfigured)?;
            client.apiserver_version().await.map_err(anyhow::Error::from)
        };
        let answer = wait::within(PATIENCE, version).await;
        let failure = match answer {
            Some(Ok(_)) => return Ok(Outcome::Unchanged),
            Some(Err(error)) => crate::error::message(&error),
            None => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        let hint = format!("does `kubectl --context {} version` reach it?", self.context);
        Err(unfit(format!("the cluster of context {} can't be reached: {failure}", self.context), hint))
    }

    /// The cluster stays; only our copy of the way to it goes.
    async fn down(&self, _live: &Live) -> Result<Outcome> {
        as_caller(|| fs::remove_file(&self.kubeconfig)).context("failed to remove the copied kubeconfig")?;
        Ok(Outcome::Changed)
    }

    fn up_in_shell(&self) -> String {
        format!("kubectl --context {} version", self.context)
    }

    fn down_in_shell(&self) -> String {
        "# the cluster stays: it is not ours".to_owned()
    }

    /// Its nodes are out of our reach: whoever runs it has loaded the images there.
    async fn load_images(&self, _images: &[Image], live: &Live) -> Result<Outcome> {
        live.say("the nodes of this cluster must have the labs' images (localhost/ebpf-lab/…) already");
        Ok(Outcome::Unchanged)
    }

    fn needs_metallb(&self) -> bool {
        false
    }

    fn load_balancer_range(&self) -> Result<String> {
        Err(unfit("this cluster's load balancer is not ours", "ask whoever runs it for LoadBalancer addresses"))
    }

    async fn reach(&self, client: &Client, port: &ServicePort) -> Result<String> {
        let service = Api::<Service>::namespaced(client.clone(), &port.namespace).get(&port.service).await?;
        let address = kubernetes::ingress_address(&service).ok_or_else(|| {
            let forward = format!("kubectl port-forward service/{} 8080:{}", port.service, port.port);
            unfit(format!("service {} has no LoadBalancer address on this cluster", port.service), forward)
        })?;
        Ok(if port.port == 80 { format!("http://{address}") } else { format!("http://{address}:{}", port.port) })
    }

    fn state(&self) -> Result<State> {
        Ok(State { running: true, memory: vec![] })
    }

    async fn diagnostics(&self, _into: &Path) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "{apiVersion: v1, kind: Config, current-context: mine, \
        clusters: [{name: a, cluster: {server: 'https://a'}}, {name: b, cluster: {server: 'https://b'}}], \
        users: [{name: u, user: {token: t}}, {name: v, user: {token: secret}}], \
        contexts: [{name: mine, context: {cluster: a, user: u}}, {name: room, context: {cluster: b, user: v}}]}";

    #[test]
    fn only_the_chosen_context_is_copied() {
        let one = restrict(Kubeconfig::from_yaml(TWO).unwrap(), "room").unwrap();
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!((one.contexts.len(), one.clusters.len(), one.auth_infos.len()), (1, 1, 1));
        assert!(text.contains("https://b") && !text.contains("https://a"), "{text}");
    }

    #[test]
    fn a_context_that_does_not_exist_is_refused_and_the_others_listed() {
        let error = restrict(Kubeconfig::from_yaml(TWO).unwrap(), "nowhere").unwrap_err();
        assert_eq!(error.to_string(), "your kubeconfig has no context nowhere");
        assert_eq!(crate::error::hint(&error), Some("it has mine, room"));
    }
}

//! Where Kubernetes runs. Only this module knows whether it talks to this machine's own cluster, to kind or to a context.

mod context;
pub mod host;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use async_trait::async_trait;
use interface::{ClusterChoice, Options, Paths};

use crate::{error::unfit, images::Image, live::Live, profile::Profile};

/// Whether a step had anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Changed,
    Unchanged,
}

/// A Service's port, for a person's browser or for a check.
#[derive(Debug, Clone)]
pub struct ServicePort {
    pub namespace: String,
    pub service: String,
    pub port: u16,
}

/// What `status` shows of a cluster; never waits.
#[derive(Debug, Clone, serde::Serialize)]
pub struct State {
    pub running: bool,
    /// Who uses how much memory: component (such as `ebpf-worker kubelet`) and bytes.
    pub memory: Vec<(String, u64)>,
}

/// A cluster that the labs can run on.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Its name among this user's clusters, such as `host-1`: one word, fit for a file name.
    fn name(&self) -> &str;

    /// The kubeconfig file that `kubectl` and our own client use.
    fn kubeconfig(&self) -> PathBuf;

    /// The context in it: `ebpf` for clusters of ours.
    fn context(&self) -> &str;

    /// Whether we made it. On another's cluster nothing is installed cluster-wide that is not ours to remove.
    fn ours(&self) -> bool;

    /// Our images that the cluster itself runs, whatever the labs install.
    fn images(&self) -> &'static [&'static str] {
        &[]
    }

    /// Creates or resumes the cluster until every node is Ready and cluster DNS answers.
    async fn up(&self, live: &Live) -> Result<Outcome>;

    /// Removes the cluster and everything that it made on this machine. Does nothing if there is none.
    async fn down(&self, live: &Live) -> Result<Outcome>;

    /// The equivalent of [`Cluster::up`] for a shell, for `--explain`.
    fn up_in_shell(&self) -> String;

    /// The equivalent of [`Cluster::down`] for a shell.
    fn down_in_shell(&self) -> String;

    /// Makes images known to every node; those that a node has already are left alone.
    async fn load_images(&self, images: &[Image], live: &Live) -> Result<Outcome>;

    /// The addresses for LoadBalancer Services that MetalLB may give out, such as `172.18.1.1-172.18.1.254`;
    /// none where the cluster brings its own load balancer.
    fn load_balancer_range(&self) -> Option<String>;

    /// An address, such as `http://172.18.1.1:80`, at which this machine reaches a Service of type LoadBalancer.
    async fn reach(&self, client: &kube::Client, port: &ServicePort) -> Result<String>;

    /// What is running and how much memory it takes.
    fn state(&self) -> Result<State>;

    /// Writes the components' logs into a folder.
    async fn diagnostics(&self, into: &Path) -> Result<()>;
}

/// Whether anything on this machine has the addresses of cluster number n.
pub fn is_in_use(number: u8) -> bool {
    host::is_in_use(number)
}

/// The cluster that `--on` names, with this number, for what a profile installs.
pub fn choose(paths: &Paths, options: &Options, number: u8, profile: &dyn Profile) -> Result<Arc<dyn Cluster>> {
    match options.cluster() {
        ClusterChoice::Host => Ok(Arc::new(host::Host::new(paths, options, number, profile))),
        ClusterChoice::Context(name) => Ok(Arc::new(context::Context::new(paths, &name)?)),
        ClusterChoice::Kind => Err(unfit(
            "--on kind is not there yet",
            "use --on host, or create a kind cluster yourself and use --on context:NAME",
        )),
    }
}

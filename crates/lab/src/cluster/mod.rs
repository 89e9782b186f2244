//! Where Kubernetes runs. Only this module knows whether it talks to this machine's own cluster, to kind or to a context.

mod context;
pub mod host;
mod kind;
mod memory;

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use lab_cli::{ClusterChoice, Obstacle, Options, Paths};

use crate::{
    images::Image,
    kubernetes::{self, ServicePort},
    live::Live,
    outcome::Outcome,
    ownership,
};

/// How often a kubelet of ours looks at what its pods mount: a changed ConfigMap or Secret reaches its pod within this time.
/// The default is a minute.
pub const SYNC_FREQUENCY: &str = "1s";

/// What the labs' pods run, which the nodes must be able to get.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// Images of ours, by the last part of their names.
    pub images: &'static [&'static str],
    /// The registries that others come from, `host:port`.
    pub registries: &'static [&'static str],
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

    /// What keeps it from ever being usable, if that is known; never waits.
    fn ails(&self) -> Option<Obstacle> {
        None
    }

    /// Refuses whoever's it is not, before anything of it is used.
    fn refuse_strangers(&self) -> Result<()> {
        Ok(())
    }

    /// Our images that the cluster itself runs, whatever the labs install.
    fn images(&self) -> &'static [&'static str] {
        &[]
    }

    /// Getting what the cluster is made of, as a person would type it; none where nothing has to be got.
    fn fetch_in_shell(&self) -> Option<String> {
        None
    }

    /// Gets what the cluster is made of; may take as long as a download does.
    async fn fetch(&self, _live: &Live) -> Result<Outcome> {
        Ok(Outcome::Unchanged)
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

    /// Whether MetalLB is to give addresses to LoadBalancer Services; other clusters bring a load balancer of their own.
    fn needs_metallb(&self) -> bool;

    /// The addresses that MetalLB may give out, such as `172.18.1.1-172.18.1.254`.
    fn load_balancer_range(&self) -> Result<String>;

    /// An address, such as `http://172.18.1.1:80`, at which this machine reaches a Service of type LoadBalancer.
    async fn reach(&self, client: &kube::Client, port: &ServicePort) -> Result<String>;

    /// Its addresses and ranges and the ends of its names, as `NO_PROXY` has them: no proxy leads to a cluster of ours. How another's
    /// is reached the user has set up.
    fn addresses(&self) -> Vec<String> {
        vec![]
    }

    /// What is running and how much memory it takes.
    fn state(&self) -> Result<State>;

    /// Writes the components' logs into a folder.
    async fn diagnostics(&self, into: &Path) -> Result<()>;
}

/// Which cluster numbers have addresses that something on this machine has already; looked at when first asked.
pub fn numbers_in_use(paths: &Paths, options: &Options) -> impl Fn(u8) -> bool {
    let on_kind = options.cluster() == ClusterChoice::Kind;
    let (hosts, kinds) = (OnceCell::new(), OnceCell::new());
    move |number| match on_kind {
        true => ownership::exists(number) || kinds.get_or_init(|| kind::numbers_in_use(paths))(number),
        false => hosts.get_or_init(ownership::numbers_in_use)(number),
    }
}

/// The cluster that `--on` names, with this number.
pub fn choose(paths: &Paths, options: &Options, number: u8, needs: Needs) -> Result<Arc<dyn Cluster>> {
    match options.cluster() {
        ClusterChoice::Host => Ok(Arc::new(host::Host::new(paths, options, number, needs))),
        ClusterChoice::Context(name) => {
            Ok(Arc::new(context::Context::new(paths, &options.cluster_name(number), &name)?))
        }
        ClusterChoice::Kind => Ok(Arc::new(kind::Kind::new(paths, options, number, needs)?)),
    }
}

/// The address of a Service that this machine reaches by its LoadBalancer.
async fn balanced(client: &Client, port: &ServicePort) -> Result<String> {
    let service = Api::<Service>::namespaced(client.clone(), &port.namespace).get(&port.service).await?;
    let address = kubernetes::ingress_address(&service)
        .with_context(|| format!("service {} has no LoadBalancer address yet", port.service))?;
    Ok(if port.port == 80 { format!("http://{address}") } else { format!("http://{address}:{}", port.port) })
}

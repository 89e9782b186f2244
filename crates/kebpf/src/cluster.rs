//! What Kubernetes knows, kept up to date by watches and cut down to the fields that identities need.
//!
//! Lists and watches are all that kebpf does: its role needs no other verb, and no secret is ever read.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::objects::Objects;

/// Slices that the cluster's own controller keeps repeat what the Services' selectors say.
const SLICES_WITHOUT_SELECTOR: &str = "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io";

/// The watches, running until the program ends.
pub struct Cluster {
    pods: Store<Pod>,
    services: Store<Service>,
    endpoint_slices: Store<EndpointSlice>,
    nodes: Store<Node>,
    replica_sets: Store<PartialObjectMeta<ReplicaSet>>,
    jobs: Store<PartialObjectMeta<Job>>,
    signals: Arc<Signals>,
}

/// What the watches tell besides objects.
#[derive(Default)]
struct Signals {
    changed: AtomicBool,
    /// By kind, while a watch does not work.
    troubles: Mutex<BTreeMap<&'static str, String>>,
}

/// The pod's own service account, unless a file or a context is named or the environment has a kubeconfig.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> anyhow::Result<Client> {
    let file = match kubeconfig {
        Some(path) => Some(Kubeconfig::read_from(path).with_context(|| format!("failed to read {}", path.display()))?),
        None if context.is_some() => Some(Kubeconfig::read().context("failed to read the kubeconfig")?),
        None => Kubeconfig::read().ok(),
    };
    let config = match file {
        Some(file) => of_file(file, context).await.context("failed to use this kubeconfig")?,
        None => Config::incluster().context("neither a kubeconfig nor a pod's service account: give --kubeconfig")?,
    };
    Client::try_from(config).context("failed to prepare the Kubernetes client")
}

/// kube would take a proxy of the environment as well, which knows nothing of a cluster's addresses.
async fn of_file(file: Kubeconfig, context: Option<&str>) -> anyhow::Result<Config> {
    let proxy = own_proxy(&file, context).map(|proxy| proxy.parse()).transpose().context("its proxy-url")?;
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(file, &options).await?;
    config.proxy_url = proxy;
    Ok(config)
}

/// What the file itself says of a way to the cluster.
fn own_proxy(file: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let name = context.or(file.current_context.as_deref())?;
    let context = file.contexts.iter().find(|context| context.name == name)?.context.as_ref()?;
    let cluster = file.clusters.iter().find(|cluster| cluster.name == context.cluster)?;
    cluster.cluster.as_ref()?.proxy_url.clone().filter(|proxy| !proxy.is_empty())
}

impl Cluster {
    pub fn watch(client: &Client) -> Self {
        let signals = Arc::new(Signals::default());
        let all = watcher::Config::default;
        Self {
            pods: follow("pods", client, all(), &signals, slim_pod),
            services: follow("services", client, all(), &signals, slim),
            endpoint_slices: follow("endpointslices", client, all().labels(SLICES_WITHOUT_SELECTOR), &signals, slim),
            nodes: follow("nodes", client, all(), &signals, slim_node),
            replica_sets: follow("replicasets", client, all(), &signals, slim),
            jobs: follow("jobs", client, all(), &signals, slim),
            signals,
        }
    }

    pub fn objects(&self) -> Objects {
        Objects {
            pods: self.pods.state(),
            services: self.services.state(),
            endpoint_slices: self.endpoint_slices.state(),
            nodes: self.nodes.state(),
            replica_sets: self.replica_sets.state(),
            jobs: self.jobs.state(),
        }
    }

    /// Whether an object came, went or changed since the last call.
    pub fn take_changed(&self) -> bool {
        self.signals.changed.swap(false, Ordering::AcqRel)
    }

    /// The kinds whose first list has not arrived.
    pub fn missing(&self) -> Vec<&'static str> {
        let synced = [
            ("pods", is_synced(&self.pods)),
            ("services", is_synced(&self.services)),
            ("endpointslices", is_synced(&self.endpoint_slices)),
            ("nodes", is_synced(&self.nodes)),
            ("replicasets", is_synced(&self.replica_sets)),
            ("jobs", is_synced(&self.jobs)),
        ];
        synced.into_iter().filter(|(_, synced)| !synced).map(|(kind, _)| kind).collect()
    }

    /// Why a watch does not work at the moment.
    pub fn trouble(&self) -> Option<String> {
        let troubles = self.signals.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.iter().next().map(|(kind, why)| format!("Kubernetes can't be watched ({kind}): {why}"))
    }
}

impl Signals {
    /// Says so on stderr when a watch begins to fail, fails otherwise, or works again; not at every retry.
    fn note(&self, kind: &'static str, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.get(kind) == trouble.as_ref() {
            return;
        }
        match trouble {
            Some(why) => {
                eprintln!("kebpf: can't watch {kind}: {why}; trying again");
                troubles.insert(kind, why);
            }
            None => {
                eprintln!("kebpf: watching {kind} again");
                troubles.remove(kind);
            }
        }
        self.changed.store(true, Ordering::Release);
    }
}

fn follow<K>(
    kind: &'static str,
    client: &Client,
    config: watcher::Config,
    signals: &Arc<Signals>,
    slim: fn(&mut K),
) -> Store<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone + Send + Sync,
{
    let (store, writer) = reflector::store();
    let watch = watcher(Api::<K>::all(client.clone()), config).modify(slim).default_backoff();
    let signals = signals.clone();
    let events = reflector::reflector(writer, watch).for_each(move |event| {
        match event {
            Ok(_) => {
                signals.note(kind, None);
                signals.changed.store(true, Ordering::Release);
            }
            Err(error) => signals.note(kind, Some(root_cause(&error))),
        }
        std::future::ready(())
    });
    tokio::spawn(events);
    store
}

fn is_synced<K>(store: &Store<K>) -> bool
where
    K: Resource + Clone + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    store.wait_until_ready().now_or_never().is_some_and(|ready| ready.is_ok())
}

/// The API server's own words, or what kept them from arriving.
fn root_cause(error: &watcher::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn slim<K: ResourceExt>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().clear();
}

fn slim_pod(pod: &mut Pod) {
    slim(pod);
    let host_network = pod.spec.as_ref().and_then(|spec| spec.host_network);
    pod.spec = Some(PodSpec { host_network, ..PodSpec::default() });
    if let Some(status) = &mut pod.status {
        status.conditions = None;
        status.container_statuses = None;
        status.init_container_statuses = None;
    }
}

/// A node lists every image that it holds.
fn slim_node(node: &mut Node) {
    slim(node);
    if let Some(status) = &mut node.status {
        status.images = None;
        status.conditions = None;
    }
}

//! Kubernetes straight on this machine: the real programs, three nodes in namespaces, no Docker, no image registry.
//!
//! Reading order: [`addresses`] and [`folders`] say where things are, [`keys`] who may talk to whom, [`network`] how; a
//! [`node`] runs its [`components`]; [`proxy`] is the nodes' way to image registries, for profiles that need one. Everything is made if it is missing and left alone if it is there, so that `up` resumes
//! what was killed anywhere, and brings the same cluster back after a reboot.

mod addresses;
mod admission;
mod cgroups;
mod components;
mod containers;
mod endings;
mod folders;
mod held;
mod inotify;
mod keys;
mod memory;
mod network;
pub mod node;
mod programs;
mod proxy;
mod registries;
mod seed;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use lab_cli::{
    Obstacle, Options, Paths,
    kube_proxy::{self, Mode},
    modes,
};
use serde_json::json;

use self::{
    addresses::{Addresses, NODES},
    containers::Containerd,
    folders::{Folders, write_whole},
    network::Network,
    node::{Place, tools::Tool},
    proxy::Proxy,
};
use crate::{
    caller::{self, OPEN, SECRET, as_caller},
    cluster::{Cluster, Needs, State, balanced},
    cmd::Here,
    error::{refusal, unfit},
    images::{self, Image},
    kubernetes::{self, ServicePort, Way, apply::Applier, manifest},
    live::Live,
    lock::Lock,
    outcome::Outcome,
    ownership,
    wait::{self, NotYet},
};

/// Said of a new cluster, once.
const ADMINISTRATORS: &str =
    "note: whoever may make privileged pods in this cluster is root on this machine; see docs/security.md";

/// Cluster number n on this machine.
pub struct Host {
    number: u8,
    name: String,
    paths: Paths,
    folders: Folders,
    network: Network,
    timeout: Duration,
    /// Those of our images that the labs run on it, unless the nodes pull them.
    labs_images: &'static [&'static str],
    /// Whether the nodes pull any image.
    pulls: bool,
    /// The registries that the nodes pull others from; none in the offline profile.
    registries: Vec<String>,
    proxy: Proxy,
    /// Taken once by what changes the cluster, and kept from then on.
    lock: OnceLock<Lock>,
}

/// What a cluster is made by.
struct Plan {
    addresses: Addresses,
    kube_proxy: Mode,
    tools: Vec<Tool>,
}

impl Host {
    pub fn new(paths: &Paths, options: &Options, number: u8, needs: Needs) -> Self {
        let pulls_ours = options.registry.is_some();
        let named = options.registry.iter().map(|registry| registry.host.clone()).collect();
        Self {
            number,
            name: options.cluster_name(number),
            paths: paths.clone(),
            folders: Folders::new(number),
            network: Network::new(number),
            timeout: options.timeout,
            labs_images: if pulls_ours { &[] } else { needs.images },
            pulls: pulls_ours || !needs.registries.is_empty(),
            registries: needs.registries.iter().map(|&registry| registry.to_owned()).collect(),
            proxy: Proxy::new(number, named),
            lock: OnceLock::new(),
        }
    }

    fn hold(&self) -> Result<()> {
        if self.lock.get().is_none() {
            // Nobody else in this process takes it meanwhile.
            let _ = self.lock.set(ownership::hold(self.number)?);
        }
        Ok(())
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let number = self.number;
        (0..NODES.len()).map(move |index| Place::new(number, index))
    }

    /// Whether every node is kept and Ready and cluster DNS answers, asked once.
    async fn is_up(&self) -> bool {
        let kept = self.places().all(|place| node::is_kept(&place)) && (!self.pulls || self.proxy.runs());
        let has_keys = self.kubeconfig().is_file() && !keys::are_due(&self.folders.pki());
        kept && has_keys && self.is_connected() && self.is_ready().await.is_ok()
    }

    /// Whether links, addresses and routes are what they must be.
    fn is_connected(&self) -> bool {
        let missing = Addresses::of(&self.folders).and_then(|addresses| self.network.missing(addresses));
        missing.is_ok_and(|missing| missing.is_empty())
    }

    async fn is_ready(&self) -> Result<(), NotYet> {
        kubernetes::nodes::usable(&self.client()?, NODES.len()).await
    }

    fn client(&self) -> Result<Client> {
        kubernetes::client(&self.kubeconfig(), "ebpf", Way::Direct)
    }

    /// A new cluster without a way to the registries would hang at its first pod. One that was there before has its images.
    async fn see_registries(&self, live: &Live) -> Result<()> {
        live.waiting("looking for a way to the image registries");
        match proxy::reaches(&self.registries).await {
            Err(error) if self.folders.data.exists() => {
                live.say(&format!("warning: {}", crate::error::message(&error)));
                Ok(())
            }
            reached => reached,
        }
    }

    /// What must be known before anything is made, or built for it.
    fn plan(&self, live: &Live) -> Result<Plan> {
        let addresses = Addresses::settle(&self.folders, live)?;
        let kube_proxy = kube_proxy::choose(&Here).map_err(refusal)?;
        if kube_proxy.instead.is_some() {
            live.say(&format!("kube-proxy: {kube_proxy}"));
        }
        Ok(Plan { addresses, kube_proxy: kube_proxy.mode, tools: node::tools::find()? })
    }

    /// What can be done before anything runs.
    fn prepare(&self, pause: &str, plan: Plan, live: &Live) -> Result<()> {
        let Plan { addresses, kube_proxy, tools } = plan;
        if !self.paths.programs.is_dir() {
            return Err(unfit("Kubernetes' programs are not built", "start with `cargo xtask`, which builds them"));
        }
        self.hold()?;
        if !self.folders.pki().is_dir() {
            live.say(ADMINISTRATORS);
        }
        self.folders.create(&NODES)?;
        ownership::claim(self.number)?;
        addresses.keep(&self.folders)?;
        self.note_registries(live)?;
        programs::link(&self.folders, &self.paths.programs, tools)?;
        proxy::create_login(&self.folders)?;
        keys::create(&self.folders.pki(), addresses)?;
        keys::renew(&self.folders.pki(), addresses)?;
        self.write_kubeconfig()?;
        for index in 0..NODES.len() {
            components::write_configs(&self.folders, addresses, index, kube_proxy, pause)?;
        }
        self.network.create(addresses)
    }

    /// Containerd looks into the user's folder at each pull, so that it must be there when the nodes start.
    fn note_registries(&self, live: &Live) -> Result<()> {
        let folder = self.paths.registries();
        caller::folder(&folder)?;
        for file in registries::hidden_files(&folder) {
            live.say(&format!(
                "warning: nodes don't see {}: put it beside the hosts.toml that names it",
                file.display()
            ));
        }
        write_whole(&self.folders.registries_note(), &folder.to_string_lossy())
    }

    fn write_kubeconfig(&self) -> Result<()> {
        let ours = fs::read_to_string(self.folders.pki().join("admin.kubeconfig"))?;
        let path = self.kubeconfig();
        caller::folder(path.parent().context("the kubeconfig lies in a folder")?)?;
        caller::write(&path, ours, SECRET)
    }

    /// The API server's first answer, and what only an administrator may do: the control plane's label, cluster DNS.
    async fn furnish(&self, live: &Live) -> Result<()> {
        let client =
            wait::poll("the API server", self.timeout, live, || async { kubernetes::ready(self.client()?).await })
                .await?;
        let mut applier = Applier::new(client.clone(), true, live);
        applier.apply(self.dns_objects()?).await.context("failed to install cluster DNS")?;
        let refusal = manifest::read(&self.paths.checkout.join("manifests/lab2/network-policies.yaml"))?;
        applier.apply(refusal).await.context("failed to refuse NetworkPolicies, which nothing enforces")?;
        wait::poll("the control plane's node", self.timeout, live, || label_control_plane(&client)).await?;
        wait::poll("every node and cluster DNS", self.timeout, live, || self.is_ready()).await
    }

    /// Cluster DNS has the tenth address of the Services' range; the manifest has that of cluster 1.
    fn dns_objects(&self) -> Result<Vec<DynamicObject>> {
        let mut objects = manifest::read(&self.paths.checkout.join("manifests/lab2/coredns.yaml"))?;
        let (first, ours) = (Addresses::first(1).dns().to_string(), Addresses::of(&self.folders)?.dns().to_string());
        for object in &mut objects {
            manifest::rewrite(&mut object.data, &|text| (text == first).then(|| ours.clone()));
        }
        Ok(objects)
    }
}

/// A kubelet may not give itself this label (NodeRestriction).
async fn label_control_plane(client: &Client) -> Result<(), NotYet> {
    let label = json!({ "metadata": { "labels": { "node-role.kubernetes.io/control-plane": "" } } });
    let nodes = Api::<Node>::all(client.clone());
    nodes.patch(NODES[0], &PatchParams::default(), &Patch::Merge(label)).await?;
    Ok(())
}

/// Loads images into all nodes at once.
async fn load(nodes: Vec<Containerd>, images: &[Image]) -> Result<Outcome> {
    let loads =
        nodes.into_iter().map(|containerd| {
            let images = images.to_vec();
            async move {
                tokio::task::spawn_blocking(move || containerd.load(&images)).await.context("failed to load images")?
            }
        });
    let outcomes = try_join_all(loads).await?;
    Ok(if outcomes.contains(&Outcome::Changed) { Outcome::Changed } else { Outcome::Unchanged })
}

#[async_trait]
impl Cluster for Host {
    fn name(&self) -> &str {
        &self.name
    }

    fn kubeconfig(&self) -> PathBuf {
        self.paths.kubeconfig(&self.name)
    }

    fn context(&self) -> &str {
        "ebpf"
    }

    fn ours(&self) -> bool {
        true
    }

    fn images(&self) -> &'static [&'static str] {
        &["pause", "coredns"]
    }

    fn ails(&self) -> Option<Obstacle> {
        endings::obstacle(&self.folders)
    }

    fn refuse_strangers(&self) -> Result<()> {
        ownership::refuse_strangers(self.number)
    }

    async fn up(&self, live: &Live) -> Result<Outcome> {
        if self.is_up().await {
            return Ok(Outcome::Unchanged);
        }
        modes::all_read();
        let plan = self.plan(live)?;
        let addresses = plan.addresses;
        inotify::see_room(&self.places().collect::<Vec<_>>())?;
        if !self.registries.is_empty() {
            self.see_registries(live).await?;
        }
        let images = images::build(&self.paths, live, &[self.images(), self.labs_images].concat())?;
        self.prepare(&images::reference("pause"), plan, live)?;
        if self.pulls {
            self.proxy.start(addresses, live).await?;
        }
        let seed = seed::of_images(&self.paths, &self.folders, &images, live).await?;
        for place in self.places() {
            seed::plant(&seed, &self.folders.node(place.name()).join("containerd"))?;
            node::start(&place)?;
        }
        self.furnish(live).await?;
        Ok(Outcome::Changed)
    }

    async fn down(&self, live: &Live) -> Result<Outcome> {
        let there = self.folders.data.exists() || self.folders.run.exists() || self.kubeconfig().exists();
        self.hold()?;
        live.waiting("ending the cluster's processes");
        cgroups::remove(self.number)?;
        self.network.remove()?;
        self.folders.remove()?;
        if self.kubeconfig().exists() {
            as_caller(|| fs::remove_file(self.kubeconfig())).context("failed to remove the kubeconfig")?;
        }
        Ok(if there { Outcome::Changed } else { Outcome::Unchanged })
    }

    fn up_in_shell(&self) -> String {
        "cargo xtask lab 2    # starts etcd, Kubernetes and containerd in namespaces of their own; see crates/lab/src/cluster/host".to_owned()
    }

    fn down_in_shell(&self) -> String {
        let (number, data, run) = (self.number, self.folders.data.display(), self.folders.run.display());
        format!(
            "# ends every process in the cgroups ebpf-lab/{number} and removes these, the cluster's network namespaces, links and\n\
             # routes, and its kubeconfig; see crates/lab/src/cluster/host\n\
             rm --recursive {data} {run} {}",
            self.kubeconfig().display()
        )
    }

    async fn load_images(&self, images: &[Image], live: &Live) -> Result<Outcome> {
        self.hold()?;
        live.waiting("loading images into the nodes");
        load(NODES.map(|node| Containerd::of_node(&self.folders, node)).to_vec(), images).await
    }

    fn needs_metallb(&self) -> bool {
        true
    }

    fn load_balancer_range(&self) -> Result<String> {
        let [a, b, c, _] = Addresses::of(&self.folders)?.load_balancers().base.octets();
        Ok(format!("{a}.{b}.{c}.1-{a}.{b}.{c}.254"))
    }

    async fn reach(&self, client: &Client, port: &ServicePort) -> Result<String> {
        balanced(client, port).await
    }

    fn addresses(&self) -> Vec<String> {
        Addresses::of(&self.folders).unwrap_or(Addresses::first(self.number)).inside()
    }

    fn state(&self) -> Result<State> {
        let running = self.places().all(|place| node::is_kept(&place));
        Ok(State { running, memory: memory::by_component(self.number) })
    }

    async fn diagnostics(&self, into: &Path) -> Result<()> {
        for entry in fs::read_dir(self.folders.logs()).context("failed to find the components' logs")? {
            let entry = entry?;
            caller::write(&into.join(entry.file_name()), fs::read(entry.path())?, OPEN)?;
        }
        Ok(())
    }
}

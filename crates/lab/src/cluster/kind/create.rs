//! Making a kind cluster and taking it away: all of it or nothing, and never anybody else's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    Kind, Surroundings, WORKERS, cloud_provider,
    config::Config,
    engine::{Container, Engine, kind_version, network_name},
    failures, kubeconfig, ours,
    registries::{self, Between},
};
use crate::{
    caller::{self, OPEN, SECRET},
    cluster::Cluster,
    cmd,
    error::{refusal, unfit},
    kubernetes::{self, Way},
    live::Live,
    wait::{self, NotYet},
};

/// Logs of more bytes are not searched for a failure that is known.
const MOST_LOG: u64 = 4 << 20;

impl Kind {
    pub(super) fn workers(&self) -> u8 {
        self.options.workers.unwrap_or(WORKERS)
    }

    /// Refuses, before anything is made, what could not become a cluster.
    pub(super) fn refuse_what_is_taken(&self, engine: &Engine) -> Result<()> {
        kind_version()?;
        if !engine.is_local() {
            cloud_provider::refuse_without()?;
        }
        let mut others = ours(&self.paths).into_iter().filter(|(folder, _)| *folder != self.name);
        if let Some((_, other)) = others.find(|(_, config)| config.has_number(self.number)) {
            return Err(unfit(
                format!("kind cluster {} has the addresses of number {} already", other.name(), self.number),
                "choose another with --number N; --number auto takes one that is free",
            ));
        }
        let obstacle = Surroundings::of(engine)?.obstacle(self.number);
        obstacle.map_or(Ok(()), |obstacle| Err(refusal(obstacle)))
    }

    /// Makes the cluster; what an earlier attempt left goes first, and a failed one leaves only its logs.
    pub(super) async fn create(&self, engine: &Engine, live: &Live) -> Result<()> {
        self.refuse_what_is_taken(engine)?;
        let image = self.image()?;
        engine.refuse_without_bpf(&image)?;
        self.delete(engine).await?;
        self.note_network(engine)?;
        self.write_config(&image)?;
        let kinds = self.folder().join("kubeconfig.kind");
        let create = engine.kind(&["create", "cluster", "--retain", "--name", &self.cluster], &kinds);
        let create = create.arg("--config").arg(self.config_file()).arg("--kubeconfig").arg(&kinds);
        // The nodes get the proxies of its environment.
        let create = create.directly_to(&registries::caches());
        if let Err(failed) = create.follow(|line| live.waiting(line)).await {
            return Err(self.give_up(engine, failed, live).await);
        }
        self.note_network(engine)?;
        let text = fs::read_to_string(&kinds).context("failed to read the kubeconfig that kind wrote")?;
        caller::write(&self.kubeconfig(), kubeconfig::renamed(&text)?, SECRET)?;
        fs::remove_file(&kinds).context("failed to remove the kubeconfig that kind wrote")
    }

    fn write_config(&self, image: &str) -> Result<()> {
        let registries = self.registries();
        caller::folder(&registries)?;
        registries::describe(&registries, &self.between, &self.paths.registries())?;
        let config = Config::new(&self.cluster, self.number, self.workers(), image, &registries);
        caller::write(&self.config_file(), config.to_yaml()?, OPEN)
    }

    /// Starts nodes that were stopped. Engines give the lowest address that is free: in the old order each node has its old one
    /// again, by which the others know it.
    pub(super) fn start(&self, engine: &Engine, nodes: &[Container], live: &Live) -> Result<()> {
        let order = fs::read_to_string(self.order_file()).unwrap_or_default();
        let place = |node: &&Container| order.lines().position(|name| name == node.name);
        let mut stopped: Vec<_> = nodes.iter().filter(|node| !node.running).collect();
        stopped.sort_by_key(place);
        for node in stopped {
            live.waiting(format!("starting node {}", node.name));
            engine.command(&["start", &node.name]).run()?;
        }
        Ok(())
    }

    fn note_order(&self, engine: &Engine) -> Result<()> {
        let mut nodes = engine.nodes(&self.cluster)?;
        nodes.sort_by_key(|node| node.address);
        let names: String = nodes.iter().map(|node| format!("{}\n", node.name)).collect();
        caller::write(&self.order_file(), names, OPEN)
    }

    /// What brings a cluster whose nodes run to where labs can use it.
    pub(super) async fn furnish(&self, engine: &Engine, live: &Live) -> Result<()> {
        if matches!(self.between, Between::Caches) {
            registries::start_caches(engine, live).await;
        }
        if !engine.is_local() {
            cloud_provider::start(&self.folder())?;
        }
        let client = wait::poll("the API server", self.timeout, live, || async {
            kubernetes::ready(kubernetes::client(&self.kubeconfig(), kubeconfig::CONTEXT, Way::Direct)?).await
        })
        .await?;
        wait::poll("cluster DNS to be wanted", self.timeout, live, || want_dns(&client)).await?;
        let count = usize::from(self.workers()) + 1;
        let count = Config::read(&self.config_file()).map_or(count, |config| config.workers() + 1);
        wait::poll("every node and cluster DNS", self.timeout, live, || self.is_ready(count)).await?;
        self.note_order(engine)
    }

    /// Whether this many nodes are Ready and cluster DNS answers, asked once.
    pub(super) async fn is_ready(&self, count: usize) -> Result<(), NotYet> {
        let client = kubernetes::client(&self.kubeconfig(), kubeconfig::CONTEXT, Way::Direct)?;
        kubernetes::nodes::usable(&client, count).await
    }

    /// Removes the cluster's containers, with no kubeconfig but a file of ours to be edited.
    pub(super) async fn delete(&self, engine: &Engine) -> Result<()> {
        let kinds = self.folder().join("kubeconfig.kind");
        let delete = engine.kind(&["delete", "cluster", "--name", &self.cluster], &kinds);
        delete.arg("--kubeconfig").arg(&kinds).follow(|_| {}).await?;
        for file in [kinds, self.folder().join("kubeconfig.kind.lock"), self.kubeconfig()] {
            // A cluster that was never finished has none.
            let _ = fs::remove_file(file);
        }
        Ok(())
    }

    /// A cluster that could not be made: what kind said is shown, the nodes' logs are kept, their containers removed, and the
    /// cause is named if it is known.
    async fn give_up(&self, engine: &Engine, failed: cmd::Failed, live: &Live) -> anyhow::Error {
        live.say(&failed.to_string());
        let logs = self.keep_logs(engine, live).await.map(|logs| text_below(&logs)).unwrap_or_default();
        let said = failed.stderr.unwrap_or_default();
        let known = failures::explain(&said).or_else(|| failures::explain_logs(&logs));
        if let Err(error) = self.delete(engine).await.and_then(|()| self.forget()) {
            live.say(&format!("what was made could not be removed: {}", crate::error::message(&error)));
        }
        match known {
            Some((what, fix)) => unfit(what, fix),
            None => {
                let last = said.trim().lines().next_back().unwrap_or("it says nothing").to_owned();
                let hint = "`cargo xtask doctor --on kind` looks for the usual causes; --on host needs no Docker";
                unfit(format!("kind could not make the cluster: {last}"), hint)
            }
        }
    }

    async fn keep_logs(&self, engine: &Engine, live: &Live) -> Result<PathBuf> {
        let folder = lab_engine::diagnostics::folder(&self.paths, &self.name)?;
        self.export_logs(engine, &folder).await?;
        live.say(&format!("the nodes' logs: {}", folder.display()));
        Ok(folder)
    }

    pub(super) async fn export_logs(&self, engine: &Engine, into: &Path) -> Result<()> {
        caller::folder(into)?;
        let export = engine.kind(&["export", "logs", "--name", &self.cluster], &self.kubeconfig());
        export.arg(into).follow(|_| {}).await?;
        Ok(())
    }

    /// Notes that the network is ours if there is none before the first cluster, and which it is once there is.
    fn note_network(&self, engine: &Engine) -> Result<()> {
        let note = self.paths.state.join("kind-network");
        match engine.network()? {
            None => {
                caller::folder(&self.paths.state)?;
                caller::write(&note, "", OPEN)
            }
            Some(network) if fs::read_to_string(&note).is_ok_and(|id| id.is_empty()) => {
                caller::write(&note, network.id, OPEN)
            }
            Some(_) => Ok(()),
        }
    }

    /// Once the last cluster is gone, the network goes too if it came with one of ours: its addresses are in the way of
    /// others. kind leaves it.
    pub(super) fn leave_the_network(&self, engine: &Engine) -> Result<()> {
        registries::stop_caches(engine)?;
        let note = self.paths.state.join("kind-network");
        let Ok(id) = fs::read_to_string(&note) else { return Ok(()) };
        let network = engine.network()?;
        let in_use = network.as_ref().is_some_and(|network| network.id == id && !network.containers.is_empty());
        if in_use {
            return Ok(());
        }
        if network.is_some_and(|network| network.id == id) {
            engine.command(&["network", "rm", &network_name()]).run()?;
        }
        fs::remove_file(&note).context("failed to forget kind's network")
    }
}

/// A cluster DNS that was scaled to nothing is brought back; what else kind made of it stays.
async fn want_dns(client: &Client) -> Result<(), NotYet> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "kube-system");
    let dns = deployments.get("coredns").await?;
    if dns.spec.is_some_and(|spec| spec.replicas == Some(0)) {
        let two = json!({ "spec": { "replicas": 2 } });
        deployments.patch("coredns", &PatchParams::default(), &Patch::Merge(two)).await?;
    }
    Ok(())
}

/// The text of the files in a folder, as far as it is worth searching.
fn text_below(folder: &Path) -> String {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let small = files.filter(|entry| entry.metadata().is_ok_and(|meta| meta.len() < MOST_LOG));
    small
        .filter_map(|entry| fs::read(entry.path()).ok())
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect()
}

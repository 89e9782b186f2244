//! Kubernetes in containers: kind, on Docker or Podman, both called as commands.
//!
//! Reading order: [`config`] is what kind is told, [`engine`] what runs it; [`node_image`],
//! [`registries`] and [`load`] are what the nodes run. A cluster is ours if its containers mount a folder of our state; one of
//! the same name that does not is neither used nor removed.

mod cloud_provider;
mod config;
mod create;
mod engine;
mod failures;
mod kubeconfig;
mod load;
mod memory;
mod node_image;
mod registries;

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use kube::Client;
use lab_cli::{
    KindOptions, Machine, Obstacle, Options, Paths,
    network::{self, Network},
    taken::{Taken, taken},
};

use self::{
    config::Config,
    engine::{Container, Engine},
    registries::Between,
};
use crate::{
    cluster::{Cluster, Needs, State, balanced},
    cmd::Here,
    error::unfit,
    images::Image,
    kubernetes::ServicePort,
    live::Live,
    outcome::Outcome,
};

/// Beside the control plane, as in the workshop.
const WORKERS: u8 = 2;

/// A kind cluster.
pub struct Kind {
    number: u8,
    /// kind's name for it, such as `ebpf`.
    cluster: String,
    /// Ours, such as `kind-ebpf`.
    name: String,
    paths: Paths,
    options: KindOptions,
    between: Between,
    timeout: Duration,
}

/// What there is of a cluster that is ours.
enum Standing {
    Absent,
    /// Its making was cut short.
    Half,
    Whole(Vec<Container>),
}

impl Kind {
    /// # Errors
    /// A mirror that is no URL.
    pub fn new(paths: &Paths, options: &Options, number: u8, needs: Needs) -> Result<Self> {
        let between = match &options.kind.mirror {
            Some(url) => registries::mirror(url)?,
            None if !needs.registries.is_empty() => Between::Caches,
            None => Between::Nothing,
        };
        Ok(Self {
            number,
            name: options.cluster_name(number),
            cluster: options.kind.cluster(number),
            paths: paths.clone(),
            options: options.kind.clone(),
            between,
            timeout: options.timeout,
        })
    }

    /// What we keep of it.
    fn folder(&self) -> PathBuf {
        self.paths.state.join(&self.name)
    }

    fn config_file(&self) -> PathBuf {
        self.folder().join("kind.yaml")
    }

    /// Mounted into every node: what the nodes know of registries, and our mark on them.
    fn registries(&self) -> PathBuf {
        self.folder().join("registries")
    }

    /// The nodes' names in the order of their addresses.
    fn order_file(&self) -> PathBuf {
        self.folder().join("nodes")
    }

    /// Looks at the containers of the cluster's name.
    ///
    /// # Errors
    /// They are somebody else's.
    fn look(&self, engine: &Engine) -> Result<Standing> {
        let nodes = engine.nodes(&self.cluster)?;
        if nodes.is_empty() {
            return Ok(Standing::Absent);
        }
        if !nodes.iter().all(|node| node.mounts(&self.registries())) {
            return Err(unfit(
                format!(
                    "there is a kind cluster {} already, and this workshop did not make it: it is left alone",
                    self.cluster
                ),
                format!(
                    "choose another name with --name, or remove it yourself: `kind delete cluster --name {}`",
                    self.cluster
                ),
            ));
        }
        let Some(config) = Config::read(&self.config_file()) else { return Ok(Standing::Half) };
        let mut names: Vec<_> = nodes.iter().map(|node| node.name.clone()).collect();
        let mut expected = config.node_names();
        names.sort();
        expected.sort();
        let whole = names == expected && self.kubeconfig().is_file();
        Ok(if whole { Standing::Whole(nodes) } else { Standing::Half })
    }

    /// The nodes of the cluster, which must be there.
    fn nodes(&self, engine: &Engine) -> Result<Vec<Container>> {
        match self.look(engine)? {
            Standing::Whole(nodes) => Ok(nodes),
            _ => Err(unfit(format!("there is no kind cluster {}", self.cluster), "start it: `cargo xtask lab 2`")),
        }
    }

    /// Refuses to go on with a cluster that was made otherwise than the command line asks.
    fn refuse_other_shape(&self) -> Result<()> {
        let Some(config) = Config::read(&self.config_file()) else { return Ok(()) };
        let workers = self.options.workers.filter(|workers| usize::from(*workers) != config.workers());
        let image = self.options.node_image.as_ref().filter(|image| *image != config.image());
        let difference = if !config.has_number(self.number) {
            format!("has not the addresses of --number {}", self.number)
        } else if let Some(workers) = workers {
            format!("has {} workers, not {workers}", config.workers())
        } else if let Some(image) = image {
            format!("has nodes of {}, not of {image}", config.image())
        } else {
            return Ok(());
        };
        Err(unfit(
            format!("kind cluster {} is there and {difference}", self.cluster),
            "`cargo xtask clean` with the same --name and --number removes it; or leave these flags out",
        ))
    }

    /// Removes what we keep of a cluster that is gone.
    fn forget(&self) -> Result<bool> {
        let files = [self.kubeconfig(), self.config_file(), self.order_file()];
        let there = files.iter().any(|file| file.exists());
        for file in files.iter().filter(|file| file.exists()) {
            fs::remove_file(file).with_context(|| format!("failed to remove {}", file.display()))?;
        }
        if self.registries().exists() {
            fs::remove_dir_all(self.registries()).context("failed to remove what the nodes knew of registries")?;
        }
        Ok(there)
    }
}

/// The configurations of our kind clusters, by the names of their folders.
fn ours(paths: &Paths) -> Vec<(String, Config)> {
    let folders = fs::read_dir(&paths.state).into_iter().flatten().flatten();
    let config = |folder: fs::DirEntry| {
        let name = folder.file_name().into_string().ok()?;
        Some((name, Config::read(&folder.path().join("kind.yaml"))?))
    };
    folders.filter_map(config).collect()
}

/// The cluster numbers that kind clusters have, ours or anybody's who gives them the same names, and those whose addresses are taken.
pub fn numbers_in_use(paths: &Paths) -> impl Fn(u8) -> bool + use<> {
    let ours: Vec<_> = ours(paths).into_iter().map(|(_, config)| config).collect();
    // Without an engine there are no others.
    let engine = Engine::find().ok();
    let others = engine.as_ref().and_then(|engine| engine.clusters().ok()).unwrap_or_default();
    let surroundings = engine.and_then(|engine| Surroundings::of(&engine).ok());
    move |number| {
        ours.iter().any(|config| config.has_number(number))
            || others.contains(&KindOptions::default_cluster(number))
            || surroundings.as_ref().is_some_and(|surroundings| surroundings.obstacle(number).is_some())
    }
}

/// What a cluster's addresses must not meet.
struct Surroundings {
    network: Option<Network>,
    taken: Vec<Taken>,
    name_servers: Vec<IpAddr>,
}

impl Surroundings {
    /// Those of an engine in a virtual machine are not this machine's to see.
    fn of(engine: &Engine) -> Result<Self> {
        if !engine.is_local() {
            return Ok(Self { network: None, taken: vec![], name_servers: vec![] });
        }
        // Whoever has no `ip` has an engine all the same, which looks after its addresses itself.
        let taken = taken(&Here).unwrap_or_default();
        Ok(Self { network: engine.network()?, taken, name_servers: Here.name_servers() })
    }

    fn obstacle(&self, number: u8) -> Option<Obstacle> {
        network::obstacle(self.network.as_ref(), number, &self.taken, &self.name_servers)
    }
}

#[async_trait]
impl Cluster for Kind {
    fn name(&self) -> &str {
        &self.name
    }

    fn kubeconfig(&self) -> PathBuf {
        self.paths.kubeconfig(&self.name)
    }

    fn context(&self) -> &str {
        kubeconfig::CONTEXT
    }

    fn ours(&self) -> bool {
        true
    }

    fn fetch_in_shell(&self) -> Option<String> {
        Some(format!("docker pull {}", self.likely_image()))
    }

    async fn fetch(&self, live: &Live) -> Result<Outcome> {
        let engine = Engine::find()?;
        match self.look(&engine)? {
            Standing::Whole(_) => Ok(Outcome::Unchanged),
            _ => {
                self.refuse_what_is_taken(&engine)?;
                node_image::pull(&engine, &self.image()?, live).await
            }
        }
    }

    async fn up(&self, live: &Live) -> Result<Outcome> {
        let engine = Engine::find()?;
        let standing = self.look(&engine)?;
        if let Standing::Whole(nodes) = &standing {
            self.refuse_other_shape()?;
            registries::describe(&self.registries(), &self.between, &self.paths.registries())?;
            if nodes.iter().all(|node| node.running) && self.is_ready(nodes.len()).await.is_ok() {
                return Ok(Outcome::Unchanged);
            }
            self.start(&engine, nodes, live)?;
        } else {
            self.create(&engine, live).await?;
        }
        self.furnish(&engine, live).await?;
        Ok(Outcome::Changed)
    }

    async fn down(&self, live: &Live) -> Result<Outcome> {
        let engine = match Engine::find() {
            Ok(engine) => engine,
            // Without an engine there is no cluster, unless we know of one.
            Err(_) if !self.config_file().exists() => return Ok(Outcome::Unchanged),
            Err(error) => return Err(error.context(format!("kind cluster {} can't be removed", self.cluster))),
        };
        live.waiting("removing the nodes");
        let there = !matches!(self.look(&engine)?, Standing::Absent);
        if there {
            self.delete(&engine).await?;
        }
        if !engine.is_local() {
            cloud_provider::stop(&engine, &self.cluster, &self.folder())?;
        }
        let known = self.forget()?;
        self.leave_the_network(&engine)?;
        Ok(if there || known { Outcome::Changed } else { Outcome::Unchanged })
    }

    fn up_in_shell(&self) -> String {
        let config = Config::new(&self.cluster, self.number, self.workers(), &self.likely_image(), &self.registries());
        format!(
            "kind create cluster --name {} --kubeconfig {} --config - <<'END'\n{}END",
            self.cluster,
            self.kubeconfig().display(),
            config.to_yaml().unwrap_or_default()
        )
    }

    fn down_in_shell(&self) -> String {
        format!(
            "kind delete cluster --name {} --kubeconfig {}\nrm --recursive {}",
            self.cluster,
            self.kubeconfig().display(),
            self.folder().display()
        )
    }

    async fn load_images(&self, images: &[Image], live: &Live) -> Result<Outcome> {
        let engine = Engine::find()?;
        let missing = load::missing(&engine, &self.nodes(&engine)?, images)?;
        if missing.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let archive = tokio::task::block_in_place(|| load::archive(&missing))?;
        let megabytes = missing.iter().map(|image| image.size).sum::<u64>() / 1_000_000;
        live.waiting(format!("loading {} images, {megabytes} MB, into each node", missing.len()));
        let load = engine.kind(&["load", "image-archive", "--name", &self.cluster], &self.kubeconfig());
        load.arg(archive.path()).follow(|_| {}).await.map_err(load::failed)?;
        Ok(Outcome::Changed)
    }

    fn needs_metallb(&self) -> bool {
        // Until an engine answers, the usual one is expected.
        Engine::find().map_or(true, |engine| engine.is_local())
    }

    fn load_balancer_range(&self) -> Result<String> {
        let network = Engine::find()?.network()?.context("kind's nodes have no network")?;
        let (first, last) = network.pool(self.number).context("the nodes' network is too small")?;
        Ok(format!("{first}-{last}"))
    }

    async fn reach(&self, client: &Client, port: &ServicePort) -> Result<String> {
        let engine = Engine::find()?;
        if engine.is_local() {
            balanced(client, port).await
        } else {
            cloud_provider::address(&engine, &self.cluster, port)
        }
    }

    fn addresses(&self) -> Vec<String> {
        let network = Engine::find().and_then(|engine| engine.network()).ok().flatten().map(|network| network.range);
        let ranges = network.into_iter().chain([network::pods(self.number), network::services(self.number)]);
        ranges.map(|range| range.to_string()).chain(network::NAMES.map(str::to_owned)).collect()
    }

    fn state(&self) -> Result<State> {
        let nodes = Engine::find().and_then(|engine| Ok((self.nodes(&engine)?, engine)));
        Ok(nodes.map_or_else(
            |_| State { running: false, memory: vec![] },
            |(nodes, engine)| State {
                running: nodes.iter().all(|node| node.running),
                memory: memory::by_component(&engine, &nodes),
            },
        ))
    }

    async fn diagnostics(&self, into: &Path) -> Result<()> {
        self.export_logs(&Engine::find()?, into).await
    }
}

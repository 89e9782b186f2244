//! What every lab step and check gets: where things lie, what was asked for, and the cluster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Result;
use lab_cli::{
    Options, Paths,
    pins::{Pins, pins},
};
use tokio::sync::OnceCell;

use crate::{
    cluster::{self, Cluster, Needs},
    cmd::Cmd,
    images::Image,
    kubernetes::{self, Way},
    number,
    profile::{self, Profile},
};

/// One run of the workshop; cheap to clone.
#[derive(Clone)]
pub struct Workshop {
    pub paths: Arc<Paths>,
    pub options: Arc<Options>,
    /// Which of the clusters side by side.
    pub number: u8,
    pub cluster: Arc<dyn Cluster>,
    pub profile: Arc<dyn Profile>,
    pub pins: Arc<Pins>,
    /// Our images, once somebody built them, or asked a registry for them.
    pub known_images: Arc<OnceCell<Vec<Image>>>,
    client: Arc<OnceCell<kube::Client>>,
    /// Whether the API server has ever answered.
    answered: Arc<AtomicBool>,
}

impl Workshop {
    pub fn new(paths: Paths, options: Options) -> Result<Self> {
        let number = number::resolve(&paths, options.number, cluster::numbers_in_use(&paths, &options))?;
        let pins = pins()?;
        let profile = profile::choose(&options, &pins);
        let needs = Needs { images: profile.images(), registries: profile.registries() };
        let cluster = cluster::choose(&paths, &options, number, needs)?;
        let (paths, options, pins) = (Arc::new(paths), Arc::new(options), Arc::new(pins));
        let (known_images, client, answered) = Default::default();
        Ok(Self { paths, options, number, cluster, profile, pins, known_images, client, answered })
    }

    /// A client of the cluster, made once; never of the user's current context.
    ///
    /// # Errors
    /// There is no kubeconfig, or nobody answers.
    pub async fn client(&self) -> Result<kube::Client> {
        let client = self.client_unasked().await?;
        // Checks side by side ask side by side.
        if !self.answered.load(Relaxed) {
            kubernetes::reach(&client).await?;
            self.answered.store(true, Relaxed);
        }
        Ok(client)
    }

    /// The same, whether or not anybody answers.
    pub async fn client_unasked(&self) -> Result<kube::Client> {
        let (kubeconfig, context) = (self.cluster.kubeconfig(), self.cluster.context());
        let way = if self.cluster.ours() { Way::Direct } else { Way::AsConfigured };
        self.client.get_or_try_init(|| async { kubernetes::client(&kubeconfig, context, way) }).await.cloned()
    }

    /// The built-in kubectl on the cluster, as the user: what it writes, and what it keeps at home, is theirs.
    pub fn kubectl(&self) -> Cmd {
        let kubectl = Cmd::new(self.paths.programs.join("bin/hyperkube")).arg("kubectl");
        kubectl.env("KUBECONFIG", self.cluster.kubeconfig()).directly_to(&self.cluster.addresses()).as_caller()
    }

    /// Our images that the cluster and the labs need, by the last part of their names.
    pub fn images(&self) -> Vec<&'static str> {
        [self.cluster.images(), self.profile.images()].concat()
    }

    /// The longest that one step may take.
    pub fn timeout(&self) -> Duration {
        self.options.timeout
    }
}

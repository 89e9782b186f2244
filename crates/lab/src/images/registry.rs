//! The labs' images in a registry. What is pushed to it are first the blobs that it lacks, last the tags, its digests held against
//! ours.

use anyhow::Result;
use futures::TryStreamExt;
use lab_cli::{Registry, cli::PushOptions};
use oci::layout::{Blob, Layout};
use oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;
use oci_registry::{
    client::{Client, Operation, Options},
    credentials,
};

use super::{FAMILY, Image, TAG};
use crate::{error::unfit_for, live::Live};

/// A registry, to push to or to ask what it has.
pub struct Pushes {
    registry: Registry,
    client: Client,
}

impl Pushes {
    /// Finds out whether the registry is there, how it wants to be spoken to, and what login there is for it.
    pub async fn new(registry: &Registry, options: &PushOptions) -> Result<Self> {
        let options = Options {
            plain_http: options.plain_http,
            insecure: false,
            authority: options.registry_ca.clone(),
            login: None,
            configs: credentials::docker_config().into_iter().collect(),
            login_command: "docker login",
            user_agent: concat!("ebpf-lab/", env!("CARGO_PKG_VERSION")),
        };
        // One image is as good as another to see whether anybody answers.
        let repository = repository(registry, "bee");
        let client =
            Client::connect(&registry.host, &repository, Operation::Push, &options).await.map_err(unfit_for)?;
        Ok(Self { registry: registry.clone(), client })
    }

    /// Sends the layers and the config that the registry lacks; answers how many bytes that were.
    pub async fn send(&self, image: &Image, layout: &Layout, live: &Live) -> Result<u64> {
        let client = self.of(image.name()).await?;
        let mut sent = 0;
        for blob in &layout.blobs {
            if !client.has(&blob.digest).await.map_err(unfit_for)? {
                send_blob(&client, (image.name(), layout, blob), live).await?;
                sent += blob.size;
            }
        }
        Ok(sent)
    }

    /// Gives the image its tag, and sees that under it the registry has just these bytes.
    pub async fn tag(&self, image: &Image, layout: &Layout) -> Result<()> {
        let client = self.of(image.name()).await?;
        client.tag(TAG, OCI_IMAGE_MEDIA_TYPE, layout.manifest.clone()).await.map_err(unfit_for)
    }

    /// The digest of what the registry has as the image of this name, if it has any.
    pub async fn digest(&self, name: &str) -> Result<Option<String>> {
        self.of(name).await?.digest(TAG).await.map_err(unfit_for)
    }

    async fn of(&self, name: &str) -> Result<Client> {
        self.client.at(&repository(&self.registry, name), Operation::Push).await.map_err(unfit_for)
    }
}

async fn send_blob(client: &Client, (name, layout, blob): (&str, &Layout, &Blob), live: &Live) -> Result<()> {
    let bytes = layout.stream(blob).map_err(unfit_for)?;
    let (live, name, size, mut done) = (live.clone(), name.to_owned(), blob.size, 0);
    let bytes = bytes.inspect_ok(move |chunk| {
        done += chunk.len();
        live.waiting(format!("{name}: {:.1} of {:.1} MB", done as f64 / 1e6, size as f64 / 1e6));
    });
    client.send(&blob.digest, size, bytes).await.map_err(unfit_for)
}

fn repository(registry: &Registry, name: &str) -> String {
    let folders = if registry.path.is_empty() { FAMILY.to_owned() } else { format!("{}/{FAMILY}", registry.path) };
    format!("{folders}/{name}")
}

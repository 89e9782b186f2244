//! Images between this machine and a registry. What comes from there is bounded, and held against its digests, before any of it is
//! stored.

use futures::{Stream, TryStreamExt};
use indicatif::ProgressBar;
use oci::client::{Client, Operation, Options, ReadError};
use oci::{Image, layout};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, Platform};
use tokio_util::bytes::Bytes;

use crate::build::Architecture;
use crate::store::{self, Reference, Store};

/// Of every image that is pushed.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Of images for several processors.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} names no registry")]
    NoHost(Reference),

    #[error("the registry {host} has no {repository}:{tag}", host = .0.host().unwrap_or_default(), repository = .0.repository(), tag = .0.tag())]
    Unknown(Reference),

    #[error("{name} is no eBPF probe: {why}")]
    NoProbe { name: Reference, why: String },

    #[error(transparent)]
    Registry(#[from] oci::Error),

    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoHost(name) => Some(format!(
                "give it a name that begins with one: `bee tag {name} HOST/{name}`, as in ghcr.io/teacher/{name}"
            )),
            Self::Registry(error) => error.hint().map(str::to_owned),
            Self::Store(error) => error.hint(),
            Self::Unknown(_) | Self::NoProbe { .. } => None,
        }
    }
}

/// Sends an image of the store; answers its digest.
pub async fn push(store: &Store, name: &Reference, options: &Options, progress: &ProgressBar) -> Result<String, Error> {
    let image = store.image(name)?;
    let client = connect(name, Operation::Push, options).await?;
    progress.set_length(image.blobs.iter().map(|(descriptor, _)| descriptor.size()).sum());
    for (descriptor, bytes) in image.blobs {
        let bytes = futures::stream::iter([Ok(Bytes::from(bytes))]);
        send(&client, (descriptor.digest().as_ref(), descriptor.size()), bytes, progress).await?;
    }
    let digest = oci::digest::sha256(&image.manifest);
    client.tag(name.tag(), MANIFEST, image.manifest).await?;
    Ok(digest)
}

/// Fetches a probe into the store; answers its digest.
pub async fn pull(store: &Store, name: &Reference, options: &Options, progress: &ProgressBar) -> Result<String, Error> {
    let client = connect(name, Operation::Pull, options).await?;
    let (manifest, platform) = fetch_manifest(&client, name).await?;
    let no_probe = |why| Error::NoProbe { name: name.clone(), why };
    let parsed = probe_in(&manifest).map_err(no_probe)?;
    let named: Vec<_> = parsed.layers().iter().chain([parsed.config()]).collect();
    progress.set_length(named.iter().map(|descriptor| descriptor.size()).sum());
    let mut blobs = vec![];
    for descriptor in named {
        let bytes = client.blob(descriptor, store::MAX_PROGRAM, |done| progress.inc(done)).await?;
        blobs.push((descriptor.clone(), bytes));
    }
    Ok(store.put_image(name, &store::Image { manifest, platform, blobs })?)
}

/// What the registry has under a name; of an image for several processors that of this one.
async fn fetch_manifest(client: &Client, name: &Reference) -> Result<(Vec<u8>, Option<Platform>), Error> {
    let unknown = || Error::Unknown(name.clone());
    let (document, media_type) = client.manifest(name.tag(), store::MAX_JSON).await?.ok_or_else(unknown)?;
    if !INDEXES.contains(&media_type.as_str()) {
        return Ok((document, None));
    }
    let no_probe = |why: String| Error::NoProbe { name: name.clone(), why };
    let index: ImageIndex = serde_json::from_slice(&document).map_err(|why| no_probe(why.to_string()))?;
    let descriptor = index.manifests().iter().find(|it| is_for_this_machine(it));
    let descriptor =
        descriptor.ok_or_else(|| no_probe("it is there for other processors than this machine's".to_owned()))?;
    let manifest = client.manifest(descriptor.digest().as_ref(), store::MAX_JSON).await?.ok_or_else(unknown)?;
    Ok((manifest.0, descriptor.platform().clone()))
}

/// BumbleBee writes the kernel's word for the processor, not OCI's.
fn is_for_this_machine(descriptor: &Descriptor) -> bool {
    let Some(platform) = descriptor.platform() else { return false };
    let words = [Architecture::host().map_or("", Architecture::oci), std::env::consts::ARCH];
    words.contains(&platform.architecture().to_string().as_str())
}

/// The manifest, if it is that of a probe and of no more than a probe has.
fn probe_in(manifest: &[u8]) -> Result<ImageManifest, String> {
    let manifest: ImageManifest = serde_json::from_slice(manifest).map_err(|why| why.to_string())?;
    let kinds: Vec<_> = manifest.layers().iter().map(|layer| layer.media_type().to_string()).collect();
    match kinds.as_slice() {
        [kind] if kind == store::PROGRAM => Ok(manifest),
        [] => Err("it has no content".to_owned()),
        [kind, ..] => Err(format!("it holds {kind}, not {}", store::PROGRAM)),
    }
}

/// A registry, before anything is made that it would not take.
pub async fn connect(name: &Reference, operation: Operation, options: &Options) -> Result<Client, Error> {
    let host = name.host().ok_or_else(|| Error::NoHost(name.clone()))?;
    Ok(Client::connect(host, name.repository(), operation, options).await?)
}

/// Sends an archive's image; answers its digest.
pub async fn push_archive(client: &Client, image: &Image, tag: &str, progress: &ProgressBar) -> Result<String, Error> {
    let layout = layout::read(image)?;
    progress.set_length(layout.blobs.iter().map(|blob| blob.size).sum());
    for blob in &layout.blobs {
        send(client, (&blob.digest, blob.size), layout.stream(blob)?, progress).await?;
    }
    client.tag(tag, MANIFEST, layout.manifest).await?;
    Ok(image.digest.clone())
}

/// Sends a blob if the registry lacks it.
async fn send<S>(client: &Client, (digest, size): (&str, u64), bytes: S, progress: &ProgressBar) -> Result<(), Error>
where
    S: Stream<Item = Result<Bytes, ReadError>> + Send + 'static,
{
    if client.has(digest).await? {
        progress.inc(size);
        return Ok(());
    }
    let sent = progress.clone();
    Ok(client.send(digest, size, bytes.inspect_ok(move |piece| sent.inc(piece.len() as u64))).await?)
}

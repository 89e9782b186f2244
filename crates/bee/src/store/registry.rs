//! Images between this machine and a registry. What comes from there is files, and held against its digests, before any of it is
//! stored.

use std::io;

use futures::{Stream, TryStreamExt};
use indicatif::ProgressBar;
use jiff::Timestamp;
use oci::layout;
use oci_registry::client::{Client, Operation, Options};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType, Platform};
use tokio_util::bytes::Bytes;

use crate::allowance::MOST;
use crate::store::{self, Image, MOST_PLATFORMS, Manifest, Reference, Store};

/// Of every image that is pushed.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Of one image, on the way here.
const MOST_BYTES: u64 = MOST as u64;

/// What is fetched of an image for several processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    ThisMachine,
    All,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} has no registry")]
    NoHost(Reference),

    #[error("the registry {host} has no {name}", host = .0.host().unwrap_or_default(), name = name_there(.0))]
    Unknown(Reference),

    #[error("{name} is not an eBPF probe: {why}")]
    NoProbe { name: Reference, why: String },

    #[error(transparent)]
    Registry(#[from] oci::Error),

    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What a probe is called in its registry.
fn name_there(name: &Reference) -> &str {
    name.host().map_or(name.as_str(), |host| &name.as_str()[host.len() + 1..])
}

impl Error {
    fn no_probe(name: &Reference, why: String) -> Self {
        Self::NoProbe { name: name.clone(), why }
    }

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

/// Sends an image of the store, for all its processors; answers its digest.
pub async fn push(store: &Store, name: &Reference, options: &Options, progress: &ProgressBar) -> Result<String, Error> {
    let Image { index, manifests } = store.image(name)?;
    let client = connect(name, Operation::Push, options).await?;
    let blobs = manifests.iter().flat_map(|manifest| &manifest.blobs);
    progress.set_length(blobs.map(|(descriptor, _)| descriptor.size()).sum());
    let mut last = None;
    for Manifest { document, blobs, .. } in manifests {
        for (descriptor, bytes) in blobs {
            let bytes = futures::stream::iter([Ok(bytes)]);
            send(&client, (descriptor.digest().as_ref(), descriptor.size()), bytes, progress).await?;
        }
        let digest = oci::digest::sha256(&document);
        if index.is_some() {
            client.tag(&digest, MANIFEST, document.into()).await?;
        } else {
            last = Some((MANIFEST.to_owned(), document));
        }
    }
    // What the tag names comes last: whoever asks for it finds all of it.
    let named = index.map(|(media_type, document)| (media_type.to_string(), document)).or(last);
    let (media_type, document) = named.ok_or(store::Error::Empty)?;
    let digest = oci::digest::sha256(&document);
    client.tag(name.version(), &media_type, document.into()).await?;
    Ok(digest)
}

/// Fetches a probe into the store, for this machine or for all that it is there for; answers its digest.
pub async fn pull(
    store: &Store,
    name: &Reference,
    which: Which,
    options: &Options,
    progress: &ProgressBar,
) -> Result<String, Error> {
    let client = connect(name, Operation::Pull, options).await?;
    let found = find(&client, name, which).await?;
    let all = found.manifests.iter().flat_map(|(parsed, ..)| parts(parsed));
    let size = all.fold(0u64, |sum, part| sum.saturating_add(part.size()));
    if size > MOST_BYTES {
        return Err(Error::no_probe(name, format!("it has {size} bytes, more than any probe")));
    }
    progress.set_length(size);
    let mut manifests = vec![];
    for (parsed, document, platform) in found.manifests {
        let mut blobs = vec![];
        for descriptor in parts(&parsed) {
            let bytes = client.blob(descriptor, store::MAX_PROGRAM, |done| progress.inc(done)).await?;
            blobs.push((descriptor.clone(), Bytes::from(bytes)));
        }
        let config = blobs.last().and_then(|(_, config)| store::platform_of_config(config));
        manifests.push(Manifest { document, platform: platform.or(config), blobs });
    }
    Ok(store.put_image(name, Image { index: found.index, manifests }, Timestamp::now())?)
}

/// What the registry has under a name, without the blobs.
struct Found {
    index: Option<(MediaType, Bytes)>,
    manifests: Vec<(ImageManifest, Bytes, Option<Platform>)>,
}

async fn find(client: &Client, name: &Reference, which: Which) -> Result<Found, Error> {
    let found = client.manifest(name.version(), store::MAX_JSON).await?;
    let (document, media_type) = found.ok_or_else(|| Error::Unknown(name.clone()))?;
    let media_type = MediaType::from(media_type.as_str());
    if !store::is_index(&media_type) {
        let parsed = probe_in(&document).map_err(|why| Error::no_probe(name, why))?;
        return Ok(Found { index: None, manifests: vec![(parsed, document.into(), None)] });
    }
    let index: ImageIndex = serde_json::from_slice(&document).map_err(|why| Error::no_probe(name, why.to_string()))?;
    let mut manifests = vec![];
    for descriptor in which.select(&index).map_err(|why| Error::no_probe(name, why))? {
        let found = client.manifest(descriptor.digest().as_ref(), store::MAX_JSON).await?;
        let (manifest, _) = found.ok_or_else(|| Error::Unknown(name.clone()))?;
        let parsed = listed_probe(descriptor, &manifest).map_err(|why| Error::no_probe(name, why))?;
        manifests.push((parsed, manifest.into(), descriptor.platform().clone()));
    }
    Ok(Found { index: Some((media_type, document.into())), manifests })
}

impl Which {
    fn select(self, index: &ImageIndex) -> Result<Vec<&Descriptor>, String> {
        let manifests = index.manifests();
        match self {
            Self::All if manifests.len() > MOST_PLATFORMS => Err(format!("it is for {} processors", manifests.len())),
            Self::All if manifests.is_empty() => Err("it has no content".to_owned()),
            Self::All => Ok(manifests.iter().collect()),
            Self::ThisMachine => {
                let Some(mine) = manifests.iter().find(|it| store::is_for_this_machine(it)) else {
                    return Err("it is there for other processors than this machine's".to_owned());
                };
                Ok(vec![mine])
            }
        }
    }
}

fn listed_probe(descriptor: &Descriptor, manifest: &[u8]) -> Result<ImageManifest, String> {
    let (says, has) = (descriptor.size(), manifest.len());
    if says != has as u64 {
        return Err(format!("its index says {says} bytes of a manifest that has {has}"));
    }
    probe_in(manifest)
}

/// The program, then the config.
fn parts(manifest: &ImageManifest) -> impl Iterator<Item = &Descriptor> {
    manifest.layers().iter().chain([manifest.config()])
}

/// The manifest, if it is that of a probe and of no more than a probe has.
fn probe_in(manifest: &[u8]) -> Result<ImageManifest, String> {
    let manifest: ImageManifest = serde_json::from_slice(manifest).map_err(|why| why.to_string())?;
    store::one_program(&manifest).map(|()| manifest)
}

/// A registry, before anything is made that it would not take.
pub async fn connect(name: &Reference, operation: Operation, options: &Options) -> Result<Client, Error> {
    let host = name.host().ok_or_else(|| Error::NoHost(name.clone()))?;
    Ok(Client::connect(host, name.repository(), operation, options).await?)
}

/// Sends an archive's image; answers its digest.
pub async fn push_archive(
    client: &Client,
    image: &oci::Image,
    tag: &str,
    progress: &ProgressBar,
) -> Result<String, Error> {
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
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    if client.has(digest).await? {
        progress.inc(size);
        return Ok(());
    }
    let sent = progress.clone();
    Ok(client.send(digest, size, bytes.inspect_ok(move |piece| sent.inc(piece.len() as u64))).await?)
}

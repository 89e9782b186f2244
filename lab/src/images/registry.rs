//! Speaks to a registry. What is pushed to it are first the blobs that it lacks, last the tags, its digests held against ours.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use interface::{Registry, cli::PushOptions};
use oci_client::{
    Reference, RegistryOperation,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::OCI_IMAGE_MEDIA_TYPE,
    secrets::RegistryAuth,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{
    FAMILY, Image, TAG, credentials,
    layout::{Blob, Layout},
    refusal,
};
use crate::{error::unfit, live::Live, plain_http};

/// A registry that takes longer to be connected to is not there.
const CONNECT: Duration = Duration::from_secs(10);
/// How much of a blob is read at a time.
const CHUNK: usize = 256 << 10;

/// A registry, and who we are there: to push, or to ask what it has.
pub struct Client {
    registry: Registry,
    login: RegistryAuth,
    client: oci_client::Client,
}

impl Client {
    /// Finds out whether the registry is there, how it wants to be spoken to, and what login there is for it.
    pub async fn new(registry: &Registry, options: &PushOptions) -> Result<Self> {
        plain_http::use_ring();
        let authority = options.registry_ca.as_deref().map(certificates).transpose()?.unwrap_or_default();
        let is_plain = options.plain_http || authority.is_empty() && is_plain(registry).await?;
        let config = ClientConfig {
            protocol: if is_plain { ClientProtocol::Http } else { ClientProtocol::Https },
            // One request a blob: every registry takes it, not every one takes a blob in pieces.
            use_monolithic_push: true,
            extra_root_certificates: authority,
            connect_timeout: Some(CONNECT),
            user_agent: concat!("ebpf-lab/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = oci_client::Client::try_from(config).context("set up the client for the registry")?;
        let client = Self { registry: registry.clone(), login: credentials::of(&registry.host)?, client };
        // One image is as good as another to see whether anybody answers.
        client.log_in(&client.reference("bee")).await?;
        Ok(client)
    }

    /// Gets a token where the registry gives some; the name of a repository is part of it.
    async fn log_in(&self, reference: &Reference) -> Result<()> {
        let token = self.client.auth(reference, &self.login, RegistryOperation::Push).await;
        token.map(drop).map_err(|error| self.refused(reference, error))
    }

    /// Sends the layers and the config that the registry lacks; answers how many bytes that were.
    pub async fn send(&self, image: &Image, layout: &Layout, live: &Live) -> Result<u64> {
        let reference = self.reference(image.name());
        self.log_in(&reference).await?;
        let mut sent = 0;
        for blob in &layout.blobs {
            let known = self.client.blob_exists(&reference, &blob.digest).await;
            if !known.map_err(|error| self.refused(&reference, error))? {
                self.send_blob(&reference, layout, blob, live).await?;
                sent += blob.size;
            }
        }
        Ok(sent)
    }

    async fn send_blob(&self, reference: &Reference, layout: &Layout, blob: &Blob, live: &Live) -> Result<()> {
        let file = tokio::fs::File::from_std(layout.open(blob).context("read the image archive")?);
        let (live, name, size, mut done) = (live.clone(), reference.repository().to_owned(), blob.size, 0);
        let bytes = ReaderStream::with_capacity(file.take(size), CHUNK).map_err(OciDistributionError::from);
        let bytes = bytes.inspect_ok(move |chunk| {
            done += chunk.len();
            live.waiting(format!("{name}: {:.1} of {:.1} MB", done as f64 / 1e6, size as f64 / 1e6));
        });
        let pushed = self.client.push_blob_stream(reference, bytes, &blob.digest, Some(size)).await;
        pushed.map(drop).map_err(|error| self.refused(reference, error))
    }

    /// Gives the image its tag, and sees that under it the registry has just these bytes.
    pub async fn tag(&self, image: &Image, layout: &Layout) -> Result<()> {
        if self.digest(image.name()).await?.as_deref() == Some(&image.digest) {
            return Ok(());
        }
        let reference = self.reference(image.name());
        let kind = http::HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
        let pushed = self.client.push_manifest_raw(&reference, layout.manifest.clone(), kind).await;
        pushed.map_err(|error| self.refused(&reference, error))?;
        let theirs = self.digest(image.name()).await?.unwrap_or_else(|| "nothing".to_owned());
        ensure!(theirs == image.digest, "{} has {theirs} as {reference}, not {}", self.registry.host, image.digest);
        Ok(())
    }

    /// The digest of what the registry has as the image of this name, if it has any.
    pub async fn digest(&self, name: &str) -> Result<Option<String>> {
        let reference = self.reference(name);
        match self.client.fetch_manifest_digest(&reference, &self.login).await {
            Ok(digest) => Ok(Some(digest)),
            Err(error) if refusal::status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.refused(&reference, error)),
        }
    }

    fn reference(&self, name: &str) -> Reference {
        let Registry { host, path } = &self.registry;
        let folders = if path.is_empty() { FAMILY.to_owned() } else { format!("{path}/{FAMILY}") };
        Reference::with_tag(host.clone(), format!("{folders}/{name}"), TAG.to_owned())
    }

    fn refused(&self, reference: &Reference, error: OciDistributionError) -> anyhow::Error {
        refusal::explain(&self.registry.host, reference.repository(), self.login == RegistryAuth::Anonymous, error)
    }
}

/// On this machine a registry may well do without TLS. Elsewhere nobody falls back to plain HTTP unasked: a login would be
/// readable on the way.
async fn is_plain(registry: &Registry) -> Result<bool> {
    if !registry.is_loopback() {
        return Ok(false);
    }
    let request = plain_http::client()?.get(format!("http://{}/v2/", registry.host)).timeout(CONNECT);
    // A server that wants TLS answers "bad request", or not at all.
    Ok(request.send().await.is_ok_and(|answer| [200, 401].contains(&answer.status().as_u16())))
}

/// The certificates of a PEM file.
fn certificates(file: &Path) -> Result<Vec<Certificate>> {
    let text = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let all: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    if all.is_empty() {
        return Err(unfit(
            format!("{} holds no certificate in PEM form", file.display()),
            "name the authority's .pem or .crt",
        ));
    }
    let certificate = |der: CertificateDer| Certificate { encoding: CertificateEncoding::Der, data: der.to_vec() };
    Ok(all.into_iter().map(certificate).collect())
}

//! Speaks to a registry, about one repository at a time. What it gives is held against its digest, what it is given is seen to
//! have arrived, and nothing is read that is bigger than it may be.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{Stream, TryStreamExt};
use oci_client::{
    Reference, RegistryOperation,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    secrets::RegistryAuth,
};
use oci_spec::image::Descriptor;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio_util::bytes::Bytes;

use crate::{
    credentials, manifest,
    refusal::{self, words},
};
use oci::{Error, digest, files};

pub use oci_client::RegistryOperation as Operation;

/// A registry that takes longer to be connected to is not there.
const CONNECT: Duration = Duration::from_secs(10);
/// One that says nothing for so long in the middle of an answer is not there any more.
const SILENCE: Duration = Duration::from_secs(60);

/// All authorities that a machine trusts have some hundred kilobytes.
const CERTIFICATES: u64 = 16 << 20;

/// How a registry is to be spoken to, and as whom.
#[derive(Clone)]
pub struct Options {
    pub plain_http: bool,
    /// Skip TLS verification.
    pub insecure: bool,
    /// Certificates (PEM) of an authority to trust beside this machine's.
    pub authority: Option<PathBuf>,
    /// Name and password; otherwise what the files say.
    pub login: Option<(String, String)>,
    /// Files in docker's form; the first that has a login counts.
    pub configs: Vec<PathBuf>,
    /// What the reader logs in with, such as `docker login`.
    pub login_command: &'static str,
    pub user_agent: &'static str,
}

/// A repository in a registry, and who we are there.
pub struct Client {
    host: String,
    repository: String,
    login: RegistryAuth,
    login_command: &'static str,
    /// Nobody on the way reads what is said, and nobody gave that up.
    is_confidential: bool,
    client: oci_client::Client,
    manifests: manifest::Client,
}

impl Client {
    /// Finds out whether the registry is there, how it wants to be spoken to, and what login there is for it.
    ///
    /// # Errors
    /// Nobody answers, its certificate is not trusted, or it does not take the login.
    pub async fn connect(host: &str, repository: &str, operation: Operation, options: &Options) -> Result<Self, Error> {
        // An error says that it knows already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = options.authority.as_deref().map(certificates).transpose()?.unwrap_or_default();
        let is_plain = options.plain_http || authority.is_empty() && !options.insecure && is_plain(host).await?;
        let login = match &options.login {
            Some((name, password)) => RegistryAuth::Basic(name.clone(), password.clone()),
            None => credentials::of(host, &options.configs, options.login_command)?,
        };
        let manifests = manifest::Client::new(is_plain, options.insecure, &authority, options.user_agent)?;
        let config = ClientConfig {
            protocol: if is_plain { ClientProtocol::Http } else { ClientProtocol::Https },
            accept_invalid_certificates: options.insecure,
            // One request a blob: every registry takes it, not every one takes a blob in pieces.
            use_monolithic_push: true,
            extra_root_certificates: authority,
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: options.user_agent,
            ..ClientConfig::default()
        };
        let client = oci_client::Client::try_from(config).map_err(Error::at("set up the client for the registry"))?;
        let (host, repository) = (host.to_owned(), repository.to_owned());
        let login_command = options.login_command;
        let is_confidential = !is_plain && !options.insecure;
        let mut client = Self { host, repository, login, login_command, is_confidential, client, manifests };
        client.log_in(operation).await?;
        Ok(client)
    }

    /// The same registry, another repository.
    pub async fn at(&self, repository: &str, operation: Operation) -> Result<Self, Error> {
        let mut other = Self {
            host: self.host.clone(),
            repository: repository.to_owned(),
            login: self.login.clone(),
            login_command: self.login_command,
            is_confidential: self.is_confidential,
            client: self.client.clone(),
            manifests: self.manifests.clone(),
        };
        other.log_in(operation).await?;
        Ok(other)
    }

    /// Gets a token where the registry gives some; the name of a repository is part of it.
    async fn log_in(&mut self, operation: RegistryOperation) -> Result<(), Error> {
        if self.is_confidential && self.login != RegistryAuth::Anonymous {
            self.refuse_realm_in_clear().await?;
        }
        let token = self.client.auth(&self.reference(""), &self.login, operation).await;
        self.manifests.token = token.map_err(|error| self.refused(error))?;
        Ok(())
    }

    /// A login that was given to a registry with TLS does not leave in clear for another server that it names.
    async fn refuse_realm_in_clear(&self) -> Result<(), Error> {
        let realm = self.manifests.realm(&self.address()).await.map_err(|error| self.refused(error))?;
        match realm {
            Some(realm) if !realm.to_ascii_lowercase().starts_with("https://") => Err(Error::fixable(
                format!(
                    "the registry {} wants the login at {}, in clear: it is not sent there",
                    self.host,
                    words(&realm)
                ),
                "whoever runs the registry must name a realm with https",
            )),
            _ => Ok(()),
        }
    }

    /// Whether it takes the login. A registry that gives tokens said so by giving one; others are asked.
    ///
    /// # Errors
    /// It does not.
    pub async fn check_login(&self) -> Result<(), Error> {
        match self.manifests.status(&self.address(), &self.login).await.map_err(|error| self.refused(error))? {
            200 => Ok(()),
            status => Err(self.place().explain_status(status)),
        }
    }

    /// Whether the registry has the blob of this digest.
    pub async fn has(&self, digest: &str) -> Result<bool, Error> {
        self.client.blob_exists(&self.reference(""), digest).await.map_err(|error| self.refused(error))
    }

    /// Sends a blob.
    pub async fn send(
        &self,
        digest: &str,
        size: u64,
        bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), Error> {
        let bytes = bytes.map_err(OciDistributionError::from);
        let pushed = self.client.push_blob_stream(&self.reference(""), bytes, digest, Some(size)).await;
        pushed.map(drop).map_err(|error| self.refused(error))
    }

    /// Sends a manifest or an index under a tag or its own digest, and sees that the registry has just these bytes there.
    pub async fn tag(&self, tag: &str, media_type: &str, document: Vec<u8>) -> Result<(), Error> {
        let expected = digest::sha256(&document);
        if self.digest(tag).await?.as_deref() == Some(&expected) {
            return Ok(());
        }
        let kind = http::HeaderValue::from_str(media_type).map_err(Error::at("name the manifest's type"))?;
        let pushed = self.client.push_manifest_raw(&self.reference(tag), document, kind).await;
        pushed.map_err(|error| self.refused(error))?;
        match self.digest(tag).await? {
            Some(theirs) if theirs == expected => Ok(()),
            theirs => {
                let theirs = theirs.unwrap_or_else(|| "nothing".to_owned());
                Err(Error::new(format!("{} has {theirs} as {}:{tag}, not {expected}", self.host, self.repository)))
            }
        }
    }

    /// The digest of what the registry has under a tag, if it has any.
    pub async fn digest(&self, tag: &str) -> Result<Option<String>, Error> {
        match self.client.fetch_manifest_digest(&self.reference(tag), &self.login).await {
            Ok(digest) => Ok(Some(digest)),
            Err(error) if refusal::status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// The manifest or index under a tag or digest, with its media type; nothing if there is none.
    pub async fn manifest(&self, tag: &str, limit: u64) -> Result<Option<(Vec<u8>, String)>, Error> {
        if tag.contains(':') {
            verifiable(tag)?;
        }
        let path = format!("{}/v2/{}/manifests/{tag}", self.address(), self.repository);
        let answer = self.manifests.get(&path, &self.login, limit).await.map_err(|error| self.refused(error))?;
        match answer {
            manifest::Answer::Is(document, _) if tag.contains(':') && digest::sha256(&document) != tag => {
                Err(Error::new(format!("the registry {} gives another manifest than {tag} names", self.host)))
            }
            manifest::Answer::Is(document, media_type) => Ok(Some((document, media_type))),
            manifest::Answer::Status(404) => Ok(None),
            manifest::Answer::Status(status) => Err(self.place().explain_status(status)),
            manifest::Answer::TooLong => {
                Err(Error::new(format!("the registry {} gives a manifest of more than {limit} bytes", self.host)))
            }
        }
    }

    /// A blob, if it is what its digest names and not longer than `limit`; `done` is told of the bytes as they come.
    pub async fn blob(&self, descriptor: &Descriptor, limit: u64, done: impl Fn(u64)) -> Result<Vec<u8>, Error> {
        let (wanted, size) = (descriptor.digest().to_string(), descriptor.size());
        verifiable(&wanted)?;
        if size > limit {
            return Err(Error::new(format!("{wanted} has {size} bytes, more than the {limit} that are taken")));
        }
        let stream = self.client.pull_blob_stream(&self.reference(""), wanted.as_str()).await;
        let mut stream = stream.map_err(|error| self.refused(error))?.stream;
        let mut bytes = vec![];
        let broken = |why: std::io::Error| Error::at(format!("fetch {wanted} from the registry {}", self.host))(why);
        while let Some(chunk) = stream.try_next().await.map_err(broken)? {
            if (bytes.len() + chunk.len()) as u64 > size {
                break;
            }
            bytes.extend_from_slice(&chunk);
            done(chunk.len() as u64);
        }
        if !is_named_by(descriptor, &bytes) {
            return Err(Error::new(format!("the registry {} gives other bytes than {wanted} names", self.host)));
        }
        Ok(bytes)
    }

    /// A digest may stand in a tag's place, as it does in the registry's addresses.
    fn reference(&self, tag: &str) -> Reference {
        Reference::with_tag(self.host.clone(), self.repository.clone(), tag.to_owned())
    }

    /// Where it answers; docker's hub has another address than its name.
    fn address(&self) -> String {
        self.reference("").resolve_registry().to_owned()
    }

    fn refused(&self, error: OciDistributionError) -> Error {
        self.place().explain(error)
    }

    fn place(&self) -> refusal::Place<'_> {
        let is_anonymous = self.login == RegistryAuth::Anonymous;
        refusal::Place { host: &self.host, repository: &self.repository, is_anonymous, login: self.login_command }
    }
}

/// Refuses digests that can't be held against bytes here.
fn verifiable(digest: &str) -> Result<(), Error> {
    match digest.split_once(':') {
        Some(("sha256", _)) => Ok(()),
        _ => Err(Error::new(format!("unsupported digest {digest}: expected one by sha256"))),
    }
}

fn is_named_by(descriptor: &Descriptor, bytes: &[u8]) -> bool {
    bytes.len() as u64 == descriptor.size() && digest::sha256(bytes) == descriptor.digest().to_string()
}

/// On this machine a registry may well do without TLS. Elsewhere nobody falls back to plain HTTP unasked: a login would be
/// readable on the way.
async fn is_plain(host: &str) -> Result<bool, Error> {
    if !is_loopback(host) {
        return Ok(false);
    }
    let client = reqwest::Client::builder().no_proxy().tls_certs_only(None).build();
    let client = client.map_err(Error::at("set up the HTTP client"))?;
    // A server that wants TLS answers "bad request", or not at all.
    let answer = client.get(format!("http://{host}/v2/")).timeout(CONNECT).send().await;
    Ok(answer.is_ok_and(|answer| [200, 401].contains(&answer.status().as_u16())))
}

/// Whether it is on this machine, where nobody listens in between.
fn is_loopback(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The certificates of a PEM file.
fn certificates(file: &Path) -> Result<Vec<Certificate>, Error> {
    let text = files::read(file, CERTIFICATES).map_err(Error::at(format!("read {}", file.display())))?;
    let all: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    if all.is_empty() {
        return Err(Error::fixable(
            format!("{} holds no certificate in PEM form", file.display()),
            "name the authority's .pem or .crt",
        ));
    }
    let certificate = |der: CertificateDer| Certificate { encoding: CertificateEncoding::Der, data: der.to_vec() };
    Ok(all.into_iter().map(certificate).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_of_another_kind_is_called_so_and_not_that_of_other_bytes() {
        assert!(verifiable(&digest::sha256(b"program")).is_ok());
        let foreign = format!("sha512:{}", "0".repeat(128));
        let said = verifiable(&foreign).unwrap_err().to_string();
        assert_eq!(said, format!("unsupported digest {foreign}: expected one by sha256"));
    }

    #[test]
    fn a_blob_is_only_what_its_digest_names_whatever_the_client_library_verifies() {
        let descriptor = digest::descriptor("application/octet-stream", b"program");
        assert!(is_named_by(&descriptor, b"program"));
        for other in [&b"progrbm"[..], b"progra", b"programm", b""] {
            assert!(!is_named_by(&descriptor, other));
        }
        let longer =
            Descriptor::new("text/plain".into(), 8, digest::parse(&digest::sha256(b"program")["sha256:".len()..]));
        assert!(!is_named_by(&longer, b"program"), "its size is part of its name");
    }
}

//! Who pushes: what `docker login` wrote down, in its config.json or with a credential helper. Nothing of it is ever printed.

use std::{env, fs::File, io, path::PathBuf};

use anyhow::{Context, Result};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use oci_client::secrets::RegistryAuth;

use crate::error::unfit;

/// Under this name docker keeps the login at its own hub.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// The login at a registry, `HOST[:PORT]`; nobody's where docker has none.
///
/// # Errors
/// A config.json that is none, a credential helper that fails, a kind of login that is not a name and a password.
pub fn of(host: &str) -> Result<RegistryAuth> {
    let Some(path) = config() else { return Ok(RegistryAuth::Anonymous) };
    let config = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(RegistryAuth::Anonymous),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let server = if host == HUB.0 { HUB.1 } else { host };
    let trouble = |what: String| Err(unfit(what, format!("log in anew: docker login {host}")));
    match get_credential_from_reader(io::BufReader::new(config), server) {
        Ok(DockerCredential::UsernamePassword(name, password)) => Ok(RegistryAuth::Basic(name, password)),
        Ok(DockerCredential::IdentityToken(_)) => trouble(format!(
            "docker's login at {host} is an identity token; a name and a password or access token it must be"
        )),
        Err(error) if is_none(&error) => Ok(RegistryAuth::Anonymous),
        Err(CredentialRetrievalError::ConfigReadError) => trouble(format!("{} is not docker's config", path.display())),
        // What it printed may hold a secret.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            trouble(format!("{helper}, which keeps docker's logins, gave none for {host}"))
        }
        Err(CredentialRetrievalError::HelperCommunicationError) => {
            trouble(format!("the credential helper that {} names can't be started", path.display()))
        }
        Err(_) => trouble(format!("docker's login at {host} can't be read")),
    }
}

/// A helper says by an error of its protocol that it has no login there.
fn is_none(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::NoCredentialConfigured => true,
        CredentialRetrievalError::HelperFailure { stdout, .. } => stdout.contains("credentials not found"),
        _ => false,
    }
}

fn config() -> Option<PathBuf> {
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
    Some(folder?.join("config.json"))
}

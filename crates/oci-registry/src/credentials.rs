//! Whose name a registry is shown: what a login wrote down, in docker's form of config.json or with a credential helper. Nothing
//! of it is ever printed.

use std::{
    env,
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use oci_client::secrets::RegistryAuth;
use serde_json::{Value, json};

use oci::{
    Error,
    files::{self, as_owner},
};

/// The longest file of logins.
const LARGEST: u64 = 1 << 20;

/// Under this name docker keeps the login at its own hub.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// The login at a registry, `HOST[:PORT]`, from the first of these files that has one; nobody's where none has.
///
/// # Errors
/// A file that is none, a credential helper that fails, a kind of login that is not a name and a password.
pub fn of(host: &str, configs: &[PathBuf], login: &str) -> Result<RegistryAuth, Error> {
    for config in configs {
        match in_file(host, config, login)? {
            RegistryAuth::Anonymous => {}
            found => return Ok(found),
        }
    }
    Ok(RegistryAuth::Anonymous)
}

/// The file that `docker login` writes.
pub fn docker_config() -> Option<PathBuf> {
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
    Some(folder?.join("config.json"))
}

/// Writes a login down, in a file that only its owner reads; what else is in the file stays.
///
/// # Errors
/// The file is no JSON, or can't be written.
pub fn remember(path: &Path, host: &str, name: &str, password: &str) -> Result<(), Error> {
    let shown = path.display();
    let mut config = match files::read(path, LARGEST) {
        Ok(text) => serde_json::from_slice(&text).map_err(Error::at(format!("read {shown}")))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => json!({}),
        Err(error) => return Err(Error::at(format!("read {shown}"))(error)),
    };
    let server = if host == HUB.0 { HUB.1 } else { host };
    let login = json!({ "auth": BASE64_STANDARD.encode(format!("{name}:{password}")) });
    let logins = config.as_object_mut().map(|config| config.entry("auths").or_insert_with(|| json!({})));
    let Some(Value::Object(logins)) = logins else {
        return Err(Error::fixable(
            format!("{shown} is not docker's form of config"),
            format!("move it away: mv {shown} {shown}.old"),
        ));
    };
    logins.insert(server.to_owned(), login);
    write_private(path, format!("{config:#}").as_bytes()).map_err(Error::at(format!("write {shown}")))
}

/// A temporary file is its owner's alone from the beginning, and keeps that when it takes its name.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    as_owner(folder, || {
        fs::create_dir_all(folder)?;
        let private = Permissions::from_mode(0o600);
        let mut file = tempfile::Builder::new().permissions(private).tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    })
}

fn in_file(host: &str, path: &Path, login: &str) -> Result<RegistryAuth, Error> {
    let config = match files::read(path, LARGEST) {
        Ok(config) => config,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(RegistryAuth::Anonymous),
        Err(error) => return Err(Error::at(format!("read {}", path.display()))(error)),
    };
    let server = if host == HUB.0 { HUB.1 } else { host };
    let trouble = |what: String| Err(Error::fixable(what, format!("log in anew: {login} {host}")));
    match get_credential_from_reader(config.as_slice(), server) {
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
            trouble(format!("the credential helper that {} names can't be started, or does not listen", path.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_found_again_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.json");
        remember(&path, "r.example:5000", "teacher", "pass:word").unwrap();
        remember(&path, "docker.io", "other", "secret").unwrap();
        let found = |host| of(host, &[folder.path().join("absent.json"), path.clone()], "bee login").unwrap();
        assert_eq!(found("r.example:5000"), RegistryAuth::Basic("teacher".into(), "pass:word".into()));
        assert_eq!(found("docker.io"), RegistryAuth::Basic("other".into(), "secret".into()));
        assert_eq!(found("elsewhere"), RegistryAuth::Anonymous);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_none_of_ours_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for text in ["teacher:secret", "[]", r#"{"auths": 1}"#] {
            fs::write(&path, text).unwrap();
            let error = remember(&path, "r.example", "name", "word").unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}

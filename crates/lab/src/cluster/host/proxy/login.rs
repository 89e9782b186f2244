//! Who may use the proxy: the nodes' containerd, by a login that only root can read. From a node's addresses come pods on the node's own
//! network, too, and from this machine's all of its users.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::cluster::host::folders::Folders;

/// Of no account: the password is what counts.
const NAME: &str = "node";

/// Makes the password unless there is one.
pub fn create(folders: &Folders) -> Result<()> {
    let (file, partial) = (file(folders), file(folders).with_extension("partial"));
    if file.exists() {
        return Ok(());
    }
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("failed to read /dev/urandom")?;
    let _ = fs::remove_file(&partial);
    let written = File::options().write(true).create_new(true).mode(0o600).open(&partial);
    let written = written.and_then(|mut partial| partial.write_all(hex::encode(bytes).as_bytes()));
    let written = written.and_then(|()| fs::rename(&partial, &file));
    written.with_context(|| format!("failed to write {}", file.display()))
}

/// `NAME:PASSWORD`; none where there is no proxy yet.
pub fn read(folders: &Folders) -> Result<Option<String>> {
    let file = file(folders);
    match fs::read_to_string(&file) {
        Ok(password) => Ok(Some(format!("{NAME}:{password}"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", file.display())),
    }
}

/// As it stands in `Proxy-Authorization`.
pub fn header(login: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(login))
}

fn file(folders: &Folders) -> PathBuf {
    folders.data.join("proxy-password")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_made_once_and_is_roots_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders { run: folder.path().into(), data: folder.path().into() };
        assert_eq!(read(&folders).unwrap(), None);
        create(&folders).unwrap();
        let first = read(&folders).unwrap().unwrap();
        create(&folders).unwrap();
        assert_eq!(read(&folders).unwrap().unwrap(), first);
        assert!(first.starts_with("node:") && first.len() == 37, "{first}");
        assert_eq!(fs::metadata(file(&folders)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(header("Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}

//! Where one cluster's files lie: what lives as long as the machine is up in `/run`, the rest in `/var/lib`.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_cli::places::{self, DATA, RUN};

/// Folders of a node that are its own and stay: the part under the node's folder, and where it is mounted.
pub const PRIVATE: [(&str, &str); 5] = [
    ("kubelet", "/var/lib/kubelet"),
    ("containerd", "/var/lib/containerd"),
    ("cni-state", "/var/lib/cni"),
    ("log", "/var/log"),
    ("cni", "/etc/cni/net.d"),
];

/// The folders of cluster number n.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Sockets, process ids, the nodes' `/run`: gone after a reboot.
    pub run: PathBuf,
    /// Keys, etcd's data, images: stays.
    pub data: PathBuf,
}

impl Folders {
    pub fn new(number: u8) -> Self {
        Self { run: places::run(number), data: places::data(number) }
    }

    /// The cluster's number, as text.
    pub fn number(&self) -> String {
        self.run.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Which addresses the cluster has, for as long as it lives.
    pub fn addresses(&self) -> PathBuf {
        self.data.join("addresses")
    }

    pub fn pki(&self) -> PathBuf {
        self.data.join("pki")
    }

    /// Every program under the name it is called by.
    pub fn bin(&self) -> PathBuf {
        self.data.join("bin")
    }

    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    pub fn etcd(&self) -> PathBuf {
        self.data.join("etcd")
    }

    pub fn node(&self, node: &str) -> PathBuf {
        self.data.join("nodes").join(node)
    }

    /// The node's own `/run`.
    pub fn node_run(&self, node: &str) -> PathBuf {
        self.run.join("nodes").join(node)
    }

    /// How a node is told of registries that are not spoken to in the ordinary way.
    pub fn registries(&self, node: &str) -> PathBuf {
        self.node(node).join("registries")
    }

    /// The folder of whoever started the cluster that is mounted there.
    pub fn registries_note(&self) -> PathBuf {
        self.data.join("registries")
    }

    pub fn containerd_socket(&self, node: &str) -> PathBuf {
        self.node_run(node).join("containerd/containerd.sock")
    }

    /// What a node's keeper holds.
    pub fn keeper(&self, node: &str) -> PathBuf {
        self.run.join(format!("{node}.pid"))
    }

    /// Makes the folders, readable by root alone: keys and sockets lie in them.
    pub fn create(&self, nodes: &[&str]) -> Result<()> {
        for folder in [&self.run, &self.data] {
            private_folder(folder)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        for folder in [self.bin(), self.logs(), self.etcd()] {
            private_folder(&folder)?;
        }
        for node in nodes {
            private_folder(&self.node_run(node))?;
            for (name, _) in PRIVATE {
                private_folder(&self.node(node).join(name))?;
            }
            private_folder(&self.registries(node))?;
        }
        Ok(())
    }

    /// Removes them, and the folders above if this was the last cluster.
    pub fn remove(&self) -> Result<()> {
        for folder in [&self.run, &self.data] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("failed to remove {}", folder.display()));
                }
                _ => {}
            }
        }
        // Fails while another cluster's folder is in them, as it should.
        let _ = fs::remove_dir(RUN);
        let _ = fs::remove_dir(DATA);
        Ok(())
    }
}

pub fn private_folder(folder: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("failed to make the folder {}", folder.display()))
}

/// Writes a file that is never seen half-written, whoever is killed.
pub fn write_whole(file: &Path, text: &str) -> Result<()> {
    let partial = file.with_extension("partial");
    fs::write(&partial, text).with_context(|| format!("failed to write {}", partial.display()))?;
    fs::rename(&partial, file).with_context(|| format!("failed to write {}", file.display()))
}

//! Where one cluster's files lie: what lives as long as the machine is up in `/run`, the rest in `/var/lib`.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use interface::places::{self, DATA, RUN};

/// Paths inside a node that are its own: the part under the node's folder, and where it is mounted.
pub const PRIVATE: [(&str, &str); 6] = [
    ("kubelet", "/var/lib/kubelet"),
    ("containerd", "/var/lib/containerd"),
    ("cni-state", "/var/lib/cni"),
    ("log", "/var/log"),
    ("cni", "/etc/cni/net.d"),
    ("libexec", "/usr/libexec/kubernetes"),
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

    pub fn containerd_socket(&self, node: &str) -> PathBuf {
        self.node_run(node).join("containerd/containerd.sock")
    }

    /// The process id of a node's keeper.
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
        }
        Ok(())
    }

    /// Removes them, and the folders above if this was the last cluster.
    pub fn remove(&self) -> Result<()> {
        for folder in [&self.run, &self.data] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("remove {}", folder.display()));
                }
                _ => {}
            }
        }
        // Fails while another cluster's folder is in it, as it should.
        let _ = fs::remove_dir(RUN);
        MountPoints::remove_if_last()
    }
}

/// Folders that must exist on the machine so that a node can mount its own over them.
///
/// Those that were not there are written down when they are made, and go with the last cluster.
pub struct MountPoints;

impl MountPoints {
    pub fn create() -> Result<()> {
        let mut made = Self::read();
        for (_, point) in PRIVATE {
            let missing = Path::new(point).ancestors().take_while(|folder| !folder.exists());
            let missing: Vec<_> = missing.map(|folder| folder.display().to_string()).collect();
            made.extend(missing);
            fs::write(Self::note(), made.join("\n"))?;
            let folder = fs::DirBuilder::new().recursive(true).mode(0o755).create(point);
            folder.with_context(|| format!("make the folder {point}"))?;
        }
        Ok(())
    }

    fn remove_if_last() -> Result<()> {
        let others = fs::read_dir(DATA).into_iter().flatten().flatten().any(|entry| entry.path().is_dir());
        if others || !Path::new(DATA).exists() {
            return Ok(());
        }
        let mut made = Self::read();
        made.sort_by_key(|folder| std::cmp::Reverse(folder.len()));
        for folder in made {
            // Somebody else's files may have come into it since: then it is theirs.
            let _ = fs::remove_dir(folder);
        }
        fs::remove_dir_all(DATA).with_context(|| format!("remove {DATA}"))
    }

    fn read() -> Vec<String> {
        let text = fs::read_to_string(Self::note()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn note() -> PathBuf {
        Path::new(DATA).join("mount-points")
    }
}

fn private_folder(folder: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("make the folder {}", folder.display()))
}

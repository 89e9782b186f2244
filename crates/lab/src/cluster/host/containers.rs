//! Images in the nodes' containerd.

use std::path::Path;

use anyhow::Result;

use super::folders::Folders;
use crate::{cmd::Cmd, images::Image, outcome::Outcome};

/// One node's containerd, seen from this machine.
#[derive(Debug, Clone)]
pub struct Containerd {
    ctr: std::path::PathBuf,
    socket: std::path::PathBuf,
}

impl Containerd {
    pub fn of_node(folders: &Folders, node: &str) -> Self {
        Self { ctr: folders.bin().join("ctr"), socket: folders.containerd_socket(node) }
    }

    /// A containerd that listens elsewhere.
    pub fn at(folders: &Folders, socket: std::path::PathBuf) -> Self {
        Self { ctr: folders.bin().join("ctr"), socket }
    }

    /// Whether it answers.
    pub fn answers(&self) -> bool {
        self.socket.exists() && self.ctr(&["version"]).output().is_ok_and(|output| output.status.success())
    }

    /// Imports the images that the node does not have.
    pub fn load(&self, images: &[Image]) -> Result<Outcome> {
        let known = self.ctr(&["images", "list"]).read()?;
        let has = |image: &&Image| {
            known.lines().any(|line| line.starts_with(&format!("{} ", image.reference)) && line.contains(&image.digest))
        };
        let missing: Vec<_> = images.iter().filter(|image| !has(image)).collect();
        for image in &missing {
            self.import(&image.archive)?;
        }
        Ok(if missing.is_empty() { Outcome::Unchanged } else { Outcome::Changed })
    }

    fn import(&self, archive: &Path) -> Result<()> {
        Ok(self.ctr(&["images", "import", "--digests=false"]).arg(archive).run()?)
    }

    fn ctr(&self, arguments: &[&str]) -> Cmd {
        Cmd::new(&self.ctr).arg("--address").arg(&self.socket).args(["--namespace", "k8s.io"]).args(arguments)
    }
}

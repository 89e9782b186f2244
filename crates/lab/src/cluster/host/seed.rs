//! All images, imported and unpacked once, for every new node to begin with.
//!
//! Importing 600 MB into each of three nodes takes longer than starting Kubernetes. So a containerd of our own does it once into the
//! cache; a node's containerd starts on hard links to what it made. Blobs and unpacked layers are never written again, only
//! databases are copied.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use lab_cli::Paths;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    containers::Containerd,
    folders::{Folders, private_folder},
};
use crate::{
    cmd::Cmd,
    images::Image,
    live::Live,
    wait::{self, NotYet},
};

/// A containerd that has nothing to do answers within a second.
const START: Duration = Duration::from_secs(30);

/// Raised when the same images begin to give another folder.
const FORMAT: &str = "2";

/// The folder of a containerd that has these images; made if there is none.
pub async fn of_images(paths: &Paths, folders: &Folders, images: &[Image], live: &Live) -> Result<PathBuf> {
    let mut key = Sha256::new_with_prefix(FORMAT);
    images.iter().for_each(|image| key.update(&image.digest));
    let seeds = paths.cache.join("nodes");
    let of_as_many = format!("{}-", images.len());
    let seed = seeds.join(of_as_many.clone() + &hex::encode(&key.finalize()[..8]));
    if seed.is_dir() {
        return Ok(seed);
    }
    // Those of older images, and what was half-done: what nodes still use of them is theirs by their own links.
    let partial = seeds.join("partial");
    let of_older =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&of_as_many));
    let there = fs::read_dir(&seeds).into_iter().flatten().flatten().map(|entry| entry.path());
    for stale in there.filter(of_older).chain([partial.clone()]) {
        let _ = fs::remove_dir_all(stale);
    }
    fs::create_dir_all(&seeds).with_context(|| format!("failed to make the folder {}", seeds.display()))?;
    live.waiting("unpacking the images for new nodes, once");
    let importer = Importer::start(folders, &partial)?;
    importer.import(images, live).await?;
    drop(importer);
    fs::rename(&partial, &seed).context("failed to put the unpacked images in place")?;
    Ok(seed)
}

/// Lets a node begin with the seed, unless it has a containerd folder with something in it.
pub fn plant(seed: &Path, containerd: &Path) -> Result<()> {
    if fs::read_dir(containerd).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    // Killed half-way, a folder with something in it would not be a whole one.
    let partial = containerd.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    private_folder(&partial)?;
    copy(seed, &partial)?;
    fs::rename(&partial, containerd).with_context(|| format!("failed to put {} in place", containerd.display()))
}

fn copy(seed: &Path, into: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(seed).min_depth(1) {
        let entry = entry.context("failed to look through the unpacked images")?;
        let to = into.join(entry.path().strip_prefix(seed)?);
        let kind = entry.file_type();
        let placed = if kind.is_dir() {
            fs::create_dir(&to).and_then(|()| fs::set_permissions(&to, entry.metadata()?.permissions()))
        } else if kind.is_symlink() {
            fs::read_link(entry.path()).and_then(|target| symlink(target, &to))
        } else {
            place(entry.path(), &to)
        };
        placed.with_context(|| format!("failed to place {}", to.display()))?;
    }
    Ok(())
}

/// A link where the two are on one file system, and nobody will write.
fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    let is_database = from.extension().is_some_and(|extension| extension == "db");
    if is_database || fs::hard_link(from, to).is_err() {
        fs::copy(from, to)?;
    }
    Ok(())
}

/// A containerd without pods, for importing only.
struct Importer {
    containerd: Containerd,
    process: Child,
    state: PathBuf,
}

impl Importer {
    fn start(folders: &Folders, root: &Path) -> Result<Self> {
        let state = folders.run.join("seed");
        fs::create_dir_all(&state)?;
        let socket = state.join("containerd.sock");
        let config = state.join("containerd.toml");
        let without = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"];
        let table = json!({
            "version": 2,
            "root": root,
            "state": state.join("state"),
            "disabled_plugins": without,
            "grpc": { "address": socket },
        });
        let text =
            toml::to_string(&table).context("failed to write the configuration of a containerd for importing")?;
        fs::write(&config, text).context("failed to write the configuration of a containerd for importing")?;
        let command = Cmd::new(folders.bin().join("containerd")).arg("--config").arg(config);
        let process = command.spawn(Stdio::null(), Stdio::null())?;
        Ok(Self { containerd: Containerd::at(folders, socket), process, state })
    }

    async fn import(&self, images: &[Image], live: &Live) -> Result<()> {
        let answers =
            || async { if self.containerd.answers() { Ok(()) } else { Err(NotYet::Because("it starts".to_owned())) } };
        wait::poll("containerd", START, live, answers).await?;
        tokio::task::block_in_place(|| self.containerd.load(images)).map(drop)
    }
}

impl Drop for Importer {
    /// Its databases are whole after every import, so it may end at once.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn blobs_are_linked_and_databases_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (seed, node) = (folder.path().join("seed"), folder.path().join("node"));
        fs::create_dir_all(seed.join("blobs")).unwrap();
        fs::create_dir(&node).unwrap();
        fs::write(seed.join("blobs/layer"), "bytes").unwrap();
        fs::write(seed.join("meta.db"), "rows").unwrap();
        plant(&seed, &node).unwrap();
        let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(seed.join("blobs/layer")), inode(node.join("blobs/layer")));
        assert_ne!(inode(seed.join("meta.db")), inode(node.join("meta.db")));
        // A node that has images keeps them.
        fs::write(node.join("meta.db"), "newer").unwrap();
        plant(&seed, &node).unwrap();
        assert_eq!(fs::read_to_string(node.join("meta.db")).unwrap(), "newer");
    }
}

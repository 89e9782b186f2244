//! OCI images made here, without Docker and without a base image.
//!
//! [`catalog`] says which images there are, [`rootfs`] what lies in one, [`archive`] writes it down, [`cache`] knows
//! which are written already. The same input gives the same bytes, and so the same digest. [`layout`] reads an archive back,
//! [`bundle`] puts several into one, [`registry`] pushes it, [`pulled`] is about nodes that pull it from there.

mod archive;
pub mod bundle;
mod cache;
mod catalog;
mod credentials;
pub mod layout;
pub mod pulled;
mod refusal;
pub mod registry;
mod rootfs;

use std::path::PathBuf;

use anyhow::{Context, Result};
use interface::{Paths, Registry};
use serde::{Deserialize, Serialize};

use crate::live::Live;

/// An image archive on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its name in a cluster, such as `localhost/ebpf-lab/bee:lab`.
    pub reference: String,
    /// `sha256:…` of its manifest.
    pub digest: String,
    /// The archive: OCI layout and docker-archive in one tar, as `ctr images import`, `docker load` and `kind load` take it.
    pub archive: PathBuf,
    /// The archive's size in bytes.
    pub size: u64,
}

/// Before the names of our images: never under somebody else's name.
const FAMILY: &str = "ebpf-lab";
const TAG: &str = "lab";

/// The name of an image of ours in a cluster whose nodes have it.
pub fn reference(name: &str) -> String {
    format!("localhost/{FAMILY}/{name}:{TAG}")
}

impl Image {
    /// The last part of its name, such as `bee`.
    pub fn name(&self) -> &str {
        let name = self.reference.rsplit('/').next().unwrap_or_default();
        name.split(':').next().unwrap_or_default()
    }

    /// Its name in a registry, without a tag.
    pub fn repository(&self, registry: &Registry) -> String {
        format!("{registry}/{FAMILY}/{}", self.name())
    }
}

/// These images, by the last part of their names; those whose programs did not change come from the cache.
///
/// # Errors
/// A program that is missing, a probe that does not compile, a full disk.
pub fn build(paths: &Paths, live: &Live, names: &[&str]) -> Result<Vec<Image>> {
    let build_one = |(i, name): (usize, &&str)| {
        live.waiting(format!("image {} of {}: {name}", i + 1, names.len()));
        let recipe =
            catalog::recipe(paths, name).with_context(|| format!("find what belongs into the image {name}"))?;
        cache::image(paths, &recipe).with_context(|| format!("build the image {name}"))
    };
    names.iter().enumerate().map(build_one).collect()
}

//! OCI images made here, without Docker and without a base image.
//!
//! [`catalog`] says which images there are, [`cache`] knows which are written already, crate `oci` writes them. The same input
//! gives the same bytes, and so the same digest. [`bundle`] puts several into one, [`registry`] pushes them, [`pulled`] is about
//! nodes that pull them from there.

pub mod bundle;
mod cache;
mod catalog;
pub mod pulled;
pub mod registry;

use anyhow::{Context, Result};
use lab_cli::{Paths, Registry};
pub use oci::Image;

use crate::live::Live;

/// Before the names of our images: never under somebody else's name.
const FAMILY: &str = "ebpf-lab";
const TAG: &str = "lab";

/// The name of an image of ours in a cluster whose nodes have it.
pub fn reference(name: &str) -> String {
    format!("localhost/{FAMILY}/{name}:{TAG}")
}

/// An image's name in a registry, without a tag.
pub fn repository(image: &Image, registry: &Registry) -> String {
    format!("{registry}/{FAMILY}/{}", image.name())
}

/// These images, by the last part of their names; those whose programs did not change come from the cache.
///
/// # Errors
/// A program that is missing, a probe that does not compile, a full disk.
pub fn build(paths: &Paths, live: &Live, names: &[&str]) -> Result<Vec<Image>> {
    let build_one = |(i, name): (usize, &&str)| {
        live.waiting(format!("image {} of {}: {name}", i + 1, names.len()));
        let recipe = catalog::recipe(paths, name)
            .with_context(|| format!("failed to find what belongs into the image {name}"))?;
        cache::image(paths, &recipe).with_context(|| format!("failed to build the image {name}"))
    };
    names.iter().enumerate().map(build_one).collect()
}

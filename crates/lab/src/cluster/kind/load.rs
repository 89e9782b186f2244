//! Images of ours in the nodes' containerd: what any node lacks goes to all of them in one archive, by `kind load image-archive`.

use anyhow::{Context, Result};

use super::{
    engine::{Container, Engine},
    failures,
};
use crate::{
    error::unfit,
    images::{Image, bundle},
};

/// Those of the images that a node lacks, by name and digest.
pub fn missing<'a>(engine: &Engine, nodes: &[Container], images: &'a [Image]) -> Result<Vec<&'a Image>> {
    let mut known = vec![];
    for node in nodes {
        let list = ["exec", &node.name, "ctr", "--namespace", "k8s.io", "images", "list"];
        known.push(
            engine.command(&list).read().with_context(|| format!("failed to list the images of node {}", node.name))?,
        );
    }
    let has = |list: &String, image: &Image| {
        list.lines().any(|line| line.starts_with(&format!("{} ", image.reference)) && line.contains(&image.digest))
    };
    Ok(images.iter().filter(|image| !known.iter().all(|list| has(list, image))).collect())
}

/// The images as one archive in a file of its own, gone with the value.
pub fn archive(images: &[&Image]) -> Result<tempfile::NamedTempFile> {
    let folder = images.first().and_then(|image| image.archive.parent()).context("an image lies in a folder")?;
    let file = tempfile::Builder::new().prefix(".nodes-").suffix(".tar").tempfile_in(folder);
    let file = file.context("failed to make a file for the images of the nodes")?;
    bundle::write(images, file.as_file())?;
    Ok(file)
}

/// A failed load, with the fix if the failure is a known one.
pub fn failed(failed: crate::cmd::Failed) -> anyhow::Error {
    match failures::explain(failed.stderr.as_deref().unwrap_or_default()) {
        Some((what, fix)) => {
            unfit(format!("{what} ({})", failed.stderr.unwrap_or_default().trim().replace('\n', "; ")), fix)
        }
        None => failed.into(),
    }
}

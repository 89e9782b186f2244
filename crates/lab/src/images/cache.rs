//! Which images are written already.
//!
//! Hashing 700 MB of programs on every run would cost seconds; a file's size, inode and time of change tell as well that it
//! is the one that was hashed before.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_cli::Paths;
use oci::{Image, Recipe, archive};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::reference;
use crate::{
    caller::{self, OPEN, as_caller},
    error::unfit_for,
};

/// Raised when the same inputs begin to give another image.
const FORMAT: u32 = 3;

/// What stands beside an archive.
#[derive(Serialize, Deserialize)]
struct Entry {
    stamp: String,
    image: Image,
}

/// The image of a recipe, from the cache if its inputs are unchanged.
pub fn image(paths: &Paths, recipe: &Recipe) -> Result<Image> {
    let folder = folder(paths)?;
    let stamp = stamp(&recipe.inputs().collect::<Vec<_>>())?;
    let note = folder.join(format!("{}.json", recipe.name));
    if let Some(image) = remembered(&note, &stamp) {
        return Ok(image);
    }
    let written = as_caller(|| archive::write(&folder, recipe, &reference(&recipe.name)));
    let image = written.map_err(unfit_for)?;
    caller::write(&note, serde_json::to_vec(&Entry { stamp, image: image.clone() })?, OPEN)?;
    Ok(image)
}

/// A file made from others, from the cache if they are unchanged.
pub fn derived(paths: &Paths, name: &str, inputs: &[&Path], make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let key = hex::encode(&Sha256::digest(stamp(inputs)?)[..8]);
    let file = folder(paths)?.join(format!("{key}-{name}"));
    if !file.is_file() {
        caller::replace(&file, make)?;
    }
    Ok(file)
}

/// A cluster's images are built by root, whose cache this is not.
fn folder(paths: &Paths) -> Result<PathBuf> {
    let folder = paths.images();
    caller::folder(&folder)?;
    Ok(folder)
}

fn remembered(note: &Path, stamp: &str) -> Option<Image> {
    let entry: Entry = serde_json::from_slice(&fs::read(note).ok()?).ok()?;
    let archive = fs::metadata(&entry.image.archive).ok()?;
    (entry.stamp == stamp && archive.len() == entry.image.size).then_some(entry.image)
}

fn stamp(inputs: &[impl AsRef<Path>]) -> Result<String> {
    let describe = |input: &Path| -> Result<String> {
        let meta = fs::metadata(input).with_context(|| format!("failed to find {}", input.display()))?;
        Ok(format!("{} {} {} {}.{}", input.display(), meta.len(), meta.ino(), meta.mtime(), meta.mtime_nsec()))
    };
    let mut lines = vec![format!("format {FORMAT}")];
    for input in inputs {
        lines.push(describe(input.as_ref())?);
    }
    Ok(lines.join("\n"))
}

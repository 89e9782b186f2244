//! `bee package`: this very program, its libraries and a probe as an image for containers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bee::store::Reference;
use clikit::print;
use oci::files::as_owner;
use oci::rootfs::Content;
use oci::{Image, Recipe, archive};

use super::registry;
use crate::cli::{Cli, Package};

pub fn run(cli: &Cli, arguments: &Package) -> Result<()> {
    let without_use = [("--builder", arguments.builder.is_some()), ("--bee-image", arguments.bee_image.is_some())];
    super::without_use(&without_use, "bee makes the image itself, from itself");
    let object = super::store(cli)?.program(&arguments.reference)?;
    let recipe = recipe(&arguments.reference, object)?;
    let digest = match &arguments.output {
        Some(file) => write(&recipe, &arguments.image, file)?,
        None => registry::push_image(&recipe, &arguments.image, &qualified(&arguments.image), &cli.global.registry)?,
    };
    Ok(print::line(digest)?)
}

/// The probe in an image has the last part of its name in the store.
fn recipe(reference: &Reference, object: Vec<u8>) -> Result<Recipe> {
    let name = reference.repository().rsplit('/').next().unwrap_or_default();
    let probe = PathBuf::from(format!("/probes/{name}.o"));
    // In a container's own loopback address nobody is interested.
    let arguments =
        ["run", "--no-tty", "--listen=::"].map(str::to_owned).into_iter().chain([probe.display().to_string()]);
    Ok(Recipe {
        name: name.to_owned(),
        program: std::env::current_exe().context("failed to find bee's own program file")?,
        files: vec![(probe, Content::Bytes(object))],
        arguments: arguments.collect(),
    })
}

/// The archive appears whole or not at all: it is written beside its place first.
fn write(recipe: &Recipe, name: &Reference, file: &Path) -> Result<String> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (digest, size) = as_owner(folder, || {
        let beside =
            tempfile::tempdir_in(folder).with_context(|| format!("failed to write into {}", folder.display()))?;
        let Image { archive, digest, size, .. } = archive::write(beside.path(), recipe, &qualified(name))?;
        std::fs::rename(archive, file).with_context(|| format!("failed to write {}", file.display()))?;
        anyhow::Ok((digest, size))
    })?;
    print::note(format_args!("wrote {}, {:.1} MB", file.display(), size as f64 / 1e6));
    Ok(digest)
}

/// A name as containerd needs it: without a registry it is docker's.
fn qualified(name: &Reference) -> String {
    match name.host() {
        Some(_) => name.to_string(),
        None if name.repository().contains('/') => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

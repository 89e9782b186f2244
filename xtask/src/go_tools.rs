//! Programs that `--install` builds from Go modules where the user's own will not do: each once, in the cache.

use std::{ffi::OsString, fs, path::PathBuf};

use anyhow::{Context, Result};
use lab_cli::{
    Paths,
    pins::{GoTool, pins},
};

use crate::{go, go_release, progress::Line};

/// Builds the pinned version, unless it is there. `package` is what of the module is the program, `flags` what the linker is told.
pub fn build(paths: &Paths, name: &str, pin: &GoTool, package: &str, flags: &str) -> Result<()> {
    let folder = folder(paths, name, pin);
    if folder.is_dir() {
        return Ok(());
    }
    let line = Line::new(&format!("building {name} {} from its Go module (some minutes, once)", pin.version));
    let partial = folder.with_file_name(format!("{name}.partial"));
    fs::create_dir_all(&partial).with_context(|| format!("failed to make the folder {}", partial.display()))?;
    let program = format!("{}{package}@v{}", pin.module, pin.version);
    let mut install = go::command()?;
    install.args(["install", "-trimpath", "-ldflags", flags, &program]).env("GOBIN", &partial).env("CGO_ENABLED", "0");
    install.env("PATH", path(paths)?);
    let installed = go::read(install);
    drop(line);
    installed?;
    fs::rename(&partial, &folder).with_context(|| format!("failed to put {name} in {}", folder.display()))
}

/// Where a program lies once it was built.
pub fn folder(paths: &Paths, name: &str, pin: &GoTool) -> PathBuf {
    paths.cache.join("tools").join(format!("{name}-{}", pin.version))
}

/// `PATH` for whoever starts these programs: ours first, which were brought because the user's would not do.
pub fn path(paths: &Paths) -> Result<OsString> {
    let tools = pins()?.tools;
    let ours = [folder(paths, "helm", &tools.helm), folder(paths, "kind", &tools.kind)];
    let ours = ours.into_iter().chain(go_release::bin(paths).ok()).filter(|folder| folder.is_dir());
    let theirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(ours.chain(std::env::split_paths(&theirs))).context("failed to extend PATH")
}

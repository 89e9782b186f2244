//! Helm, for lab 3 of the upstream profile: the user's own if it is new enough, else built from its Go module into the cache.

use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use interface::{Paths, pins::pins};

use crate::{progress::Line, tools};

/// Whether there is a helm that will do.
pub fn found(paths: &Paths) -> Result<(), String> {
    let least = pins().map_err(|error| error.to_string())?.tools.helm.least;
    let ours = built(paths).map_err(|error| error.to_string())?.join("helm");
    let program = if ours.is_file() { ours } else { tools::find("helm").ok_or("not found")? };
    let output = Command::new(program).args(["version", "--short"]).output().map_err(|error| error.to_string())?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match numbers(&version) {
        None => Err(format!("its version `{version}` can't be read")),
        number if number < numbers(&least) => Err(format!("version {version} is too old, {least} is needed")),
        _ => Ok(()),
    }
}

/// Builds the pinned version, unless it is there.
pub fn build(paths: &Paths) -> Result<()> {
    let (pin, folder) = (pins()?.tools.helm, built(paths)?);
    if folder.is_dir() {
        return Ok(());
    }
    let line = Line::new(&format!("building helm {} from its Go module (some minutes, once)", pin.version));
    let partial = folder.with_file_name("helm.partial");
    fs::create_dir_all(&partial).with_context(|| format!("make the folder {}", partial.display()))?;
    // Without this it would say only its first two numbers.
    let version = format!("-s -w -X {}/internal/version.version=v{}", pin.module, pin.version);
    let program = format!("{}/cmd/helm@v{}", pin.module, pin.version);
    let mut go = Command::new("go");
    go.args(["install", "-trimpath", "-ldflags", &version, &program]).env("GOBIN", &partial).env("CGO_ENABLED", "0");
    let output = go.stdin(Stdio::null()).output().context("start go")?;
    drop(line);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`go install {program}` failed ({})\n{}", output.status, said.trim_end());
    fs::rename(&partial, &folder).with_context(|| format!("put helm in {}", folder.display()))
}

/// `PATH` for programs that start helm: ours first, which was built because the user's would not do.
pub fn path(paths: &Paths) -> Result<OsString> {
    let theirs = std::env::var_os("PATH").unwrap_or_default();
    let ours = Some(built(paths)?).filter(|folder| folder.is_dir());
    std::env::join_paths(ours.into_iter().chain(std::env::split_paths(&theirs))).context("extend PATH")
}

fn built(paths: &Paths) -> Result<PathBuf> {
    Ok(paths.cache.join("tools").join(format!("helm-{}", pins()?.tools.helm.version)))
}

/// The first two numbers of a version such as `v4.3.1+g1234567`; no release depends on more.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("v3.9.4+g1") < numbers("3.14.0"));
        assert!(numbers("v4.3.1") > numbers("3.14.0"));
        assert_eq!(numbers("helm"), None);
    }
}

//! Helm, for lab 3 of the upstream profile: the user's own if it is new enough, else built from its Go module into the cache.

use std::process::Command;

use anyhow::Result;
use lab_cli::{Paths, pins::pins};

use crate::{detect, go_tools};

/// Whether there is a helm that will do.
pub fn found(paths: &Paths) -> Result<(), String> {
    let pin = pins().map_err(|error| error.to_string())?.tools.helm;
    let ours = go_tools::folder(paths, "helm", &pin).join("helm");
    let program = if ours.is_file() { ours } else { detect::find("helm").ok_or("not found")? };
    let output = Command::new(program).args(["version", "--short"]).output().map_err(|error| error.to_string())?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match numbers(&version) {
        None => Err(format!("its version `{version}` can't be read")),
        number if number < numbers(&pin.least) => Err(format!("version {version} is too old, {} is needed", pin.least)),
        _ => Ok(()),
    }
}

/// Builds the pinned version.
pub fn build(paths: &Paths) -> Result<()> {
    let pin = pins()?.tools.helm;
    // Without this it would say only its first two numbers.
    let version = format!("-s -w -X {}/internal/version.version=v{}", pin.module, pin.version);
    go_tools::build(paths, "helm", &pin, "/cmd/helm", &version)
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

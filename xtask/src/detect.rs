//! What is on this machine already: programs, how new they are, and libraries.

use std::{path::PathBuf, process::Command};

use lab_cli::Version;

/// There are two majors a year.
const NEWEST_CLANG: u32 = 99;

/// A program's path, if `PATH` has it. Administration tools lie in `/usr/sbin`, which many users' `PATH` lacks.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The first version that a program prints of itself must be at least `least`.
///
/// # Errors
/// What is wrong with it.
pub fn version(program: &str, least: Version) -> Result<(), String> {
    let file = find(program).ok_or_else(|| format!("not found, {least} or newer is needed"))?;
    version_of(file, least)
}

/// As bee finds it: the one that `BPF_CLANG` names (Nix wraps clang in a way that BPF can't bear, and names the bare one there), else
/// `clang`, else one that stands beside it with its version in its name.
///
/// # Errors
/// What is wrong with `clang`.
pub fn clang(least: Version) -> Result<(), String> {
    if let Some(bare) = std::env::var_os("BPF_CLANG") {
        return version_of(bare.into(), least);
    }
    let unversioned = version("clang", least);
    let versioned = (least.major..=NEWEST_CLANG).any(|major| find(&format!("clang-{major}")).is_some());
    if versioned { Ok(()) } else { unversioned }
}

fn version_of(file: PathBuf, least: Version) -> Result<(), String> {
    let output = Command::new(file).arg("--version").output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.split_whitespace().find_map(|word| word.parse::<Version>().ok()) {
        Some(version) if version < least => Err(format!("version {version} is too old, {least} is needed")),
        Some(_) => Ok(()),
        None => Err("does not say its version".to_owned()),
    }
}

/// A C library with its headers, as pkg-config knows it.
pub fn library(name: &str) -> Result<(), String> {
    let found = Command::new("pkg-config").args(["--exists", name]).status();
    if found.is_ok_and(|status| status.success()) { Ok(()) } else { Err("not found (with its headers)".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_too_old_is_refused() {
        let version_of = |least: &str| version("make", least.parse().unwrap());
        assert!(version_of("3.81").is_ok());
        assert!(version_of("9999.0").unwrap_err().ends_with("is too old, 9999.0.0 is needed"));
        assert_eq!(version("no-such-tool", "0.1".parse().unwrap()).unwrap_err(), "not found, 0.1.0 or newer is needed");
    }
}

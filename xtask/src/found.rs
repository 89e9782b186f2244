//! What is on this machine already: programs, how new they are, and libraries.

use std::{path::PathBuf, process::Command};

/// A program's path, if `PATH` has it. Administration tools lie in `/usr/sbin`, which many users' `PATH` lacks.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The first whole number that a program prints about its version must be at least `least`.
pub fn version(program: &str, arguments: &[&str], least: u32) -> Result<(), String> {
    let program = match (program, std::env::var_os("BPF_CLANG")) {
        // Nix wraps clang in a way that BPF can't bear, and names the bare one here.
        ("clang", Some(bare)) => PathBuf::from(bare),
        _ => find(program).ok_or("not found")?,
    };
    let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let digits =
        |word: &str| word.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match text.split_whitespace().find_map(digits) {
        Some(major) if major < least => Err(format!("version {major} is too old")),
        None if least > 0 => Err("does not say its version".to_owned()),
        _ => Ok(()),
    }
}

/// Go 1.21 and later fetch the pinned toolchain themselves.
pub fn go() -> Result<(), String> {
    let program = find("go").ok_or("not found")?;
    let output = Command::new(program).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").output();
    let text = String::from_utf8_lossy(&output.map_err(|error| error.to_string())?.stdout).trim().to_owned();
    let mut numbers = text.trim_start_matches("go").split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    match (numbers.next(), numbers.next()) {
        (Some(1), Some(minor)) if minor < 21 => Err(format!("{text} is too old")),
        _ => Ok(()),
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
        assert_eq!(version("make", &["--version"], 9999).unwrap_err().split(' ').next(), Some("version"));
        assert!(version("no-such-tool", &[], 0).is_err());
    }
}

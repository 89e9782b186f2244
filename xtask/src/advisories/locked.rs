//! Every package that some file of the checkout locks.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use lab_cli::pins;
use serde::Deserialize;
use serde_json::Value;

const GO: [&str; 4] =
    ["kubernetes/go.mod", "kubernetes/previous.mod", "kubernetes/runtime/go.mod", "kubernetes/metallb/go.mod"];
const CARGO: &str = "Cargo.lock";
const NPM: &str = "crates/kebpf/web/package-lock.json";

/// A version of a package, with OSV's name of where packages like it come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    pub ecosystem: &'static str,
    pub package: String,
    pub version: String,
    pub file: String,
}

impl Locked {
    pub fn new(ecosystem: &'static str, package: &str, version: &str, file: &str) -> Self {
        Self { ecosystem, package: package.to_owned(), version: version.to_owned(), file: file.to_owned() }
    }
}

/// # Errors
/// A file can't be read.
pub fn all(checkout: &Path) -> Result<Vec<Locked>> {
    let read = |file: &str| {
        let path = checkout.join(file);
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
    };
    let mut all = crates(&read(CARGO)?)?;
    for file in GO {
        all.extend(modules(&read(file)?, file));
    }
    // Go's own library, by the version that compiles.
    all.push(Locked::new("Go", "stdlib", &pins::of_checkout(checkout)?.tools.go.version, "manifests/pins.toml"));
    all.extend(packages(&read(NPM)?)?);
    Ok(all)
}

#[derive(Deserialize)]
struct CargoLock {
    package: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    source: Option<String>,
}

fn crates(lock: &str) -> Result<Vec<Locked>> {
    let lock: CargoLock = toml::from_str(lock).context("failed to read Cargo.lock")?;
    let ours = |found: &Crate| found.source.is_none();
    let others = lock.package.into_iter().filter(|found| !ours(found));
    Ok(others.map(|found| Locked::new("crates.io", &found.name, &found.version, CARGO)).collect())
}

/// What a go.mod requires, or what it has in its place.
fn modules(text: &str, file: &str) -> Vec<Locked> {
    let mut modules = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("require ").trim_start_matches("replace ");
        match *line.split_whitespace().collect::<Vec<_>>() {
            [module, "=>", _, version] => {
                modules.insert(module, version);
            }
            [module, version, ..] if version.starts_with('v') && module.contains('.') => {
                modules.entry(module).or_insert(version);
            }
            _ => {}
        }
    }
    modules.into_iter().map(|(module, version)| Locked::new("Go", module, version, file)).collect()
}

fn packages(lock: &str) -> Result<Vec<Locked>> {
    let lock: Value = serde_json::from_str(lock).context("failed to read package-lock.json")?;
    let packages = lock["packages"].as_object().context("package-lock.json has no packages")?;
    let named = packages.iter().filter_map(|(path, package)| {
        let (_, name) = path.rsplit_once("node_modules/")?;
        Some(Locked::new("npm", name, package["version"].as_str()?, NPM))
    });
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_locks_something_and_a_replacement_counts() {
        let all = all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
        for file in GO.into_iter().chain([CARGO, NPM]) {
            assert!(all.iter().any(|locked| locked.file == file), "{file}");
        }
        let text = "module m\ngo 1.26.0\nrequire example.org/a v1.0.0\nrequire (\n\texample.org/b v2.0.0 // indirect\n)\n\
                    replace example.org/a => example.org/fork v1.5.0\n";
        let locked = |module, version| Locked::new("Go", module, version, "go.mod");
        assert_eq!(modules(text, "go.mod"), [locked("example.org/a", "v1.5.0"), locked("example.org/b", "v2.0.0")]);
    }
}

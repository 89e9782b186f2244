//! Builds the Go programs of `kubernetes` into the cache, once per content.
//!
//! Cold it takes minutes, so `lab 1` lets it run behind at low priority as a process of its own, and
//! whoever needs the programs joins it by its lock. Go's own cache makes a killed build cheap to repeat.

mod job;
mod parts;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use lab_cli::{
    Paths,
    pins::pins,
    programs::{Building, State, state},
};
use sha2::{Digest, Sha256};

use crate::{behind, progress::Line};

/// Raised when the same modules begin to give other programs.
const FORMAT: &str = "2";

/// What a folder of programs holds; its name says so by its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// All of them.
    All,
    /// Kubernetes and containerd, without what lies in images of ours: all that the upstream profile needs.
    Nodes,
    /// All of them, with Kubernetes as it was one minor before.
    Previous,
}

impl Set {
    const EACH: [Self; 3] = [Self::All, Self::Nodes, Self::Previous];

    fn ending(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Nodes => "-kubernetes",
            Self::Previous => "-previous",
        }
    }

    /// What the folder of these paths holds.
    fn of(paths: &Paths) -> Self {
        let folder = paths.programs.to_string_lossy();
        let ends = |set: &&Self| folder.ends_with(set.ending());
        Self::EACH.iter().rfind(ends).copied().unwrap_or(Self::All)
    }

    /// The files below `kubernetes` that decide what is built.
    fn files(self) -> Vec<&'static str> {
        let mut files =
            vec!["go.mod", "go.sum", "main.go", "metallb/go.mod", "metallb/go.sum", "runtime/go.mod", "runtime/go.sum"];
        if self == Self::Previous {
            files.extend(["previous.mod", "previous.sum"]);
        }
        files
    }
}

/// The name of a set's folder: another module, file or compiler is another name.
pub fn folder(checkout: &Path, set: Set) -> Result<String> {
    let modules = checkout.join("kubernetes");
    let mut hash = Sha256::new_with_prefix(FORMAT);
    for file in set.files() {
        let path = modules.join(file);
        hash.update(fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?);
    }
    hash.update(pins()?.tools.go.version);
    hash.update(std::env::consts::ARCH);
    Ok(hex::encode(&hash.finalize()[..8]) + set.ending())
}

/// Starts the build as a process of its own at low priority, unless the programs are there or being built.
pub fn start_behind(paths: &Paths) -> Result<()> {
    let folder = paths.programs.file_name().and_then(|name| name.to_str()).context("failed to name the programs")?;
    behind::start(paths, &Building::of(paths), state(paths)?, "19", &["build-programs", folder])
}

/// Waits until the programs are there, building them if nobody does.
pub fn join(paths: &Paths) -> Result<()> {
    if state(paths)? == State::Built {
        return Ok(());
    }
    let line = Line::new("building Kubernetes and its companions from Go modules (once)");
    start_behind(paths)?;
    let mut looks = 0;
    loop {
        match state(paths)? {
            State::Built => return Ok(()),
            State::Building(progress) => line.show(progress.to_string()),
            State::Failed(why) => {
                bail!("could not build the Go programs; log: {}\n{why}", Building::of(paths).log().display())
            }
            // The process that was just started has not taken the lock yet.
            State::Absent if looks < 50 => {}
            State::Absent => bail!("the build of the Go programs was ended; run the same command again"),
        }
        looks = if matches!(state(paths)?, State::Absent) { looks + 1 } else { 0 };
        crate::progress::rest();
    }
}

/// The body of the process that [`start_behind`] starts: takes the lock, builds, and renames the result into place.
pub fn build(paths: &Paths) -> Result<()> {
    let building = Building::of(paths);
    behind::hold(&building, || paths.programs.is_dir(), || build_locked(paths, &building))
}

fn build_locked(paths: &Paths, building: &Building) -> Result<()> {
    let result = building.folder.join("result");
    if result.exists() {
        fs::remove_dir_all(&result)?;
    }
    fs::create_dir_all(result.join("bin"))?;
    match Set::of(paths) {
        Set::Previous => parts::previous(paths, &result, building)?,
        set => parts::current(paths, set, &result, building)?,
    }
    fs::rename(&result, &paths.programs)
        .with_context(|| format!("failed to move the programs to {}", paths.programs.display()))?;
    fs::remove_file(building.progress()).context("failed to forget how far the build was")
}

//! Builds our Rust programs with cargo, quietly, saying how long it will still take.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use lab_cli::{Paths, programs::Progress};
use serde_json::Value;

use crate::{cargo, crates::Crates, progress::Line};

/// What the students' commands need.
pub const STUDENTS: [&str; 2] = ["lab", "bee"];
/// All there is.
pub const ALL: [&str; 4] = ["lab", "bee", "bookinfo", "kebpf"];
/// What images need, which who began with lab 1 did not wait for; the bee that it had is not the whole one.
pub const IN_IMAGES: [&str; 4] = ALL;

/// What lab 1 needs, without the features that it does without.
const LAB_1: [&str; 2] = ["bee", "lab1"];
const LAB_1_PACKAGES: [&str; 2] = ["bee", "lab-engine"];
const LAB_1_FEATURES: &str = "--no-default-features";

/// Builds these programs in the profile that everything here uses. Whichever they are, cargo resolves features for the whole
/// workspace: with `-p` each selection would have its own, and `status` after `lab all` would compile half of it again.
///
/// # Errors
/// What the compiler said, when it refused.
pub fn rust(paths: &Paths, programs: &[&'static str]) -> Result<()> {
    say(paths, &Build { kind: "--bin", names: programs, packages: programs, features: None })
}

/// Builds `lab1`, and a bee without what lab 1 does without. What it compiles, [`rust`] does not compile again.
///
/// # Errors
/// As [`rust`].
pub fn lab_1(paths: &Paths) -> Result<()> {
    say(paths, &Build { kind: "--bin", names: &LAB_1, packages: &LAB_1_PACKAGES, features: Some(LAB_1_FEATURES) })
}

/// As [`rust`], for nobody who looks: how far it is goes to `tell`.
///
/// # Errors
/// As [`rust`].
pub fn rust_behind(paths: &Paths, programs: &[&'static str], tell: impl FnMut(Progress)) -> Result<()> {
    Build { kind: "--bin", names: programs, packages: programs, features: None }.run(paths, tell)
}

/// Builds an example, into the folder `examples` beside the programs.
///
/// # Errors
/// What the compiler said, when it refused.
pub fn example(paths: &Paths, name: &str) -> Result<()> {
    say(paths, &Build { kind: "--example", names: &[name], packages: &["bee"], features: None })
}

fn say(paths: &Paths, build: &Build) -> Result<()> {
    let line = Line::new(&format!("building {} (Rust)", build.names.join(", ")));
    build.run(paths, |progress| line.show(progress.to_string()))
}

struct Build<'a> {
    /// Cargo's flag for what is built.
    kind: &'a str,
    names: &'a [&'a str],
    /// Where they are, for the time that it takes.
    packages: &'a [&'a str],
    features: Option<&'a str>,
}

impl Build<'_> {
    fn run(&self, paths: &Paths, mut tell: impl FnMut(Progress)) -> Result<()> {
        let mut child = self.command(paths).spawn().context("failed to start cargo")?;
        let mut said = child.stderr.take().context("failed to read what cargo says")?;
        let messages = std::thread::spawn(move || {
            let mut text = Vec::new();
            // A pipe that breaks leaves what was read so far.
            let _ = said.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut crates = Crates::new(paths, self.packages, self.features);
        for message in BufReader::new(child.stdout.take().context("failed to read what cargo builds")?).lines() {
            let message: Value = serde_json::from_str(&message?).unwrap_or_default();
            if let Some(progress) = crates.hear(&message) {
                tell(progress);
            }
        }
        let status = child.wait()?;
        let messages = messages.join().unwrap_or_default();
        if !status.success() {
            bail!("`cargo build` of {} failed ({status})\n{}", self.names.join(", "), messages.trim_end());
        }
        Ok(())
    }

    fn command(&self, paths: &Paths) -> Command {
        let mut cargo = Command::new(cargo::program());
        cargo.current_dir(&paths.checkout).args(["build", "--release", "--locked", "--workspace"]);
        cargo.arg("--message-format=json-render-diagnostics").args(self.features);
        cargo.args(self.names.iter().flat_map(|name| [self.kind, name]));
        cargo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        cargo
    }
}

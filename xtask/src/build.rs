//! Builds our Rust programs with cargo, quietly, saying how far it is.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use interface::Paths;
use serde_json::Value;

use crate::progress::Line;

/// What lab 1 needs.
pub const STUDENTS: [&str; 2] = ["lab", "bee"];
/// What runs in the cluster only.
pub const IN_IMAGES: [&str; 2] = ["bookinfo", "kebpf"];
/// Both.
pub const ALL: [&str; 4] = ["lab", "bee", "bookinfo", "kebpf"];

/// Builds these programs in the profile that everything here uses. Whichever they are, cargo resolves features for the whole
/// workspace: with `-p` each selection would have its own, and `status` after `lab all` would compile half of it again.
///
/// # Errors
/// What the compiler said, when it refused.
pub fn rust(paths: &Paths, programs: &[&str]) -> Result<()> {
    build(paths, "--bin", programs)
}

/// Builds an example, into the folder `examples` beside the programs.
///
/// # Errors
/// What the compiler said, when it refused.
pub fn example(paths: &Paths, name: &str) -> Result<()> {
    build(paths, "--example", &[name])
}

fn build(paths: &Paths, kind: &str, programs: &[&str]) -> Result<()> {
    let line = Line::new(&format!("building {} (Rust; some minutes the first time)", programs.join(", ")));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&paths.checkout).args([
        "build",
        "--release",
        "--locked",
        "--message-format=json-render-diagnostics",
    ]);
    cargo.arg("--workspace").args(programs.iter().flat_map(|program| [kind, program]));
    let mut child =
        cargo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("start cargo")?;
    let mut said = child.stderr.take().context("read what cargo says")?;
    let messages = std::thread::spawn(move || {
        let mut text = Vec::new();
        // A pipe that breaks leaves what was read so far.
        let _ = said.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut done = 0;
    for message in BufReader::new(child.stdout.take().context("read what cargo builds")?).lines() {
        let message: Value = serde_json::from_str(&message?).unwrap_or_default();
        if message["reason"] == "compiler-artifact" {
            done += 1;
            line.show(format!("crate {done}: {}", message["target"]["name"].as_str().unwrap_or_default()));
        }
    }
    let status = child.wait()?;
    drop(line);
    let messages = messages.join().unwrap_or_default();
    if !status.success() {
        bail!("`cargo build` of {} failed ({status})\n{}", programs.join(", "), messages.trim_end());
    }
    Ok(())
}

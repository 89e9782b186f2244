//! Which images there are, and which programs lie in them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lab_cli::Paths;
use oci::{Recipe, rootfs::Content};

use super::cache;
use crate::cmd::Cmd;

/// The probe that lab 5 runs on every node, as it lies in bee's image.
const PROBE: &str = "/probes/tcpconnect.o";

/// Programs of this workspace, each in an image of its own name.
const RUST_PROGRAMS: [&str; 3] = ["bookinfo", "kebpf", "bee"];

/// Image name, program in `programs/bin`, arguments that select a component of it.
const GO_PROGRAMS: [(&str, &str, &[&str]); 9] = [
    ("pause", "pause", &[]),
    ("coredns", "hyperkube", &["coredns"]),
    ("metallb-controller", "controller", &[]),
    ("metallb-speaker", "speaker", &[]),
    ("prometheus-operator", "operator", &[]),
    ("prometheus-config-reloader", "prometheus-config-reloader", &[]),
    ("kube-state-metrics", "kube-state-metrics", &[]),
    ("prometheus", "prometheus", &[]),
    ("node-exporter", "node_exporter", &[]),
];

/// What belongs into the image of this name.
///
/// # Errors
/// There is no such image, or the probe of bee's does not compile.
pub fn recipe(paths: &Paths, name: &str) -> Result<Recipe> {
    if let Some(&(name, program, arguments)) = GO_PROGRAMS.iter().find(|(of, ..)| *of == name) {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let program = paths.programs.join("bin").join(program);
        return Ok(Recipe { name: name.to_owned(), program, files: vec![], arguments });
    }
    let name = *RUST_PROGRAMS.iter().find(|of| **of == name).with_context(|| format!("there is no image {name}"))?;
    let files = match name {
        "bee" => vec![(PROBE.into(), Content::File { source: probe(paths)?, executable: false })],
        _ => vec![],
    };
    Ok(Recipe { name: name.to_owned(), program: paths.bin.join(name), files, arguments: vec![] })
}

/// The workshop's probe as an object file, compiled by bee.
fn probe(paths: &Paths) -> Result<PathBuf> {
    let (bee, source) = (paths.bin.join("bee"), paths.checkout.join("probes/tcpconnect.bpf.c"));
    let headers = paths.checkout.join("probes/include/bee.h");
    cache::derived(paths, "tcpconnect.o", &[&bee, &source, &headers], |object: &Path| {
        let build = Cmd::new(&bee).arg("build").arg(&source).arg("--output-file").arg(object).as_caller();
        build.run().context("failed to compile the probe that lab 5 runs on every node")
    })
}

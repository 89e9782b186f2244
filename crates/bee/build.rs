//! Packs the C headers that bee gives to every probe into one archive per architecture, which the program embeds: a student
//! needs clang and nothing else. libbpf's headers come from the very libbpf that bee links, ours from `probes/include/`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// What a BPF program may include of libbpf; its other headers are for programs in user space.
const LIBBPF: [&str; 6] =
    ["bpf_core_read.h", "bpf_endian.h", "bpf_helper_defs.h", "bpf_helpers.h", "bpf_tracing.h", "usdt.bpf.h"];

/// The folders of `probes/include/` that hold one architecture's `vmlinux.h`, named as libbpf's `__TARGET_ARCH_*`.
const ARCHITECTURES: [&str; 2] = ["x86", "arm64"];

fn main() -> Result<()> {
    let ours = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../probes/include");
    let libbpf = PathBuf::from(variable("DEP_BPF_INCLUDE")?).join("bpf");
    println!("cargo::rerun-if-changed={}", ours.display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut common: Vec<_> = LIBBPF.iter().map(|name| (format!("bpf/{name}"), libbpf.join(name))).collect();
    common.extend(headers_in(&ours)?);
    common.push(("linux/errno.h".to_owned(), ours.join("linux/errno.h")));
    for architecture in ARCHITECTURES {
        let vmlinux = ("vmlinux.h".to_owned(), ours.join(architecture).join("vmlinux.h"));
        let archive = Path::new(&variable("OUT_DIR")?).join(format!("headers-{architecture}.tar.gz"));
        pack(&archive, common.iter().chain([&vmlinux]))?;
    }
    Ok(())
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set by cargo"))
}

fn headers_in(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut headers = vec![];
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "h") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            headers.push((name, path));
        }
    }
    headers.sort();
    Ok(headers)
}

/// Only names and contents, no times or owners: the same headers give the same archive.
fn pack<'a>(archive: &Path, headers: impl Iterator<Item = &'a (String, PathBuf)>) -> Result<()> {
    // Build scripts run unoptimised, and the headers are repetitive: the fast level costs a second less and 200 kB more.
    let mut tar = tar::Builder::new(GzEncoder::new(fs::File::create(archive)?, Compression::fast()));
    for (name, path) in headers {
        let content = fs::read(path).with_context(|| format!("read the header {}", path.display()))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_slice())?;
    }
    tar.into_inner()?.finish()?;
    Ok(())
}

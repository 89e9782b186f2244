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

/// The directories of `probes/include/` that hold one architecture's headers, named as libbpf's `__TARGET_ARCH_*`.
const ARCHITECTURES: [&str; 2] = ["x86", "arm64"];

/// What `asm/` is made of on both architectures. The system's own lies where clang does not look for BPF (Debian), or is of the
/// machine that compiles.
const GENERIC: [&str; 14] = [
    "errno.h",
    "ioctl.h",
    "ioctls.h",
    "param.h",
    "poll.h",
    "posix_types.h",
    "resource.h",
    "siginfo.h",
    "socket.h",
    "sockios.h",
    "swab.h",
    "termbits.h",
    "termios.h",
    "types.h",
];

fn main() -> Result<()> {
    let ours = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../probes/include");
    let libbpf = PathBuf::from(variable("DEP_BPF_INCLUDE")?).join("bpf");
    println!("cargo::rerun-if-changed={}", ours.display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut common = vec![];
    for name in LIBBPF {
        common.push((format!("bpf/{name}"), read(&libbpf.join(name))?));
    }
    for name in GENERIC {
        common.push((format!("asm/{name}"), format!("#include <asm-generic/{name}>\n").into_bytes()));
    }
    for folder in ["", "bits/", "gnu/", "asm/", "linux/"] {
        common.extend(headers_in(&ours.join(folder), folder)?);
    }
    for architecture in ARCHITECTURES {
        let mut headers = headers_in(&ours.join(architecture), "")?;
        headers.extend(headers_in(&ours.join(architecture).join("asm"), "asm/")?);
        let archive = Path::new(&variable("OUT_DIR")?).join(format!("headers-{architecture}.tar.gz"));
        pack(&archive, common.iter().chain(&headers))?;
    }
    Ok(())
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set by cargo"))
}

/// A header's name, as it is included, and its content.
type Header = (String, Vec<u8>);

fn headers_in(folder: &Path, prefix: &str) -> Result<Vec<Header>> {
    let mut headers = vec![];
    for entry in fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "h") {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            headers.push((format!("{prefix}{name}"), read(&path)?));
        }
    }
    headers.sort();
    Ok(headers)
}

fn read(header: &Path) -> Result<Vec<u8>> {
    fs::read(header).with_context(|| format!("failed to read the header {}", header.display()))
}

/// Only names and contents, no times or owners: the same headers give the same archive.
fn pack<'a>(archive: &Path, headers: impl Iterator<Item = &'a Header>) -> Result<()> {
    // Build scripts run unoptimised, and the headers are repetitive: the fast level costs a second less and 200 kB more.
    let mut tar = tar::Builder::new(GzEncoder::new(fs::File::create(archive)?, Compression::fast()));
    for (name, content) in headers {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_slice())?;
    }
    tar.into_inner()?.finish()?;
    Ok(())
}

//! `cargo xtask vmlinux`: the `vmlinux.h` that bee gives to probes, anew from two of Debian's kernels that the tests run.
//!
//! The types are in the kernel itself, which need not run and may be another architecture's.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, ensure};
use lab_cli::{
    Options, Paths, exit,
    pins::{self, pins},
};

use crate::{
    apt::{Apt, Unpacked},
    build, kernels,
    progress::Line,
    requirements::{self, Need},
};

/// The directories below `probes/include` and Debian's words for their architectures.
const ARCHITECTURES: [(&str, &str); 2] = [("x86", "amd64"), ("arm64", "arm64")];

/// The pinned kernel whose suite has the newest, and one whose types older probes use.
const NEWEST: &str = "newest";
const OLDER: &str = "6.12";

/// The one whose packages are pinned.
const PINNED: &str = "amd64";

/// How a kernel may be compressed: the first bytes, and the program that unpacks what begins with them.
const COMPRESSIONS: [(&[u8], &str); 3] =
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"\x1f\x8b\x08", "gzip")];

/// How BTF begins: its magic number, version 1, no flags, and a head of 24 bytes, with the types right behind it.
const BTF: &[u8] = b"\x9f\xeb\x01\x00\x18\x00\x00\x00\x00\x00\x00\x00";
const BTF_HEAD: usize = 24;

/// A kernel's types are megabytes; what is shorter only begins alike.
const LEAST: usize = 1 << 20;

/// # Errors
/// A package can't be had, or its kernel has no types.
pub fn run(paths: &Paths, options: &Options) -> Result<u8> {
    requirements::ensure(paths, &[Need::Probes], options.install)?;
    build::example(paths, "vmlinux")?;
    let pins = pins()?;
    let mut pinned = vec![];
    for name in [NEWEST, OLDER] {
        let kernel = pins.kernels.iter().find(|kernel| kernel.name == name);
        pinned.push(kernel.with_context(|| format!("no kernel {name} is pinned"))?);
    }
    let mut headers = vec![];
    for (folder, architecture) in ARCHITECTURES {
        headers.push((
            paths.checkout.join("probes/include").join(folder).join("vmlinux.h"),
            header(paths, &pinned, architecture)?,
        ));
    }
    for (file, header) in headers {
        fs::write(&file, header).with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(exit::OK)
}

/// The header with the types of the first kernel, and what the others have besides.
fn header(paths: &Paths, pinned: &[&pins::Kernel], architecture: &str) -> Result<Vec<u8>> {
    let mut scratches = vec![];
    let mut kernels = vec![];
    for pin in pinned {
        let suite = &pin.suite;
        let scratch =
            Scratch(paths.checkout.join(format!("target/vmlinux-{suite}-{architecture}-{}", std::process::id())));
        let kernel = Kernel::fetch(pin, architecture, &scratch.0);
        scratches.push(scratch);
        kernels
            .push(kernel.with_context(|| format!("failed to get the types for {architecture} from Debian {suite}"))?);
    }
    let _line = Line::new(&format!("printing the types for {architecture}"));
    let mut print = Command::new(paths.bin.join("examples/vmlinux"));
    let printed = print.args(kernels.iter().map(|kernel| &kernel.types)).output().context("failed to print types")?;
    ensure!(printed.status.success(), "failed to print types: {}", String::from_utf8_lossy(&printed.stderr).trim_end());
    Ok([comment(&kernels, architecture).into_bytes(), printed.stdout].concat())
}

/// A directory that is removed in the end: what is left in it is of no use to the next attempt.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Kernel {
    package: String,
    version: String,
    /// A file of its BTF.
    types: PathBuf,
}

impl Kernel {
    fn fetch(pin: &pins::Kernel, architecture: &str, scratch: &Path) -> Result<Self> {
        let apt = Apt::new(scratch, &pin.suite, architecture)?;
        let package = apt.newest(&pin.packages.replace(PINNED, architecture))?;
        let Unpacked { folder, version } = apt.unpack(&package)?;
        let image = kernels::image(&folder).with_context(|| format!("package {package} has no vmlinuz"))?;
        let image = fs::read(&image).with_context(|| format!("failed to read {}", image.display()))?;
        let file = scratch.join("btf");
        fs::write(&file, types(&image)?).with_context(|| format!("failed to write {}", file.display()))?;
        Ok(Self { package, version, types: file })
    }
}

fn comment(kernels: &[Kernel], architecture: &str) -> String {
    let packages: Vec<_> = kernels.iter().map(|kernel| format!(" * {} {}\n", kernel.package, kernel.version)).collect();
    format!(
        "/*\n * The types of Linux kernels for {architecture}, given to every probe as \"vmlinux.h\": all of the first of these packages of\n \
         * Debian's, and what the others have besides. Pinned, so that a probe compiles alike everywhere; CO-RE fits it to the kernel that\n \
         * loads it. Made by `cargo xtask vmlinux`; edit nothing here.\n *\n{} */\n",
        packages.concat()
    )
}

/// The BTF in a kernel as it boots, compressed or not.
fn types(image: &[u8]) -> Result<Vec<u8>> {
    if let Some(types) = btf(image) {
        return Ok(types.to_owned());
    }
    for (magic, program) in COMPRESSIONS {
        if let Some(start) = position(image, magic)
            && let Some(types) = btf(&unpack(program, &image[start..])?)
        {
            return Ok(types.to_owned());
        }
    }
    anyhow::bail!("the kernel has no BTF, or is compressed in an unknown way")
}

/// The first BTF in it that is complete.
fn btf(bytes: &[u8]) -> Option<&[u8]> {
    let mut from = 0;
    while let Some(found) = position(&bytes[from..], BTF) {
        let start = from + found;
        let (Some(types), Some(names), Some(length)) =
            (word(bytes, start + 12), word(bytes, start + 16), word(bytes, start + 20))
        else {
            return None;
        };
        if types == names && types >= LEAST {
            return bytes.get(start..start + BTF_HEAD + names + length);
        }
        from = start + BTF.len();
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// What a program unpacks of it. More follows what is compressed, of which the program complains at the end.
fn unpack(program: &str, compressed: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(["--decompress", "--stdout", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("failed to start {program}, which the kernel is compressed with"))?;
    let (mut stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut unpacked = vec![];
    thread::scope(|scope| {
        // It stops reading where its part ends.
        scope.spawn(move || stdin.take().map(|mut stdin| stdin.write_all(compressed)));
        stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut unpacked))
    })
    .with_context(|| format!("failed to read what {program} unpacks"))?;
    child.wait().with_context(|| format!("failed to wait for {program}"))?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BTF of this many bytes of types and of names.
    fn sample(types: u32, names: u32) -> Vec<u8> {
        let mut sample = BTF.to_owned();
        for number in [types, types, names] {
            sample.extend(number.to_le_bytes());
        }
        sample.resize(BTF_HEAD + (types + names) as usize, 7);
        sample
    }

    #[test]
    fn the_types_are_found_among_what_only_begins_like_them() {
        let wanted = sample(1 << 20, 12);
        let image = [b"boot", &sample(64, 8)[..], &wanted, b"rest"].concat();
        assert_eq!(types(&image).unwrap(), wanted);
        assert!(types(&image[..image.len() - 8]).is_err(), "cut off");
        assert!(types(b"").is_err());
    }
}

//! `bee build`: nothing is written before everything has succeeded.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use bee::atomic_file;
use bee::compile::Request;
use bee::decode::architecture::Architecture;
use bee::lint::{self, Sources};
use bee::object::measures;
use bee::store::{Built, Config, Reference};
use clikit::print;
use jiff::Timestamp;

use crate::cli::{Build, Cli};

/// <https://reproducible-builds.org/specs/source-date-epoch/>
const EPOCH: &str = "SOURCE_DATE_EPOCH";

pub fn run(cli: &Cli, arguments: &Build) -> Result<()> {
    let containers = [
        ("--build-image", arguments.build_image.is_some()),
        ("--builder", arguments.builder.is_some()),
        ("--local", arguments.local),
        ("--build-script", arguments.build_script.is_some()),
        ("--build-script-out", arguments.build_script_out),
    ];
    super::without_use(&containers, "bee calls clang itself, here and in no container");
    let architectures = architectures(&arguments.arch)?;
    anyhow::ensure!(
        architectures.len() == 1 || arguments.output_file.is_none(),
        "--output-file takes one object: name one processor with --arch, or store an image under a REF"
    );
    let programs = architectures.iter().map(|it| compile(arguments, *it)).collect::<Result<Vec<_>>>()?;
    // BPF code is the same for all of them, but for registers: what is found in one is in all.
    let [(_, object), ..] = programs.as_slice() else { return Ok(()) };
    warn(arguments, object)?;
    if let Some(path) = &arguments.output_file {
        atomic_file::replace(path, object).with_context(|| format!("failed to write {}", path.display()))?;
        print::note(format_args!("wrote {}, {} bytes", path.display(), object.len()));
    }
    match &arguments.reference {
        Some(reference) if !arguments.binary_only => store(cli, arguments, reference, &programs),
        _ => Ok(()),
    }
}

/// Each once, in an order that does not depend on how they were named.
fn architectures(named: &[Architecture]) -> Result<BTreeSet<Architecture>> {
    if !named.is_empty() {
        return Ok(named.iter().copied().collect());
    }
    let host = Architecture::host();
    Ok(BTreeSet::from([host.context("bee has no headers for this machine's processor: name another with --arch")?]))
}

fn compile(arguments: &Build, architecture: Architecture) -> Result<(Config, Vec<u8>)> {
    let Build { source, link, vmlinux, .. } = arguments;
    let cflags: Vec<_> =
        arguments.cflags.iter().flat_map(|flags| flags.split_whitespace()).map(str::to_owned).collect();
    let request = Request { source, link, architecture, vmlinux: *vmlinux, cflags: &cflags };
    let object = bee::compile::build(&request)?;
    Ok((Config::from_object(&object, architecture.oci())?, object))
}

/// What `bee lint` would say.
fn warn(arguments: &Build, object: &[u8]) -> Result<()> {
    let sources = Sources::from_file(&arguments.source).and(&arguments.link);
    let inspection = bee::object::inspect(object)?;
    let findings = lint::lint(&inspection, &sources, lint::MEMORY)?;
    for finding in &findings {
        print::note(finding);
    }
    for note in inspection.maps.iter().filter_map(measures::note) {
        print::note(note);
    }
    Ok(())
}

fn store(cli: &Cli, arguments: &Build, reference: &Reference, programs: &[(Config, Vec<u8>)]) -> Result<()> {
    let store = super::store(cli)?;
    let annotations = annotations(arguments)?;
    let digest = store.put(reference, &Built { programs, created: created()?, annotations: &annotations })?;
    let size: usize = programs.iter().map(|(_, object)| object.len()).sum();
    print::note(format_args!("stored {reference} in {}, {size} bytes", store.folder().display()));
    Ok(print::line(digest)?)
}

/// What the author says, under OCI's names (<https://github.com/opencontainers/image-spec/blob/main/annotations.md>).
fn annotations(arguments: &Build) -> Result<Vec<(String, String)>> {
    // A time makes another digest each time: only one that was given is part of the image.
    let created = if std::env::var_os(EPOCH).is_some() { Some(created()?.to_string()) } else { None };
    let said = [
        ("created", &created),
        ("description", &arguments.description),
        ("authors", &arguments.authors),
        ("licenses", &arguments.license),
        ("source", &arguments.source_url),
    ];
    let mut annotations = vec![];
    for (name, value) in said {
        if let Some(value) = value {
            annotations.push((format!("org.opencontainers.image.{name}"), value.clone()));
        }
    }
    Ok(annotations)
}

/// Now, or what the variable says that makes builds reproducible.
fn created() -> Result<Timestamp> {
    let Ok(epoch) = std::env::var(EPOCH) else { return Ok(Timestamp::now()) };
    let seconds = epoch.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds.with_context(|| format!("{EPOCH} is {epoch:?}, not a number of seconds since 1970"))
}

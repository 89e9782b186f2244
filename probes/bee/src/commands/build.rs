//! `bee build`: nothing is written before everything has succeeded.

use anyhow::{Context, Result};
use bee::atomic;
use bee::build::{Architecture, Request};
use bee::lint::{self, Sources};
use bee::store::Built;
use jiff::Timestamp;

use crate::cli::{Build, Cli};

pub fn run(cli: &Cli, arguments: &Build) -> Result<()> {
    let architecture = arguments.arch.or_else(Architecture::host);
    let architecture =
        architecture.context("bee has no headers for this machine's processor: name another with --arch")?;
    let cflags: Vec<_> =
        arguments.cflags.iter().flat_map(|flags| flags.split_whitespace()).map(str::to_owned).collect();
    let request = Request { source: &arguments.source, architecture, vmlinux: arguments.vmlinux, cflags: &cflags };
    let object = bee::build::build(&request)?;
    warn(arguments, &object)?;

    if let Some(path) = &arguments.output_file {
        atomic::replace(path, &object).with_context(|| format!("write {}", path.display()))?;
        eprintln!("wrote {}, {} bytes", path.display(), object.len());
    }
    if let Some(reference) = &arguments.reference {
        let store = super::store(cli)?;
        let digest = {
            let annotations = annotations(arguments);
            let built = Built {
                program: &object,
                architecture: architecture.oci(),
                created: created()?,
                annotations: &annotations,
            };
            store.put(reference, &built)?
        };
        eprintln!("stored {reference} in {}, {} bytes", store.folder().display(), object.len());
        println!("{digest}");
    }
    Ok(())
}

/// What `bee lint` would say.
fn warn(arguments: &Build, object: &[u8]) -> Result<()> {
    let sources = Sources::of(&arguments.source);
    let findings = lint::lint(&bee::object::inspect(object)?, &sources, lint::MEMORY)?;
    findings.iter().for_each(|finding| eprintln!("{finding}"));
    Ok(())
}

/// What the author says, under OCI's names (<https://github.com/opencontainers/image-spec/blob/main/annotations.md>).
fn annotations(arguments: &Build) -> Vec<(String, String)> {
    let said = [
        ("description", &arguments.description),
        ("authors", &arguments.authors),
        ("licenses", &arguments.license),
        ("source", &arguments.source_url),
    ];
    let annotation =
        |(name, value): (&str, &Option<String>)| Some((format!("org.opencontainers.image.{name}"), value.clone()?));
    said.into_iter().filter_map(annotation).collect()
}

/// Now, or what the variable says that makes builds reproducible (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn created() -> Result<Timestamp> {
    let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") else { return Ok(Timestamp::now()) };
    let seconds = epoch.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds.with_context(|| format!("SOURCE_DATE_EPOCH is {epoch:?}, not a number of seconds since 1970"))
}

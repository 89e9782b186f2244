//! `bee lint`: findings on standard output, one a line, as compilers write them.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;
use bee::compile::{self, Request, Vmlinux};
use bee::decode::architecture::Architecture;
use bee::lint::{self, Finding, Sources};
use bee::object::{self, Inspection};
use clikit::print;

use crate::cli::Lint;

/// The probe has findings; they have been said.
#[derive(Debug, thiserror::Error)]
#[error("{0} {noun}", noun = if *.0 == 1 { "finding" } else { "findings" })]
pub struct Findings(usize);

pub fn run(arguments: &Lint) -> Result<()> {
    let findings = findings(arguments)?;
    if arguments.json {
        print::json(serde_json::to_string_pretty(&findings)?)?;
    } else {
        for finding in &findings {
            print::line(finding)?;
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(Findings(findings.len()).into()) }
}

fn findings(arguments: &Lint) -> Result<Vec<Finding>> {
    let path = &arguments.probe;
    let (object, sources) = if path.extension() == Some(OsStr::new("c")) {
        (compile(path, &arguments.cflags), Sources::from_file(path))
    } else {
        let object = super::object(path)?;
        let sources = Sources::from_object(path, &object);
        (Ok(object), sources)
    };
    match object.and_then(|object| inspect(path, &object)) {
        Ok(inspection) => Ok(lint::lint(&inspection, &sources, arguments.memory.saturating_mul(1 << 20))?),
        Err(compile::Error::Refused { why: object::Error::Maps(bad), .. }) => {
            Ok(bad.iter().map(|bad| lint::refused(bad, &sources)).collect())
        }
        Err(error) => Err(error.into()),
    }
}

fn inspect(path: &Path, object: &[u8]) -> Result<Inspection, compile::Error> {
    object::inspect(object).map_err(|why| compile::Error::Refused { path: path.to_owned(), why })
}

/// For this machine's processor, or any: nothing that is looked at depends on it.
fn compile(source: &Path, cflags: &[String]) -> Result<Vec<u8>, compile::Error> {
    let cflags: Vec<_> = cflags.iter().flat_map(|flags| flags.split_whitespace()).map(str::to_owned).collect();
    let architecture = Architecture::host().unwrap_or(Architecture::Amd64);
    compile::build(&Request { source, link: &[], architecture, vmlinux: Vmlinux::Pinned, cflags: &cflags })
}

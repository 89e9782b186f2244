//! `bee lint`: findings on standard output, one a line, as compilers write them.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;
use bee::compile::{self, Request, Vmlinux};
use bee::decode::architecture::Architecture;
use bee::lint::{self, Finding, Sources};
use bee::object;
use clikit::print;

use crate::cli::Lint;

/// The probe has findings; they have been said.
#[derive(Debug, thiserror::Error)]
#[error("{0} findings")]
pub struct Findings(usize);

pub fn run(arguments: &Lint) -> Result<()> {
    let findings = findings(arguments)?;
    match arguments.json {
        true => print::json(serde_json::to_string_pretty(&findings)?)?,
        false => findings.iter().try_for_each(print::line)?,
    }
    if findings.is_empty() { Ok(()) } else { Err(Findings(findings.len()).into()) }
}

fn findings(arguments: &Lint) -> Result<Vec<Finding>> {
    let path = &arguments.probe;
    let (object, sources) = match path.extension() == Some(OsStr::new("c")) {
        true => (compile(path, &arguments.cflags), Sources::from_file(path)),
        false => {
            let object = super::object(path)?;
            let sources = Sources::from_object(path, &object);
            (Ok(object), sources)
        }
    };
    let refused = |why| compile::Error::Refused { path: path.clone(), why };
    match object.and_then(|object| object::inspect(&object).map_err(refused)) {
        Ok(inspection) => Ok(lint::lint(&inspection, &sources, arguments.memory.saturating_mul(1 << 20))?),
        Err(compile::Error::Refused { why: object::Error::Map { map, why }, .. }) => {
            Ok(vec![lint::refused(&map, &why, &sources)])
        }
        Err(error) => Err(error.into()),
    }
}

/// For this machine's processor, or any: nothing that is looked at depends on it.
fn compile(source: &Path, cflags: &[String]) -> Result<Vec<u8>, compile::Error> {
    let cflags: Vec<_> = cflags.iter().flat_map(|flags| flags.split_whitespace()).map(str::to_owned).collect();
    let architecture = Architecture::host().unwrap_or(Architecture::Amd64);
    compile::build(&Request { source, link: &[], architecture, vmlinux: Vmlinux::Pinned, cflags: &cflags })
}

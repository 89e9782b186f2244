//! What is in a probe, for who wants to know before it runs. Loads nothing.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use libbpf_rs::num_possible_cpus;
use serde::Serialize;

use crate::memory::Dimensions;
use crate::metrics;
use crate::object::{self, Kind};
use crate::probe::{self, ProbeError};
use crate::variants;

/// A probe's programs, maps and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// `sha256:…` of the object, and its size in bytes.
    pub digest: String,
    pub size: usize,
    pub programs: Vec<Program>,
    pub maps: Vec<Map>,
    /// Functions and the maps that they use.
    pub uses: BTreeSet<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Program {
    pub name: String,
    /// The hook, as `SEC` names it.
    pub section: String,
    pub variant: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Map {
    pub name: String,
    /// The kernel's name of its type.
    pub kind: String,
    pub max_entries: u32,
    /// What it takes of the kernel's memory when it is full, in bytes, on this machine.
    pub memory: u64,
    /// How it is exported, and by which labels.
    pub export: Option<Export>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Export {
    pub kind: Kind,
    /// The metric's name; what is printed has none.
    pub metric: Option<String>,
    pub labels: Vec<String>,
}

/// Why it can't be said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Object(#[from] object::Error),
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

impl Contents {
    /// # Errors
    /// It is no probe that bee can run.
    pub fn of(bytes: &[u8]) -> Result<Self, Error> {
        let inspection = object::inspect(bytes)?;
        let program = |probe::Program { name, section }| Program {
            variant: variants::variants([name.as_str()]).into_iter().next().flatten(),
            name,
            section,
        };
        let programs = probe::programs_of(&inspection)?.into_iter().map(program).collect();
        let processors = num_possible_cpus().map_or(1, |count| count as u64);
        let map = |dimensions: Dimensions| Map {
            export: inspection.maps.iter().find(|map| map.name == dimensions.map).map(export),
            kind: format!("{:?}", dimensions.kind),
            max_entries: dimensions.max_entries,
            memory: dimensions.bytes(processors),
            name: dimensions.map,
        };
        let maps = probe::dimensions_of(&inspection)?.into_iter().map(map).collect();
        let uses = object::uses(&inspection.object)?;
        Ok(Self { digest: oci::digest::sha256(bytes), size: bytes.len(), programs, maps, uses })
    }

    /// A flowchart (<https://mermaid.js.org/syntax/flowchart.html>): hooks, programs, maps.
    pub fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        // Writing to a String does not fail.
        for Program { name, section, .. } in &self.programs {
            let _ = writeln!(text, "  {name}[\"{name}<br>{section}\"]");
        }
        for Map { name, kind, .. } in self.maps.iter().filter(|map| !map.name.contains('.')) {
            let _ = writeln!(text, "  {name}[(\"{name}<br>{kind}\")]");
        }
        for (function, map) in &self.uses {
            let _ = writeln!(text, "  {function} --> {map}");
        }
        text
    }
}

fn export(map: &object::Map) -> Export {
    Export {
        kind: map.kind,
        metric: (map.kind != Kind::Print).then(|| metrics::name(&map.name)),
        labels: map.labels().names().map(str::to_owned).collect(),
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} bytes", self.digest, self.size)?;
        writeln!(f, "programs")?;
        for Program { name, section, .. } in &self.programs {
            writeln!(f, "  {name:<28} {section}")?;
        }
        writeln!(f, "maps")?;
        for Map { name, kind, max_entries, memory, export } in &self.maps {
            writeln!(
                f,
                "  {name:<28} {kind}, {max_entries} entries, {:.1} kB of the kernel's memory",
                *memory as f64 / 1000.0
            )?;
            let Some(Export { metric, labels, .. }) = export else { continue };
            let labels = labels.join(", ");
            match metric {
                Some(metric) => writeln!(f, "  {:<28} {metric}{{{labels}}}", "")?,
                None => writeln!(f, "  {:<28} printed: {labels}", "")?,
            }
        }
        Ok(())
    }
}

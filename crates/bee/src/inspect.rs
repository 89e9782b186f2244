//! What is in a probe, for who wants to know before it runs. Loads nothing.

use std::collections::BTreeSet;

use libbpf_rs::num_possible_cpus;
use serde::Serialize;

use crate::allowance::Allowance;
use crate::kernel::probe::{self, ProbeError};
use crate::object::map_memory::Dimensions;
use crate::object::measures;
use crate::object::names::metrics;
use crate::object::params::{self, Known};
use crate::object::variants;
use crate::object::{self, Kind};

/// A probe's programs, maps and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// `sha256:…` of the object, and its size in bytes.
    pub digest: String,
    pub size: usize,
    pub programs: Vec<Program>,
    pub maps: Vec<Map>,
    /// What `bee run --param` sets.
    pub parameters: Vec<Known>,
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
    /// Their names: one, or one for each number of the map's values; what is printed has none.
    pub metrics: Vec<String>,
    pub labels: Vec<String>,
    /// Fields of its values that are no metrics.
    pub left_out: Vec<String>,
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
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let allowance = Allowance::of_a_file();
        let inspection = object::inspect_within(bytes, &allowance)?;
        let programs = probe::programs_of(&inspection)?.into_iter().map(Program::from).collect();
        let cpus = num_possible_cpus().map_or(1, |count| count as u64);
        let dimensions = probe::dimensions_of(&inspection)?;
        let maps = dimensions.into_iter().map(|it| map(it, &inspection, cpus)).collect();
        let uses = object::uses(&inspection.object, &allowance)?;
        let parameters = params::known(&inspection);
        Ok(Self { digest: oci::digest::sha256(bytes), size: bytes.len(), programs, maps, parameters, uses })
    }

    /// A flowchart (<https://mermaid.js.org/syntax/flowchart.html>), line by line: hooks, programs, maps.
    pub fn mermaid(&self) -> Vec<String> {
        let programs =
            self.programs.iter().map(|Program { name, section, .. }| format!("  {name}[\"{name}<br>{section}\"]"));
        let maps = self.maps.iter().filter(|map| !map.name.contains('.'));
        let maps = maps.map(|Map { name, kind, .. }| format!("  {name}[(\"{name}<br>{kind}\")]"));
        let uses = self.uses.iter().map(|(function, map)| format!("  {function} --> {map}"));
        ["flowchart LR".to_owned()].into_iter().chain(programs).chain(maps).chain(uses).collect()
    }

    /// For who reads it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{}, {} bytes", self.digest, self.size), "programs".to_owned()];
        lines.extend(self.programs.iter().map(|Program { name, section, .. }| format!("  {name:<28} {section}")));
        lines.push("maps".to_owned());
        lines.extend(self.maps.iter().flat_map(Map::lines));
        if !self.parameters.is_empty() {
            lines.push("parameters".to_owned());
            lines.extend(self.parameters.iter().map(|parameter| format!("  {parameter}")));
        }
        lines
    }
}

impl From<probe::Program> for Program {
    fn from(probe::Program { name, section }: probe::Program) -> Self {
        let variant = variants::variants([name.as_str()]).into_iter().next().flatten();
        Self { name, section, variant }
    }
}

impl Map {
    fn lines(&self) -> Vec<String> {
        let Self { name, kind, max_entries, memory, export } = self;
        let kilobytes = *memory as f64 / 1000.0;
        let size = format!("  {name:<28} {kind}, {max_entries} entries, {kilobytes:.1} kB of the kernel's memory");
        [size].into_iter().chain(export.iter().flat_map(Export::lines)).collect()
    }
}

impl Export {
    fn lines(&self) -> Vec<String> {
        let labels = self.labels.join(", ");
        let mut lines: Vec<_> =
            self.metrics.iter().map(|metric| format!("  {:<28} {metric}{{{labels}}}", "")).collect();
        if self.kind == Kind::Print {
            lines.push(format!("  {:<28} printed: {labels}", ""));
        }
        if !self.left_out.is_empty() {
            lines.push(format!("  {:<28} left out: {}", "", self.left_out.join(", ")));
        }
        lines
    }
}

fn map(dimensions: Dimensions, inspection: &object::Inspection, cpus: u64) -> Map {
    Map {
        export: inspection.maps.iter().find(|map| map.name == dimensions.map).map(export),
        kind: format!("{:?}", dimensions.kind),
        max_entries: dimensions.max_entries,
        memory: dimensions.bytes(cpus),
        name: dimensions.map,
    }
}

fn export(map: &object::Map) -> Export {
    Export {
        kind: map.kind,
        metrics: metrics(map),
        labels: map.labels().names().map(str::to_owned).collect(),
        left_out: measures::left_out(map),
    }
}

//! What is likely wrong with a probe that compiles: memory that leaks through padding, text that is cut off, maps that take too much
//! memory, labels that make endless series, hooks and maps that bee does not know. Each with the line where it is declared.

mod labels;
mod padding;
mod source;
mod text;

use std::fmt;
use std::path::PathBuf;

use libbpf_rs::num_possible_cpus;
use serde::Serialize;

use crate::decode::btf::{Btf, TypeId};
use crate::kernel::hooks::{Hook, twins};
use crate::kernel::probe::{self, ProbeError};
use crate::object::map_memory::Dimensions;
use crate::object::map_rules;
use crate::object::{self, BadMap, Inspection, Map, Source};

pub use source::Sources;

/// What all maps of a probe may take of the kernel's memory unless the user says otherwise.
pub const MEMORY: u64 = 64 << 20;

/// Nobody reads more.
const MOST: usize = 1000;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    Padding,
    Text,
    Memory,
    Labels,
    Hook,
    Map,
    Export,
    Printk,
}

/// Something that is likely wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub rule: Rule,
    #[serde(flatten)]
    pub place: Place,
    pub message: String,
}

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    pub file: PathBuf,
    /// From 1 on; `None` if the source is not there, or declares it in a way that is not found.
    pub line: Option<usize>,
}

/// Looks at a probe.
pub fn lint(inspection: &Inspection, sources: &Sources, memory: u64) -> Result<Vec<Finding>, ProbeError> {
    let mut findings = hooks(inspection, sources)?;
    findings.extend(no_export(inspection, sources)?);
    findings.extend(printk(inspection, sources)?);
    findings.extend(inspection.maps.iter().flat_map(|map| record_of(&inspection.btf, map, sources)).take(MOST));
    let maps = probe::dimensions_of(inspection)?;
    findings.extend(maps.iter().filter_map(|map| never_created(map, sources)));
    findings.extend(too_much(&maps, sources, memory));
    Ok(each_once(findings))
}

/// Maps may share a type.
fn each_once(findings: Vec<Finding>) -> Vec<Finding> {
    let mut once = vec![];
    for finding in findings {
        if !once.contains(&finding) {
            once.push(finding);
        }
    }
    once
}

/// What is wrong with a map's events or keys.
fn record_of(btf: &Btf, map: &Map, sources: &Sources) -> Vec<Finding> {
    let Some((id, role)) = record(btf, map) else { return vec![] };
    let name = btf.resolve(id).map(|(_, found)| found.name.as_str()).unwrap_or_default();
    let mut findings = vec![];
    let is_set = |hole: &padding::Hole| sources.is_zeroed(name) || sources.is_zeroed(&hole.record);
    for hole in padding::holes(btf, id).into_iter().filter(|hole| !is_set(hole)) {
        let place = place_of(map, &hole.record, &hole.after, sources);
        findings.push(Finding { rule: Rule::Padding, place, message: hole.message(role) });
    }
    for text in text::too_short(btf, id) {
        let place = place_of(map, name, &text.field, sources);
        findings.push(Finding { rule: Rule::Text, place, message: text.message() });
    }
    for label in labels::endless(map) {
        let place = place_of(map, name, &label, sources);
        findings.push(Finding { rule: Rule::Labels, place, message: labels::message(&map.name, &label) });
    }
    findings
}

/// A member's, or if that is not found its map's.
fn place_of(map: &Map, record: &str, field: &str, sources: &Sources) -> Place {
    sources.field(record, field).unwrap_or_else(|| sources.map(&map.name))
}

/// The finding that stands for a map for which bee refuses the whole object.
pub fn refused(bad: &BadMap, sources: &Sources) -> Finding {
    Finding { rule: Rule::Map, place: sources.map(&bad.map), message: bad.to_string() }
}

fn hooks(inspection: &Inspection, sources: &Sources) -> Result<Vec<Finding>, ProbeError> {
    let (mut findings, mut hooks) = (vec![], vec![]);
    for program in probe::programs_of(inspection)? {
        match Hook::parse(&program.name, &program.section) {
            Ok(hook) => hooks.push((program.name, hook)),
            Err(unsupported) => {
                let place = sources.program(&program.section);
                findings.push(Finding { rule: Rule::Hook, place, message: unsupported.to_string() });
            }
        }
    }
    for (first, second) in twins::pairs(&hooks) {
        let section = hooks.iter().find(|(name, _)| name == second).map_or("", |(_, hook)| &hook.section);
        let message = format!(
            "programs {first} and {second} see the same event: bee runs the cheaper one that the kernel takes; names that end in \
             ___VARIANT say which belong together"
        );
        findings.push(Finding { rule: Rule::Hook, place: sources.program(section), message });
    }
    Ok(findings)
}

/// A probe of which nothing would be seen.
fn no_export(inspection: &Inspection, sources: &Sources) -> Result<Option<Finding>, ProbeError> {
    let programs = probe::programs_of(inspection)?;
    if !inspection.exports_nothing(programs.iter().map(|program| program.section.as_str())) {
        return Ok(None);
    }
    let place = sources.program(programs.first().map_or("", |program| &program.section));
    Ok(Some(Finding { rule: Rule::Export, place, message: object::EXPORTS_NOTHING.to_owned() }))
}

/// A probe that says something where nobody looks.
fn printk(inspection: &Inspection, sources: &Sources) -> Result<Option<Finding>, ProbeError> {
    if !inspection.prints {
        return Ok(None);
    }
    let programs = probe::programs_of(inspection)?;
    let place = sources.printk().unwrap_or_else(|| sources.program(programs.first().map_or("", |it| &it.section)));
    Ok(Some(Finding { rule: Rule::Printk, place, message: object::PRINTS.to_owned() }))
}

/// The type whose bytes leave the kernel: an event, or the key by which values are told apart.
fn record(btf: &Btf, map: &Map) -> Option<(TypeId, &'static str)> {
    let (member, role) = match map.source {
        Source::Events(_) => ("value", "event"),
        Source::Elements { .. } => ("key", "key"),
    };
    let definition = btf.variables(".maps")?.into_iter().find(|(name, _)| *name == map.name)?.1;
    let member = btf.members(definition)?.iter().find(|found| found.name == member)?;
    Some((btf.pointee(member.type_id)?, role))
}

/// A map that breaks a rule of its type's.
fn never_created(map: &Dimensions, sources: &Sources) -> Option<Finding> {
    let message = format!("no kernel creates map {}: {}", map.map, map_rules::broken(map)?);
    Some(Finding { rule: Rule::Map, place: sources.map(&map.map), message })
}

/// All maps together, said where the largest is declared.
fn too_much(maps: &[Dimensions], sources: &Sources, budget: u64) -> Option<Finding> {
    let cpus = num_possible_cpus().unwrap_or(1) as u64;
    let total = maps.iter().map(|map| map.bytes(cpus)).fold(0, u64::saturating_add);
    if total <= budget {
        return None;
    }
    let largest = maps.iter().max_by_key(|map| map.bytes(cpus))?;
    let message = format!(
        "map {} takes {} of the kernel's memory when it is full, all maps together {}, more than {}: lower its max_entries \
         ({}), or allow more with lint's --memory",
        largest.map,
        megabytes(largest.bytes(cpus)),
        megabytes(total),
        megabytes(budget),
        largest.max_entries
    );
    Some(Finding { rule: Rule::Memory, place: sources.map(&largest.map), message })
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / f64::from(1 << 20))
}

impl fmt::Display for Finding {
    /// As clang writes its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, place: Place { file, line }, message } = self;
        let line = line.map(|line| format!("{line}:")).unwrap_or_default();
        write!(f, "{}:{line} warning: {message} [{}]", file.display(), format!("{rule:?}").to_lowercase())
    }
}

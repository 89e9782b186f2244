//! Why an object was not loaded, and whose fault it is: its maps, what it wants of the kernel, or one of its programs. libbpf stops at the
//! first, so that the others are looked for.

use crate::kernel::hooks::{self, Hook};
use crate::kernel::load::{Part, dimensions, load, open};
use crate::kernel::{complaints, verifier_log};
use crate::object::Inspection;
use crate::object::map_memory::Dimensions;
use crate::object::map_rules;

/// The most maps that are named.
const MAPS: usize = 16;

/// Who can fix it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It would run nowhere as it is.
    Probe,
    /// It may run on another.
    Machine,
}

/// Why it does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub why: String,
    pub fault: Fault,
}

impl Reason {
    pub fn of_probe(why: String) -> Self {
        Self { why, fault: Fault::Probe }
    }

    pub fn of_machine(why: String) -> Self {
        Self { why, fault: Fault::Machine }
    }
}

/// Why these programs did not load, after libbpf has said so.
pub fn why_not_loaded(inspection: &Inspection, programs: &[(String, Hook)], error: &libbpf_rs::Error) -> Reason {
    let warnings = verifier_log::warnings();
    if let Some(failed) = complaints::failed_map(&warnings) {
        return maps(inspection, failed);
    }
    if let Some(why) = complaints::missing_symbol(&warnings) {
        return Reason::of_machine(why);
    }
    let first = programs.iter().find_map(|(name, hook)| refused_alone(inspection, name, hook));
    first.unwrap_or_else(|| {
        let why = complaints::sentence(&warnings).unwrap_or_else(|| format!("{error:#}"));
        Reason::of_machine(format!("failed to load: {why}"))
    })
}

/// One program that the kernel refuses fails them all: each is tried alone to find it.
fn refused_alone(inspection: &Inspection, name: &str, hook: &Hook) -> Option<Reason> {
    let error = load(inspection, Part { programs: &[name], without: &[] }).err()?;
    match verifier_log::complaint() {
        Some(why) => {
            let fault = if verifier_log::is_unknown_to_the_kernel(&why) { Fault::Machine } else { Fault::Probe };
            Some(Reason { why: format!("{}: {why}", hook.section), fault })
        }
        None => {
            let said = complaints::sentence(&verifier_log::warnings());
            Some(Reason::of_machine(hooks::why_not_loaded(hook, &error, said)))
        }
    }
}

/// Every map that can't be created, the first of which is known.
fn maps(inspection: &Inspection, first: (String, String)) -> Reason {
    let (mut failed, mut reasons, mut fault) = (vec![], vec![], Fault::Probe);
    let mut next = Some(first);
    while let Some((name, error)) = next.take().filter(|(name, _)| failed.len() < MAPS && !failed.contains(name)) {
        let Reason { why, fault: whose } = map(inspection, &name, &error);
        reasons.push(format!("failed to create map {name}: {why}"));
        if whose == Fault::Machine {
            fault = whose;
        }
        failed.push(name);
        if load(inspection, Part { programs: &[], without: &failed }).is_err() {
            next = complaints::failed_map(&verifier_log::warnings());
        }
    }
    Reason { why: reasons.join("; "), fault }
}

fn map(inspection: &Inspection, name: &str, error: &str) -> Reason {
    let Ok(open) = open(inspection) else { return Reason::of_machine(error.to_owned()) };
    let Some(map) = open.maps().find(|map| map.name() == name).map(|map| dimensions(&map)) else {
        return Reason::of_machine(error.to_owned());
    };
    if let Some(rule) = map_rules::broken(&map) {
        return Reason::of_probe(rule);
    }
    Reason::of_machine(by_error(&map, error))
}

/// For a map with which nothing is wrong.
fn by_error(map: &Dimensions, error: &str) -> String {
    let Dimensions { kind, key_size, value_size, max_entries, flags, .. } = map;
    let name = map_rules::name(*kind);
    let sizes =
        format!("key_size {key_size}, value_size {value_size}, max_entries {max_entries}, map_flags {flags:#x}");
    if error == "-EINVAL" && kind.is_supported().is_ok_and(|is_supported| !is_supported) {
        let since = map_rules::since(*kind).map(|version| format!(" (Linux {version})")).unwrap_or_default();
        return format!("this kernel does not have {name}{since}");
    }
    let cpus = libbpf_rs::num_possible_cpus().unwrap_or(1) as u64;
    match error {
        "-EINVAL" => format!("the kernel does not take {name} of {sizes}"),
        "-E2BIG" => format!("the kernel does not take {name} so large: {sizes}"),
        "-ENOMEM" => format!("the kernel has no {} MB for {name} of {sizes}", map.bytes(cpus) >> 20),
        "-EPERM" => {
            format!("not permitted (EPERM): {name} needs CAP_BPF, or before Linux 5.11 more locked memory (ulimit -l)")
        }
        error => format!("{error}: {name} of {sizes}"),
    }
}

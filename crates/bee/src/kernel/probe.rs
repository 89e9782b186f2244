//! A probe in the kernel: the first variant that loads and attaches, its maps, its events.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::slice;

use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle, Object, OpenObject};

use crate::decode::stacks::{DEPTH, Lookup};
use crate::kernel::blame::{self, Fault, Reason};
use crate::kernel::complaints;
use crate::kernel::hooks::twins::{self, Choice, Hooks};
use crate::kernel::hooks::{self, Attached, Hook, UnsupportedHook};
use crate::kernel::load::{self, Part};
use crate::kernel::verifier_log;
use crate::kernel::wakeup::Rests;
use crate::object::Inspection;
use crate::object::map_memory::Dimensions;
use crate::object::map_sizes::Usual;
use crate::object::undefined;
use crate::object::variants;

/// The most text that is read of one iterator in one look.
const TEXT: u64 = 1 << 20;

/// Why no variant of a probe runs here.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(
        "this kernel has no type information (/sys/kernel/btf/vmlinux): use one that was built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf,
    #[error("libbpf failed to open the object: {0}")]
    Open(String),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Hooks(Vec<UnsupportedHook>),
    /// What each of them says has lines of its own.
    #[error("this kernel cannot run the probe")]
    NoVariant(Vec<Refusal>),
    #[error("failed to read map {map}")]
    Map { map: String, source: libbpf_rs::Error },
}

impl ProbeError {
    pub(crate) fn reading(map: &str, source: libbpf_rs::Error) -> Self {
        Self::Map { map: map.to_owned(), source }
    }
}

/// Why one variant does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub variant: Option<String>,
    pub why: String,
    pub fault: Fault,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{variant}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

/// A probe that is loaded and attached; dropping it detaches it.
pub struct Probe {
    /// By program. Before the object: links go before what they attach.
    attached: Vec<(String, Attached)>,
    object: Object,
    /// Where it looks whether it has to wake us.
    pub(crate) rests: Option<Rests>,
    /// Which variant runs, if the probe has several.
    pub variant: Option<String>,
    /// Why the variants before it do not.
    pub refused: Vec<Refusal>,
    /// What is said of each program that does not run because another sees the same event.
    pub left_out: Vec<String>,
}

impl Probe {
    /// Loads and attaches the first of these variants that this kernel takes whole.
    pub fn attach(inspection: &Inspection, variants: &[Option<String>]) -> Result<Self, ProbeError> {
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(ProbeError::NoBtf);
        }
        let mut refused = vec![];
        for variant in variants {
            match try_variant(inspection, variant.as_deref()) {
                Ok((Loaded { object, attached }, left_out)) => {
                    verifier_log::forget();
                    let rests = Rests::from_object(&object, &inspection.btf);
                    return Ok(Self { attached, object, rests, variant: variant.clone(), refused, left_out });
                }
                Err(Reason { why, fault }) => refused.push(Refusal { variant: variant.clone(), why, fault }),
            }
        }
        Err(ProbeError::NoVariant(refused))
    }

    /// A handle to a map by its name.
    pub fn map(&self, name: &str) -> Result<MapHandle, ProbeError> {
        let Some(map) = self.object.maps().find(|map| map.name() == name) else {
            return Err(ProbeError::reading(name, libbpf_rs::Error::from_raw_os_error(libc::ENOENT)));
        };
        MapHandle::try_from(&map).map_err(|source| ProbeError::reading(name, source))
    }

    /// Reads the addresses of a stack by its number, from the map of this name.
    pub(crate) fn stacks(&self, map: &str) -> Result<Lookup, ProbeError> {
        let map = self.map(map)?;
        Ok(Box::new(move |id: u32| {
            let bytes = map.lookup(&id.to_ne_bytes(), MapFlags::ANY).ok()??;
            let addresses = bytes.chunks_exact(8).take(DEPTH).filter_map(|bytes| bytes.try_into().ok());
            Some(addresses.map(u64::from_ne_bytes).take_while(|address| *address != 0).collect())
        }))
    }

    /// The maps that the probe's author named; those of its variables libbpf does.
    pub fn named_maps(&self) -> Vec<(String, MapHandle)> {
        let mut named = vec![];
        for map in self.object.maps() {
            let Some(name) = map.name().to_str().filter(|name| !name.contains('.')) else { continue };
            if let Ok(handle) = MapHandle::try_from(&map) {
                named.push((name.to_owned(), handle));
            }
        }
        named
    }

    /// The map of the program's zero-initialised global variables, in which bee.h counts losses.
    pub fn globals(&self) -> Option<MapHandle> {
        let map = self.object.maps().find(|map| map.name().to_string_lossy().ends_with(".bss"))?;
        MapHandle::try_from(&map).ok()
    }

    /// The programs that run, by name.
    pub fn programs(&self) -> Vec<(String, OwnedFd)> {
        let mut running = vec![];
        for program in self.object.progs().filter(|program| program.autoload()) {
            // One that can't be opened once more goes without its account of missed runs.
            if let Ok(descriptor) = program.as_fd().try_clone_to_owned() {
                running.push((program.name().to_string_lossy().into_owned(), descriptor));
            }
        }
        running
    }

    /// Runs the iterators once: what each program wrote. One that can't be run this time writes nothing.
    pub fn iterate(&self) -> Vec<(&str, String)> {
        let mut texts = vec![];
        for (program, attached) in &self.attached {
            if let Attached::Iterator(link) = attached
                && let Some(text) = text_of(link)
            {
                texts.push((program.as_str(), text));
            }
        }
        texts
    }

    /// The names of the programs that are iterators.
    pub fn iterators(&self) -> Vec<String> {
        let iterators = self.attached.iter().filter(|(_, attached)| matches!(attached, Attached::Iterator(_)));
        iterators.map(|(program, _)| program.clone()).collect()
    }
}

fn text_of(iterator: &Link) -> Option<String> {
    let mut text = vec![];
    Iter::new(iterator).ok()?.take(TEXT).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// A program of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub name: String,
    pub section: String,
}

/// The variants of an object's programs, in their order. Loads nothing.
pub fn variants_of(inspection: &Inspection) -> Result<Vec<Option<String>>, ProbeError> {
    let programs = programs_of(inspection)?;
    Ok(variants::variants(programs.iter().map(|program| program.name.as_str())))
}

/// The programs that load unasked, in the object's order. Loads nothing.
pub fn programs_of(inspection: &Inspection) -> Result<Vec<Program>, ProbeError> {
    let open = opened(inspection)?;
    let mut programs = vec![];
    for program in open.progs().filter(|program| program.autoload()) {
        programs.push(Program {
            name: program.name().to_string_lossy().into_owned(),
            section: program.section().to_string_lossy().into_owned(),
        });
    }
    Ok(programs)
}

/// The sizes of all maps, exported or not. Loads nothing.
pub fn dimensions_of(inspection: &Inspection) -> Result<Vec<Dimensions>, ProbeError> {
    Ok(opened(inspection)?.maps().map(|map| load::dimensions(&map)).collect())
}

/// Refuses a probe with programs that bee does not attach. Loads nothing.
pub fn check_hooks(inspection: &Inspection) -> Result<(), ProbeError> {
    let programs = programs_of(inspection)?;
    let parsed = programs.iter().map(|Program { name, section }| Hook::parse(name, section));
    let unsupported: Vec<_> = parsed.filter_map(Result::err).collect();
    if unsupported.is_empty() { Ok(()) } else { Err(ProbeError::Hooks(unsupported)) }
}

/// What its maps get that the object and the command line leave open. Loads nothing.
pub fn usual_sizes(inspection: &Inspection) -> Result<Vec<Usual>, ProbeError> {
    load::usual_sizes(inspection).map_err(|error| not_opened(inspection, error))
}

fn opened(inspection: &Inspection) -> Result<OpenObject, ProbeError> {
    load::open(inspection).map_err(|error| not_opened(inspection, error))
}

fn not_opened(inspection: &Inspection, error: libbpf_rs::Error) -> ProbeError {
    // libbpf says of such a call only that it has no type.
    if let Ok(calls @ [_, ..]) = undefined::find(slice::from_ref(&inspection.object)).as_deref() {
        return ProbeError::Open(format!("nothing defines what it calls: {}", undefined::list(calls)));
    }
    let sentence = complaints::sentence(&verifier_log::warnings());
    ProbeError::Open(sentence.unwrap_or_else(|| format!("{error:#}")))
}

/// Programs in the kernel.
struct Loaded {
    object: Object,
    attached: Vec<(String, Attached)>,
}

/// Loads and attaches one variant, or says why this kernel does not take it. Of programs that see the same event one runs; what is said of
/// the others comes with it.
fn try_variant(inspection: &Inspection, variant: Option<&str>) -> Result<(Loaded, Vec<String>), Reason> {
    let (mut refusals, mut fault) = (vec![], Fault::Probe);
    for Choice { hooks, left_out } in twins::choices(hooks_of(inspection, variant)?) {
        match try_programs(inspection, &hooks) {
            Ok(loaded) => return Ok((loaded, left_out)),
            Err(reason) => {
                if reason.fault == Fault::Machine {
                    fault = reason.fault;
                }
                if !refusals.contains(&reason.why) {
                    refusals.push(reason.why);
                }
            }
        }
    }
    Err(Reason { why: refusals.join("; "), fault })
}

fn try_programs(inspection: &Inspection, hooks: &Hooks) -> Result<Loaded, Reason> {
    if let Some(why) = hooks.iter().find_map(|(_, hook)| hooks::would_never_run(hook)) {
        return Err(Reason::of_machine(why));
    }
    let programs: Vec<_> = hooks.iter().map(|(name, _)| name.as_str()).collect();
    let object = load::load(inspection, Part { programs: &programs, without: &[] })
        .map_err(|error| blame::why_not_loaded(inspection, hooks, &error))?;
    let mut attached = vec![];
    for program in object.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        let Some((_, hook)) = hooks.iter().find(|(known, _)| *known == name) else { continue };
        verifier_log::forget();
        let on = hooks::attach(hook, &program).map_err(|error| {
            let said = complaints::sentence(&verifier_log::warnings());
            Reason::of_machine(hooks::why_not_attached(hook, &error, said))
        })?;
        attached.push((name, on));
    }
    Ok(Loaded { object, attached })
}

/// The programs of a variant and where they go.
fn hooks_of(inspection: &Inspection, variant: Option<&str>) -> Result<Hooks, Reason> {
    let programs = programs_of(inspection).map_err(|error| Reason::of_probe(error.to_string()))?;
    let mut hooks = vec![];
    for Program { name, section } in programs {
        if variants::belongs(&name, variant) {
            let hook = Hook::parse(&name, &section).map_err(|error| Reason::of_probe(error.to_string()))?;
            hooks.push((name, hook));
        }
    }
    Ok(hooks)
}

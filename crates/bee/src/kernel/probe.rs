//! A probe in the kernel: the first variant that loads and attaches, its maps, its events.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle, MapType, Object, ObjectBuilder, OpenObject};

use crate::decode::stacks::{DEPTH, Lookup};
use crate::kernel::hooks::twins::{self, Choice, Hooks};
use crate::kernel::hooks::{self, Attached, Hook, UnsupportedHook};
use crate::kernel::verifier_log;
use crate::kernel::wakeup::Rests;
use crate::object::map_memory::Dimensions;
use crate::object::params::Constant;
use crate::object::variants;
use crate::object::{Inspection, Source};

/// What an object is called, and so the maps of its variables.
const OBJECT: &str = "bee";
/// The most text that is read of one iterator in one look.
const TEXT: u64 = 1 << 20;

/// What a map of stacks has that does not say it: 127 functions, as `kernel.perf_event_max_stack` allows, and so many stacks.
const STACK: u32 = 127 * 8;
const STACKS: u32 = 16 << 10;

/// Why no variant of a probe runs here.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(
        "this kernel has no type information (/sys/kernel/btf/vmlinux): use one that was built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf,
    #[error("libbpf failed to open the object")]
    Open(#[source] libbpf_rs::Error),
    #[error(transparent)]
    Hook(#[from] UnsupportedHook),
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
                Err(why) => refused.push(Refusal { variant: variant.clone(), why }),
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
    let open = open(inspection).map_err(ProbeError::Open)?;
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
    let open = open(inspection).map_err(ProbeError::Open)?;
    let mut dimensions = vec![];
    for map in open.maps() {
        dimensions.push(Dimensions {
            map: map.name().to_string_lossy().into_owned(),
            kind: map.map_type(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            max_entries: map.max_entries(),
        });
    }
    Ok(dimensions)
}

/// Refuses a probe with a program that bee does not attach. Loads nothing.
pub fn check_hooks(inspection: &Inspection) -> Result<(), ProbeError> {
    for Program { name, section } in programs_of(inspection)? {
        Hook::parse(&name, &section)?;
    }
    Ok(())
}

fn open(inspection: &Inspection) -> Result<OpenObject, libbpf_rs::Error> {
    verifier_log::listen();
    let mut open = ObjectBuilder::default().name(OBJECT)?.open_memory(&inspection.object)?;
    for map in inspection.maps.iter().filter(|map| matches!(map.source, Source::Events(_))) {
        for mut opened in open.maps_mut().filter(|opened| opened.name() == map.name.as_str()) {
            // BumbleBee gives ring buffers a value type; the kernel wants none (EINVAL), and in a perf buffer file descriptors.
            let size = if opened.map_type() == MapType::PerfEventArray { 4 } else { 0 };
            opened.set_key_size(size)?;
            opened.set_value_size(size)?;
        }
    }
    // libbpf's tools say in user space how deep their stacks are, and how many there may be.
    for mut stacks in open.maps_mut().filter(|map| map.map_type() == MapType::StackTrace) {
        if stacks.value_size() == 0 {
            stacks.set_value_size(STACK)?;
        }
        if stacks.max_entries() == 0 {
            stacks.set_max_entries(STACKS)?;
        }
    }
    for Constant { section, offset, bytes } in &inspection.constants {
        for mut map in open.maps_mut().filter(|map| is_map_of(&map.name().to_string_lossy(), section)) {
            let place = map.initial_value_mut().and_then(|value| value.get_mut(*offset..*offset + bytes.len()));
            // The object's type information and the object agree, or libbpf would not have opened it.
            if let Some(place) = place {
                place.copy_from_slice(bytes);
            }
        }
    }
    Ok(open)
}

/// Whether a map is libbpf's for a section of variables: `bee.rodata` is that of `.rodata`, but `.rodata.more` has its own name.
fn is_map_of(map: &str, section: &str) -> bool {
    map == section || map.strip_prefix(OBJECT) == Some(section)
}

/// Programs in the kernel.
struct Loaded {
    object: Object,
    attached: Vec<(String, Attached)>,
}

/// Loads and attaches one variant, or says why this kernel does not take it. Of programs that see the same event one runs; what is said of
/// the others comes with it.
fn try_variant(inspection: &Inspection, variant: Option<&str>) -> Result<(Loaded, Vec<String>), String> {
    let mut refusals = vec![];
    for Choice { hooks, left_out } in twins::choices(hooks_of(inspection, variant)?) {
        match try_programs(inspection, &hooks) {
            Ok(loaded) => return Ok((loaded, left_out)),
            Err(why) => refusals.push(why),
        }
    }
    Err(refusals.join("; "))
}

fn try_programs(inspection: &Inspection, hooks: &Hooks) -> Result<Loaded, String> {
    if let Some(why) = hooks.iter().find_map(|(_, hook)| hooks::would_never_run(hook)) {
        return Err(why);
    }
    let object = load(inspection, &|name| hooks.iter().any(|(known, _)| known == name))
        .map_err(|error| why_not_loaded(inspection, hooks, &error))?;
    let mut attached = vec![];
    for program in object.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        let Some((_, hook)) = hooks.iter().find(|(known, _)| *known == name) else { continue };
        let on = hooks::attach(hook, &program).map_err(|error| hooks::why_not(hook, &error))?;
        attached.push((name, on));
    }
    Ok(Loaded { object, attached })
}

/// The programs of a variant and where they go.
fn hooks_of(inspection: &Inspection, variant: Option<&str>) -> Result<Hooks, String> {
    let programs = programs_of(inspection).map_err(|error| error.to_string())?;
    let mut hooks = vec![];
    for Program { name, section } in programs {
        if variants::belongs(&name, variant) {
            let hook = Hook::parse(&name, &section).map_err(|error| error.to_string())?;
            hooks.push((name, hook));
        }
    }
    Ok(hooks)
}

/// Loads the programs of these names.
fn load(inspection: &Inspection, wanted: &dyn Fn(&str) -> bool) -> Result<Object, libbpf_rs::Error> {
    let mut open = open(inspection)?;
    for mut program in open.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        program.set_autoload(wanted(&name));
        // libbpf knows the section without a rate only.
        if program.section().to_string_lossy().starts_with("perf_event/") {
            program.set_prog_type(libbpf_rs::ProgramType::PerfEvent);
        }
    }
    open.load()
}

/// One program that the kernel refuses fails them all: each is tried alone to find it.
fn why_not_loaded(inspection: &Inspection, hooks: &[(String, Hook)], error: &libbpf_rs::Error) -> String {
    for (name, hook) in hooks {
        verifier_log::forget();
        if let Err(error) = load(inspection, &|wanted| wanted == name) {
            return match verifier_log::complaint() {
                Some(why) => format!("{}: {why}", hook.section),
                None => hooks::why_not(hook, &error),
            };
        }
    }
    format!("does not load: {error:#}")
}

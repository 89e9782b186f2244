//! Opens an object with what the command line says of it, and loads programs of it into the kernel.

use libbpf_rs::{MapType, Object, ObjectBuilder, OpenMap, OpenMapMut, OpenObject};

use crate::kernel::verifier_log;
use crate::object::map_memory::Dimensions;
use crate::object::map_sizes::{self, Usual};
use crate::object::params::Constant;
use crate::object::{Inspection, Source};

/// What an object is called, and so the maps of its variables.
const OBJECT: &str = "bee";

/// What of an object is loaded.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub programs: &'a [&'a str],
    /// These maps are not created.
    pub without: &'a [String],
}

/// Loads a part of an object.
pub fn load(inspection: &Inspection, part: Part) -> Result<Object, libbpf_rs::Error> {
    let mut open = open(inspection)?;
    for mut program in open.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        program.set_autoload(part.programs.contains(&name.as_str()));
        // libbpf knows the section without a rate only.
        if program.section().to_string_lossy().starts_with("perf_event/") {
            program.set_prog_type(libbpf_rs::ProgramType::PerfEvent);
        }
    }
    for mut map in open.maps_mut().filter(|map| part.without.iter().any(|name| map.name() == name.as_str())) {
        map.set_autocreate(false)?;
    }
    open.load()
}

/// Opens an object: its constants and the sizes of its maps are what they will be in the kernel. Loads nothing.
pub fn open(inspection: &Inspection) -> Result<OpenObject, libbpf_rs::Error> {
    open_telling(inspection, &mut vec![])
}

/// What its maps get that the object and the command line leave open.
pub fn usual_sizes(inspection: &Inspection) -> Result<Vec<Usual>, libbpf_rs::Error> {
    let mut taken = vec![];
    open_telling(inspection, &mut taken)?;
    Ok(taken)
}

fn open_telling(inspection: &Inspection, taken: &mut Vec<Usual>) -> Result<OpenObject, libbpf_rs::Error> {
    verifier_log::listen();
    verifier_log::forget();
    let mut open = ObjectBuilder::default().name(OBJECT)?.open_memory(&inspection.object)?;
    for map in inspection.maps.iter().filter(|map| matches!(map.source, Source::Events(_))) {
        for mut opened in open.maps_mut().filter(|opened| opened.name() == map.name.as_str()) {
            // BumbleBee gives ring buffers a value type; the kernel wants none (EINVAL), and in a perf buffer file descriptors.
            let size = if opened.map_type() == MapType::PerfEventArray { 4 } else { 0 };
            opened.set_key_size(size)?;
            opened.set_value_size(size)?;
        }
    }
    for mut map in open.maps_mut() {
        taken.extend(set_size(inspection, &mut map)?);
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

/// As the command line says, and else what is usual, which is returned.
fn set_size(inspection: &Inspection, map: &mut OpenMapMut) -> Result<Option<Usual>, libbpf_rs::Error> {
    if let Some(size) = inspection.sizes.iter().find(|size| map.name() == size.map.as_str()) {
        map.set_max_entries(size.entries)?;
    }
    let usual = map_sizes::usual(&dimensions(map));
    if let Some(entries) = usual.as_ref().and_then(|usual| usual.max_entries) {
        map.set_max_entries(entries)?;
    }
    if let Some(size) = usual.as_ref().and_then(|usual| usual.value_size) {
        map.set_value_size(size)?;
    }
    Ok(usual)
}

/// What a map's definition and the command line say of its size.
pub fn dimensions(map: &OpenMap) -> Dimensions {
    Dimensions {
        map: map.name().to_string_lossy().into_owned(),
        kind: map.map_type(),
        key_size: map.key_size(),
        value_size: map.value_size(),
        max_entries: map.max_entries(),
        flags: map.map_flags(),
    }
}

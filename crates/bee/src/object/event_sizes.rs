//! A buffer of events has the type of its events as its value, which the kernel does not know; a map that says besides what libbpf wants of
//! a perf buffer, `key_size` and `value_size` of 4, contradicts itself there. What it says of sizes is left out: bee sets them.

use std::collections::BTreeSet;

use crate::decode::btf::{self, Btf, TypeId};
use crate::object::elf::Elf;
use crate::object::map_sections::with_btf;
use crate::object::{Error, Map, Source};

const SIZES: [&str; 2] = ["key_size", "value_size"];

/// The object without the sizes of its buffers.
pub fn leave_out(object: Vec<u8>, btf: &Btf, maps: &[Map]) -> Result<Vec<u8>, Error> {
    let sized = sized(btf, maps);
    if sized.is_empty() {
        return Ok(object);
    }
    let types = Elf::parse(&object)?.section_bytes(".BTF")?.ok_or(Error::NoBtf)?;
    let types = btf::without_members(types, &sized, &SIZES)?;
    with_btf(object, &types)
}

/// The definitions of the buffers that say sizes.
fn sized(btf: &Btf, maps: &[Map]) -> BTreeSet<TypeId> {
    let mut sized = BTreeSet::new();
    for (name, definition) in btf.variables(".maps").unwrap_or_default() {
        let is_buffer = maps.iter().any(|map| map.name == name && matches!(map.source, Source::Events(_)));
        let members = btf.members(definition).unwrap_or_default();
        if is_buffer && members.iter().any(|member| SIZES.contains(&member.name.as_str())) {
            sized.extend(btf.resolve(definition).map(|(id, _)| id));
        }
    }
    sized
}

//! Sections of variables joined in one, and structs without some of their members, as libbpf wants them.

use std::collections::BTreeSet;

use libbpf_sys::{BTF_KIND_CONST, BTF_KIND_DATASEC};

use crate::allowance::Allowance;
use crate::decode::btf::parse::{HEADER, MAGIC, Parts, parse_type, word};
use crate::decode::btf::{BtfError, TypeId, TypeKind};

/// `BTF_KIND_CONST` of `void`: twelve bytes that say nothing.
const CONST_VOID: [u32; 3] = [0, BTF_KIND_CONST << 24, 0];

/// Joins the variables of several sections in one of another name. `bases` are the sections and how far each one's content moves.
/// No type changes its number: the sections that are emptied become a type that says nothing.
pub fn merge_sections(bytes: &[u8], bases: &[(&str, u32)], name: &str) -> Result<Vec<u8>, BtfError> {
    // No type is kept longer than it takes to look at it.
    let parts = Parts::split(bytes, &Allowance::of_a_file())?;
    let (mut before, mut variables, mut after) = (vec![], vec![], vec![]);
    let (mut found, mut size, mut at) = (false, 0, 0);
    while at < parts.types.len() {
        let (parsed, length) = parse_type(&parts, at)?;
        let raw = &parts.types[at..at + length];
        at += length;
        let base = bases.iter().find(|(section, _)| *section == parsed.name).map(|(_, base)| *base);
        match (parsed.kind, base) {
            (TypeKind::Section(entries), Some(base)) => {
                // clang leaves sizes and offsets 0 for libbpf to fill in from the symbols; a linker has filled them.
                let filled = entries.iter().all(|entry| entry.size != 0) && word(raw, 8)? != 0;
                size = if filled { base.wrapping_add(word(raw, 8)?) } else { 0 };
                for entry in entries {
                    variables.push([
                        entry.type_id,
                        if filled { entry.offset.wrapping_add(base) } else { 0 },
                        entry.size,
                    ]);
                }
                if found {
                    after.extend(CONST_VOID.iter().flat_map(|word| word.to_le_bytes()));
                }
                found = true;
            }
            _ if found => after.extend_from_slice(raw),
            _ => before.extend_from_slice(raw),
        }
    }
    let section = [parts.strings.len() as u32, BTF_KIND_DATASEC << 24 | variables.len() as u32, size];
    let words = section.into_iter().chain(variables.into_iter().flatten());
    before.extend(words.flat_map(u32::to_le_bytes));
    before.extend(after);
    let strings = [parts.strings, name.as_bytes(), b"\0"].concat();
    Ok(assemble(&before, &strings))
}

/// Where a struct's members begin, and how long each is.
const MEMBERS: usize = 12;
const MEMBER: usize = 12;

/// Leaves out members of these names of these structs. No type changes its number, and no struct its size.
pub fn without_members(bytes: &[u8], structs: &BTreeSet<TypeId>, names: &[&str]) -> Result<Vec<u8>, BtfError> {
    let parts = Parts::split(bytes, &Allowance::of_a_file())?;
    let (mut types, mut at) = (vec![], 0);
    for id in 1.. {
        if at >= parts.types.len() {
            break;
        }
        let (parsed, length) = parse_type(&parts, at)?;
        let raw = &parts.types[at..at + length];
        at += length;
        match parsed.kind {
            TypeKind::Struct { members, .. } if structs.contains(&id) => {
                let kept: Vec<_> = members.iter().map(|member| !names.contains(&member.name.as_str())).collect();
                let left_out = kept.iter().filter(|kept| !**kept).count() as u32;
                types.extend_from_slice(&raw[..4]);
                types.extend((word(raw, 4)? - left_out).to_le_bytes());
                types.extend_from_slice(&raw[8..MEMBERS]);
                let entries = raw[MEMBERS..].chunks_exact(MEMBER).zip(kept).filter(|(_, kept)| *kept);
                types.extend(entries.flat_map(|(entry, _)| entry));
            }
            _ => types.extend_from_slice(raw),
        }
    }
    Ok(assemble(&types, parts.strings))
}

fn assemble(types: &[u8], strings: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    bytes.extend([1, 0]);
    let words = [HEADER, 0, types.len(), types.len(), strings.len()];
    bytes.extend(words.into_iter().flat_map(|word| (word as u32).to_le_bytes()));
    bytes.extend_from_slice(types);
    bytes.extend_from_slice(strings);
    bytes
}

//! Moves the maps of `.maps.print`, `.maps.counter` and `.maps.gauge` into the one section that libbpf knows, `.maps`.
//!
//! The object is patched in place and new contents are appended: the sections are joined, symbols and relocations follow, and in the
//! BTF the first of the sections becomes `.maps` with everybody's variables while the others become a harmless type each, so that no
//! type id shifts. <https://docs.kernel.org/bpf/btf.html>

use std::collections::BTreeMap;

use crate::decode::btf;
use crate::object::{
    Error, Kind, MAPS_LIMIT, SIZE_LIMIT,
    elf::{self, Elf, RELOCATION, SHT_LLVM_ADDRSIG, SHT_REL, SHT_SYMTAB, SYMBOL, put, u16_at, u32_at, u64_at},
};

const MAPS: &str = ".maps";
/// Maps and relocations are aligned to this.
const ALIGNMENT: usize = 8;

/// One of the sections to join: its place among all sections, and where its content begins in the joined one.
struct Part {
    index: usize,
    base: usize,
    kind: Option<Kind>,
}

/// The object as libbpf wants it, and the kind of each map that stood in a section of its kind.
pub fn normalise(bytes: &[u8]) -> Result<(Vec<u8>, BTreeMap<String, Kind>), Error> {
    let elf = Elf::parse(bytes)?;
    let (parts, joined) = join(&elf)?;
    if !parts.iter().any(|part| part.kind.is_some()) {
        return Ok((bytes.to_vec(), BTreeMap::new()));
    }
    let mut object = Appending(bytes.to_vec());
    let kinds = move_symbols(&elf, &parts, &mut object.0)?;
    move_relocations(&elf, &parts, &mut object)?;
    let first = parts[0].index;
    object.replace(elf.header(first), &joined);
    for part in &parts[1..] {
        retire(&mut object.0, elf.header(part.index));
    }
    rename(&elf, first, &mut object)?;
    merge_btf(&elf, &parts, &mut object)?;
    Ok((object.0, kinds))
}

fn join(elf: &Elf) -> Result<(Vec<Part>, Vec<u8>), Error> {
    let (mut parts, mut joined) = (vec![], vec![]);
    for (index, section) in elf.sections.iter().enumerate().filter(|(_, section)| section.kind != SHT_LLVM_ADDRSIG) {
        let kind = Kind::from_section(&section.name).transpose()?;
        if kind.is_none() && section.name != MAPS {
            continue;
        }
        joined.resize(joined.len().next_multiple_of(ALIGNMENT), 0);
        if parts.len() == MAPS_LIMIT || joined.len().saturating_add(section.size) > SIZE_LIMIT {
            return Err(Error::TooMany);
        }
        parts.push(Part { index, base: joined.len(), kind });
        joined.extend_from_slice(elf.bytes_of(section)?);
    }
    Ok((parts, joined))
}

/// Points the maps' symbols at their new place, and notes which map was of which kind.
fn move_symbols(elf: &Elf, parts: &[Part], object: &mut [u8]) -> Result<BTreeMap<String, Kind>, Error> {
    let mut kinds = BTreeMap::new();
    // There is one such table at most.
    if let Some(table) = elf.sections.iter().find(|section| section.kind == SHT_SYMTAB) {
        let symbols = elf.bytes_of(table)?;
        let names = elf.sections.get(table.link).ok_or(Error::Truncated("the table of symbol names"))?;
        let names = elf.bytes_of(names)?;
        for at in (0..symbols.len() / SYMBOL).map(|index| index * SYMBOL) {
            let section = usize::from(u16_at(symbols, at + 6)?);
            let Some(part) = parts.iter().find(|part| part.index == section) else { continue };
            let value = u64_at(symbols, at + 8)?.wrapping_add(part.base as u64);
            put(object, table.offset + at + 6, &section_number(parts[0].index));
            put(object, table.offset + at + 8, &value.to_le_bytes());
            let name = elf::string(names, u32_at(symbols, at)? as usize).unwrap_or_default();
            if kinds.len() == MAPS_LIMIT {
                return Err(Error::TooMany);
            }
            if let (Some(kind), false) = (part.kind, name.is_empty()) {
                kinds.insert(name, kind);
            }
        }
    }
    Ok(kinds)
}

/// A map of maps names its inner maps by relocations.
fn move_relocations(elf: &Elf, parts: &[Part], object: &mut Appending) -> Result<(), Error> {
    let (mut joined, mut headers) = (vec![], vec![]);
    for (index, section) in elf.sections.iter().enumerate().filter(|(_, section)| section.kind == SHT_REL) {
        let Some(part) = parts.iter().find(|part| part.index == section.info) else { continue };
        if joined.len().saturating_add(section.size) > SIZE_LIMIT {
            return Err(Error::TooMany);
        }
        for relocation in elf.bytes_of(section)?.chunks_exact(RELOCATION) {
            let offset = u64_at(relocation, 0)?.wrapping_add(part.base as u64);
            joined.extend_from_slice(&offset.to_le_bytes());
            joined.extend_from_slice(&relocation[8..]);
        }
        headers.push(elf.header(index));
    }
    let Some((first, others)) = headers.split_first() else { return Ok(()) };
    put(&mut object.0, first + 44, &(parts[0].index as u32).to_le_bytes());
    object.replace(*first, &joined);
    for header in others {
        retire(&mut object.0, *header);
    }
    Ok(())
}

/// Gives the first section the name `.maps`, in a copy of the table of names with that name at its end.
fn rename(elf: &Elf, section: usize, object: &mut Appending) -> Result<(), Error> {
    let mut names = elf.bytes_of(&elf.sections[elf.names])?.to_vec();
    let name = names.len() as u32;
    names.extend_from_slice(b".maps\0");
    object.replace(elf.header(elf.names), &names);
    put(&mut object.0, elf.header(section), &name.to_le_bytes());
    Ok(())
}

fn merge_btf(elf: &Elf, parts: &[Part], object: &mut Appending) -> Result<(), Error> {
    let Some(index) = elf.sections.iter().position(|section| section.name == ".BTF") else { return Err(Error::NoBtf) };
    let bases = parts.iter().map(|part| (elf.sections[part.index].name.as_str(), part.base as u32)).collect::<Vec<_>>();
    let merged = btf::merge_sections(elf.bytes_of(&elf.sections[index])?, &bases, MAPS)?;
    object.replace(elf.header(index), &merged);
    Ok(())
}

/// The object with other BTF.
pub fn with_btf(object: Vec<u8>, btf: &[u8]) -> Result<Vec<u8>, Error> {
    let elf = Elf::parse(&object)?;
    let index = elf.sections.iter().position(|section| section.name == ".BTF").ok_or(Error::NoBtf)?;
    let header = elf.header(index);
    let mut object = Appending(object);
    object.replace(header, btf);
    Ok(object.0)
}

fn section_number(index: usize) -> [u8; 2] {
    // A section's number in a symbol has 16 bits, and it was read from one.
    (index as u16).to_le_bytes()
}

/// Makes a section one that libbpf passes over.
fn retire(object: &mut [u8], header: usize) {
    put(object, header + 4, &SHT_LLVM_ADDRSIG.to_le_bytes());
    put(object, header + 32, &0u64.to_le_bytes());
}

/// An object that gets new contents at its end.
struct Appending(Vec<u8>);

impl Appending {
    /// Appends the new content of a section and points its header there.
    fn replace(&mut self, header: usize, content: &[u8]) {
        self.0.resize(self.0.len().next_multiple_of(ALIGNMENT), 0);
        let offset = self.0.len() as u64;
        self.0.extend_from_slice(content);
        put(&mut self.0, header + 24, &offset.to_le_bytes());
        put(&mut self.0, header + 32, &(content.len() as u64).to_le_bytes());
    }
}

//! Which programs use which maps, as the object's relocations say.

use std::collections::BTreeSet;

use super::Error;
use super::elf::{Elf, RELOCATION, SHT_REL, SHT_SYMTAB, SYMBOL, Section, string, u16_at, u32_at, u64_at};

/// `ELF64_ST_TYPE`: a function.
const STT_FUNC: u8 = 2;

struct Symbol {
    name: String,
    is_function: bool,
    section: usize,
    value: u64,
    size: u64,
}

/// Pairs of a function and a map that it refers to; functions that the compiler did not inline stand for themselves.
///
/// # Errors
/// It is no BPF object, or is cut off.
pub fn uses(object: &[u8]) -> Result<BTreeSet<(String, String)>, Error> {
    let elf = Elf::parse(object)?;
    let symbols = symbols(&elf)?;
    let maps = elf.sections.iter().position(|section| section.name == ".maps");
    let mut uses = BTreeSet::new();
    for section in elf.sections.iter().filter(|section| section.kind == SHT_REL) {
        let bytes = elf.bytes_of(section)?;
        for at in (0..bytes.len() / RELOCATION).map(|index| index * RELOCATION) {
            let (offset, symbol) = (u64_at(bytes, at)?, (u64_at(bytes, at + 8)? >> 32) as usize);
            let Some(map) = symbols.get(symbol).filter(|symbol| Some(symbol.section) == maps) else { continue };
            let holds = |it: &&Symbol| {
                it.is_function
                    && it.section == section.info
                    && (it.value..it.value.saturating_add(it.size)).contains(&offset)
            };
            uses.extend(symbols.iter().find(holds).map(|function| (function.name.clone(), map.name.clone())));
        }
    }
    Ok(uses)
}

fn symbols(elf: &Elf) -> Result<Vec<Symbol>, Error> {
    let Some(table) = elf.sections.iter().find(|section| section.kind == SHT_SYMTAB) else { return Ok(vec![]) };
    let names =
        elf.sections.get(table.link).map(|names: &Section| elf.bytes_of(names)).transpose()?.unwrap_or_default();
    let bytes = elf.bytes_of(table)?;
    let symbol = |at: usize| {
        Ok(Symbol {
            name: string(names, u32_at(bytes, at)? as usize).unwrap_or_default(),
            is_function: bytes.get(at + 4).is_some_and(|info| info & 0xf == STT_FUNC),
            section: u16_at(bytes, at + 6)?.into(),
            value: u64_at(bytes, at + 8)?,
            size: u64_at(bytes, at + 16)?,
        })
    };
    (0..bytes.len() / SYMBOL).map(|index| symbol(index * SYMBOL)).collect()
}

//! Which programs use which maps, as the object's relocations say.

use std::collections::BTreeSet;

use crate::allowance::Allowance;

use crate::object::Error;
use crate::object::elf::{Elf, RELOCATION, SHT_REL, u64_at};
use crate::object::functions::Symbols;

/// The most relocations that are looked at.
const RELOCATIONS: usize = 1 << 20;

/// Pairs of a function and a map that it refers to; functions that the compiler did not inline stand for themselves.
///
/// # Errors
/// It is no BPF object, or is cut off.
pub fn uses(object: &[u8], allowance: &Allowance) -> Result<BTreeSet<(String, String)>, Error> {
    let elf = Elf::parse(object)?;
    let symbols = Symbols::parse(&elf)?;
    let functions = symbols.functions();
    let maps = elf.sections.iter().position(|section| section.name == ".maps");
    let (mut uses, mut left) = (BTreeSet::new(), RELOCATIONS);
    for section in elf.sections.iter().filter(|section| section.kind == SHT_REL) {
        let relocations = elf.bytes_of(section)?.chunks_exact(RELOCATION);
        left = left.checked_sub(relocations.len()).ok_or(Error::TooMany)?;
        for relocation in relocations {
            let (offset, symbol) = (u64_at(relocation, 0)?, (u64_at(relocation, 8)? >> 32) as usize);
            let Some(map) = symbols.get(symbol).filter(|symbol| Some(symbol.section) == maps) else { continue };
            let before = functions.range((section.info, 0)..=(section.info, offset)).next_back();
            let function = before.map(|(_, function)| function).filter(|it| offset - it.value < it.size);
            let Some(pair) = function.map(|function| (symbols.name(function), symbols.name(&map))) else { continue };
            let size = pair.0.len() + pair.1.len() + size_of_val(&pair);
            if uses.insert(pair) {
                allowance.take(size)?;
            }
        }
    }
    Ok(uses)
}

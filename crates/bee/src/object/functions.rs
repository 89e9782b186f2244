//! Functions that an object names, and what refers to what from where. libbpf makes a program of each, with a copy of its code, so that
//! thousands that lie on top of each other would be gigabytes.

use std::collections::BTreeMap;

use crate::object::elf::{Elf, SHT_SYMTAB, SYMBOL, string, u16_at, u32_at, u64_at};
use crate::object::{Error, SIZE_LIMIT};

/// The most functions, and symbols of any kind, of one object.
const FUNCTIONS: usize = 1024;
const SYMBOLS: usize = 1 << 16;

/// `ELF64_ST_TYPE`: a function.
const STT_FUNC: u8 = 2;

/// The table of symbols.
pub struct Symbols<'a> {
    table: &'a [u8],
    names: &'a [u8],
}

/// One entry of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    name: usize,
    pub is_function: bool,
    pub section: usize,
    pub value: u64,
    pub size: u64,
}

impl<'a> Symbols<'a> {
    /// There is one such table at most.
    pub fn parse(elf: &Elf<'a>) -> Result<Self, Error> {
        let Some(table) = elf.sections.iter().find(|section| section.kind == SHT_SYMTAB) else {
            return Ok(Self { table: &[], names: &[] });
        };
        let names = elf.sections.get(table.link).map(|names| elf.bytes_of(names)).transpose()?.unwrap_or_default();
        let table = elf.bytes_of(table)?;
        if table.len() / SYMBOL > SYMBOLS { Err(Error::TooMany) } else { Ok(Self { table, names }) }
    }

    pub fn get(&self, index: usize) -> Option<Symbol> {
        let entry = self.table.chunks_exact(SYMBOL).nth(index)?;
        Some(Symbol {
            name: u32_at(entry, 0).ok()? as usize,
            is_function: entry[4] & 0xf == STT_FUNC,
            section: u16_at(entry, 6).ok()?.into(),
            value: u64_at(entry, 8).ok()?,
            size: u64_at(entry, 16).ok()?,
        })
    }

    pub fn name(&self, symbol: &Symbol) -> String {
        string(self.names, symbol.name).unwrap_or_default()
    }

    /// The functions by where they begin, of several at one place the last.
    pub fn functions(&self) -> BTreeMap<(usize, u64), Symbol> {
        let all = (0..).map_while(|index| self.get(index)).filter(|symbol| symbol.is_function);
        all.map(|symbol| ((symbol.section, symbol.value), symbol)).collect()
    }
}

/// Refuses what libbpf would take gigabytes for.
pub fn check(elf: &Elf) -> Result<(), Error> {
    let symbols = Symbols::parse(elf)?;
    let functions = (0..).map_while(|index| symbols.get(index)).filter(|symbol| symbol.is_function);
    let (count, code) = functions.fold((0usize, 0u64), |(count, code), it| (count + 1, code.saturating_add(it.size)));
    if count > FUNCTIONS || code > SIZE_LIMIT as u64 { Err(Error::TooMany) } else { Ok(()) }
}

//! As much of ELF as a BPF object needs, read and patched in place; nothing is trusted.
//!
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>; BPF objects are 64-bit, and little-endian wherever we run.

use crate::object::Error;

/// The longest name of a section or symbol that is read.
const NAME: usize = 1024;
/// A compiled probe has some twenty.
const SECTIONS: usize = 4096;
const HEADER: usize = 64;
const SECTION: usize = 64;
pub const SYMBOL: usize = 24;
pub const RELOCATION: usize = 16;
const MACHINE_BPF: u16 = 247;
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const BIG_ENDIAN: u8 = 2;
const SHT_NOBITS: u32 = 8;
pub const SHT_SYMTAB: u32 = 2;
pub const SHT_REL: u32 = 9;
/// A section type that libbpf skips without a word.
pub const SHT_LLVM_ADDRSIG: u32 = 0x6fff_4c03;

/// An object's sections.
#[derive(Debug)]
pub struct Elf<'a> {
    bytes: &'a [u8],
    pub sections: Vec<Section>,
    /// Where the section headers lie.
    headers: usize,
    pub names: usize,
}

/// One section header.
#[derive(Debug, Clone)]
pub struct Section {
    pub name: String,
    pub kind: u32,
    pub offset: usize,
    pub size: usize,
    pub link: usize,
    pub info: usize,
}

impl<'a> Elf<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.get(..4) != Some(b"\x7fELF") {
            return Err(Error::NotElf);
        }
        if bytes.len() < HEADER {
            return Err(Error::Truncated("the ELF header"));
        }
        let machine = u16_at(bytes, 18)?;
        if bytes[5] == BIG_ENDIAN && machine.swap_bytes() == MACHINE_BPF {
            return Err(Error::ByteOrder);
        }
        if machine != MACHINE_BPF || bytes[4..6] != [CLASS_64, LITTLE_ENDIAN] {
            return Err(Error::NotBpf(if bytes[5] == BIG_ENDIAN { machine.swap_bytes() } else { machine }));
        }
        let headers = usize_at(bytes, 40)?;
        let (count, names) = (usize::from(u16_at(bytes, 60)?), usize::from(u16_at(bytes, 62)?));
        if count > SECTIONS {
            return Err(Error::TooMany);
        }
        let mut elf = Self { bytes, sections: vec![], headers, names };
        for index in 0..count {
            elf.sections.push(elf.section(index)?);
        }
        let table = elf.sections.get(names).ok_or(Error::Truncated("the table of section names"))?;
        let table = elf.bytes_of(table)?;
        for index in 0..count {
            let offset = u32_at(bytes, elf.header(index))? as usize;
            elf.sections[index].name = string(table, offset).ok_or(Error::Truncated("a section's name"))?;
        }
        Ok(elf)
    }

    /// Where the header of section `index` lies.
    pub fn header(&self, index: usize) -> usize {
        self.headers.saturating_add(index * SECTION)
    }

    fn section(&self, index: usize) -> Result<Section, Error> {
        let (bytes, at) = (self.bytes, self.header(index));
        let end = at.checked_add(SECTION).ok_or(Error::Truncated("a section header"))?;
        if end > bytes.len() {
            return Err(Error::Truncated("a section header"));
        }
        Ok(Section {
            name: String::new(),
            kind: u32_at(bytes, at + 4)?,
            offset: usize_at(bytes, at + 24)?,
            size: usize_at(bytes, at + 32)?,
            link: u32_at(bytes, at + 40)? as usize,
            info: u32_at(bytes, at + 44)? as usize,
        })
    }

    pub fn bytes_of(&self, section: &Section) -> Result<&'a [u8], Error> {
        if section.kind == SHT_NOBITS {
            return Ok(&[]);
        }
        let end = section.offset.checked_add(section.size).ok_or(Error::Truncated("a section"))?;
        self.bytes.get(section.offset..end).ok_or(Error::Truncated("a section"))
    }

    /// The content of the section of this name, if there is one.
    pub fn section_bytes(&self, name: &str) -> Result<Option<&'a [u8]>, Error> {
        self.sections.iter().find(|section| section.name == name).map(|section| self.bytes_of(section)).transpose()
    }
}

/// A text that ends with a zero, within a bound: the names of many sections may share one text.
pub fn string(table: &[u8], offset: usize) -> Option<String> {
    let rest = table.get(offset..)?;
    let end = rest.iter().take(NAME).position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

pub fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Error> {
    Ok(u16::from_le_bytes(array(bytes, at)?))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Error> {
    Ok(u32::from_le_bytes(array(bytes, at)?))
}

pub fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Error> {
    Ok(u64::from_le_bytes(array(bytes, at)?))
}

fn usize_at(bytes: &[u8], at: usize) -> Result<usize, Error> {
    usize::try_from(u64_at(bytes, at)?).map_err(|_| Error::Truncated("a section"))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Error> {
    let slice = at.checked_add(N).and_then(|end| bytes.get(at..end));
    slice.and_then(|slice| slice.try_into().ok()).ok_or(Error::Truncated("a number"))
}

/// Overwrites bytes that were read before, and so are there.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(slot) = at.checked_add(value.len()).and_then(|end| bytes.get_mut(at..end)) {
        slot.copy_from_slice(value);
    }
}

//! What an ELF file says to the dynamic loader: who loads it, what it needs, where to look
//! (<https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html>).

use std::path::PathBuf;

use object::{
    Endianness, FileKind, elf,
    read::elf::{Dyn, FileHeader, ProgramHeader},
};

/// No program or library has more bytes.
pub const LARGEST: u64 = 1 << 30;

/// The part of an ELF file that the dynamic loader reads.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Elf {
    /// What a library must share with whoever needs it.
    pub kind: Kind,
    /// PT_INTERP: its loader. Libraries and static programs have none.
    pub interpreter: Option<PathBuf>,
    /// DT_NEEDED, in the order of loading.
    pub needed: Vec<String>,
    /// DT_SONAME: what others that need it call it.
    pub soname: Option<String>,
    /// DT_RPATH: folders for what it needs and for what that needs, apart by colons.
    pub rpath: Option<String>,
    /// DT_RUNPATH: folders for what it needs itself; beside it DT_RPATH counts for nothing.
    pub runpath: Option<String>,
}

/// Class, byte order and processor.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub is_64: bool,
    pub is_big_endian: bool,
    pub machine: u16,
}

/// Reads a file's bytes; nothing if they are no ELF file, or a broken one.
pub fn parse(bytes: &[u8]) -> Option<Elf> {
    match FileKind::parse(bytes).ok()? {
        FileKind::Elf32 => read::<elf::FileHeader32<Endianness>>(bytes),
        FileKind::Elf64 => read::<elf::FileHeader64<Endianness>>(bytes),
        _ => None,
    }
}

fn read<Header: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<Elf> {
    let header = Header::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let machine = header.e_machine(endian);
    let kind = Kind { is_64: header.is_class_64(), is_big_endian: endian == Endianness::Big, machine };
    let mut elf = Elf { kind, ..Elf::default() };
    let segments = header.program_headers(endian, bytes).ok()?;
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, bytes).ok()? {
            elf.interpreter = Some(text(path)?.into());
        }
        if let Some(entries) = segment.dynamic(endian, bytes).ok()? {
            let entries = entries.iter().map(|entry| (entry.tag(endian), entry.val(endian)));
            let entries: Vec<_> = entries.take_while(|(tag, _)| *tag != elf::DT_NULL).collect();
            let strings = strings::<Header>(endian, bytes, segments, &entries)?;
            for (tag, value) in entries {
                note(&mut elf, tag, value, strings)?;
            }
        }
    }
    Some(elf)
}

/// The table of strings that the dynamic entries point into. Its address is that in memory, for sections may be stripped.
fn strings<'a, Header: FileHeader<Endian = Endianness>>(
    endian: Endianness,
    bytes: &'a [u8],
    segments: &[Header::ProgramHeader],
    entries: &[(i64, u64)],
) -> Option<&'a [u8]> {
    let value = |wanted: i64| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
    let (Some(address), Some(size)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else { return Some(&[]) };
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
    loaded.into_iter().find_map(|segment| segment.data_range(endian, bytes, address, size).ok()?)
}

fn note(elf: &mut Elf, tag: i64, value: u64, strings: &[u8]) -> Option<()> {
    if ![elf::DT_NEEDED, elf::DT_SONAME, elf::DT_RPATH, elf::DT_RUNPATH].contains(&tag) {
        return Some(());
    }
    let rest = strings.get(usize::try_from(value).ok()?..)?;
    let string = text(rest.split(|byte| *byte == 0).next()?)?;
    match tag {
        elf::DT_NEEDED => elf.needed.push(string),
        elf::DT_SONAME => elf.soname = Some(string),
        elf::DT_RPATH => elf.rpath = Some(string),
        _ => elf.runpath = Some(string),
    }
    Some(())
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_program_that_is_cut_off_or_damaged_anywhere_is_read_or_refused() {
        let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
        let of_whole = parse(&whole).unwrap();
        assert!(of_whole.interpreter.is_some() && !of_whole.needed.is_empty(), "{of_whole:?}");
        for place in 0..4096.min(whole.len()) {
            parse(&whole[..place]);
            let mut damaged = whole.clone();
            damaged[place] ^= 0xff;
            parse(&damaged);
        }
    }

    #[test]
    fn what_is_no_elf_file_is_none() {
        assert_eq!(parse(b"#!/bin/sh\n"), None);
        assert_eq!(parse(b""), None);
    }
}

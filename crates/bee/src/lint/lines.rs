//! Where an object's programs were written: its line information (.BTF.ext), by which the verifier quotes sources.
//!
//! <https://docs.kernel.org/bpf/btf.html#btf-ext-section>

use std::path::{Component, Path, PathBuf};

use crate::allowance::Allowance;
use crate::decode::btf::Parts;
use crate::object::elf::{Elf, u32_at};

/// Where the offset and the length of the line information stand in the header, and how long a record is at least.
const OFFSET: usize = 16;
const RECORD: usize = 16;
/// A line's number stands above its column.
const COLUMN_BITS: u32 = 10;

/// The first line of a section's code.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub section: String,
    /// As clang was told it.
    pub file: PathBuf,
    pub number: usize,
}

/// One line for each section; none if the object does not say, or is damaged.
pub fn parse(object: &[u8]) -> Vec<Line> {
    read(object).unwrap_or_default()
}

fn read(object: &[u8]) -> Option<Vec<Line>> {
    let elf = Elf::parse(object).ok()?;
    let names = Parts::split(elf.section_bytes(".BTF").ok()??, &Allowance::of_a_file()).ok()?;
    let extension = elf.section_bytes(".BTF.ext").ok()??;
    let start = length_at(extension, 4)?.checked_add(length_at(extension, OFFSET)?)?;
    let end = start.checked_add(length_at(extension, OFFSET + 4)?)?.min(extension.len());
    let record = length_at(extension, start)?;
    let (mut lines, mut at) = (vec![], start.checked_add(4)?);
    while record >= RECORD && at < end {
        let section = names.name(u32_at(extension, at).ok()?).ok()?;
        let (count, first) = (length_at(extension, at + 4)?, at + 8);
        let file = names.name(u32_at(extension, first + 4).ok()?).ok()?;
        let number = u32_at(extension, first + 12).ok()? >> COLUMN_BITS;
        // Clang puts a `./` before what it was told.
        let file = Path::new(&file).components().filter(|part| *part != Component::CurDir).collect();
        lines.push(Line { section, file, number: number as usize });
        at = first.checked_add(count.checked_mul(record)?)?;
    }
    Some(lines)
}

fn length_at(extension: &[u8], at: usize) -> Option<usize> {
    Some(u32_at(extension, at).ok()? as usize)
}

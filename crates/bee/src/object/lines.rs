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

/// Where the code of a section was written, from an offset on.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub section: String,
    /// In bytes, from the section's beginning.
    pub offset: usize,
    /// As clang was told it.
    pub file: PathBuf,
    pub number: usize,
}

/// The most lines that are read.
const LINES: usize = 1 << 16;

/// The first line of each section; none if the object does not say, or is damaged.
pub fn first(object: &[u8]) -> Vec<Line> {
    read(object, 1).unwrap_or_default()
}

/// All lines.
pub fn all(object: &[u8]) -> Vec<Line> {
    read(object, LINES).unwrap_or_default()
}

/// So many lines of each section at the most.
fn read(object: &[u8], most: usize) -> Option<Vec<Line>> {
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
        for index in 0..count.min(most).min(LINES.saturating_sub(lines.len())) {
            lines.push(line(&names, extension, &section, first.checked_add(index.checked_mul(record)?)?)?);
        }
        at = first.checked_add(count.checked_mul(record)?)?;
    }
    Some(lines)
}

fn line(names: &Parts, extension: &[u8], section: &str, at: usize) -> Option<Line> {
    let offset = length_at(extension, at)?;
    let file = names.name(u32_at(extension, at + 4).ok()?).ok()?;
    let number = u32_at(extension, at + 12).ok()? >> COLUMN_BITS;
    // Clang puts a `./` before what it was told.
    let file = Path::new(&file).components().filter(|part| *part != Component::CurDir).collect();
    Some(Line { section: section.to_owned(), offset, file, number: number as usize })
}

fn length_at(extension: &[u8], at: usize) -> Option<usize> {
    Some(u32_at(extension, at).ok()? as usize)
}

//! Calls in objects that nothing defines: what clang could not turn into instructions of its own, as `memcmp` of many bytes, or a function
//! of a source that was not given. Each with the line that calls it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::allowance::Allowance;
use crate::decode::btf::Btf;
use crate::object::Error;
use crate::object::elf::{Elf, RELOCATION, SHT_REL, u64_at};
use crate::object::functions::Symbols;
use crate::object::lines::{self, Line};

/// What libbpf itself finds in the kernel.
const OF_THE_KERNEL: [&str; 2] = [".ksyms", ".kconfig"];
/// The most that are told.
const MOST: usize = 16;

/// A call of something that is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    pub name: String,
    /// Where it is called, if the object says so.
    pub place: Option<(PathBuf, usize)>,
}

/// What these objects call and none of them defines.
pub fn find(objects: &[Vec<u8>]) -> Result<Vec<Undefined>, Error> {
    let mut defined = BTreeSet::new();
    for object in objects {
        let symbols = Elf::parse(object).and_then(|elf| Symbols::parse(&elf).map(|symbols| names(&symbols)))?;
        defined.extend(symbols);
    }
    let mut found: Vec<Undefined> = vec![];
    for object in objects {
        for call in calls_of(object)? {
            let is_known = defined.contains(&call.name) || found.iter().any(|other| other.name == call.name);
            if !is_known && found.len() < MOST {
                found.push(call);
            }
        }
    }
    Ok(found)
}

/// The names of what an object defines.
fn names(symbols: &Symbols) -> Vec<String> {
    let all = (0..).map_while(|index| symbols.get(index));
    all.filter(|symbol| symbol.section != 0).map(|symbol| symbols.name(&symbol)).collect()
}

/// All of them in one sentence.
pub fn list(calls: &[Undefined]) -> String {
    calls.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What an object's code refers to that is neither in it nor in the kernel.
fn calls_of(object: &[u8]) -> Result<Vec<Undefined>, Error> {
    let elf = Elf::parse(object)?;
    let symbols = Symbols::parse(&elf)?;
    let (kernel, lines) = (names_of_the_kernel(&elf)?, lines::all(object));
    let mut calls = vec![];
    for section in elf.sections.iter().filter(|section| section.kind == SHT_REL) {
        let Some(code) = elf.sections.get(section.info).filter(|code| is_code(&code.name)) else { continue };
        for relocation in elf.bytes_of(section)?.chunks_exact(RELOCATION) {
            let (offset, index) = (u64_at(relocation, 0)? as usize, (u64_at(relocation, 8)? >> 32) as usize);
            let Some(symbol) = symbols.get(index).filter(|symbol| symbol.section == 0) else { continue };
            let name = symbols.name(&symbol);
            if !name.is_empty() && !kernel.contains(&name) {
                calls.push(Undefined { name, place: place(&lines, &code.name, offset) });
            }
        }
    }
    Ok(calls)
}

fn names_of_the_kernel(elf: &Elf) -> Result<BTreeSet<String>, Error> {
    let Some(types) = elf.section_bytes(".BTF")? else { return Ok(BTreeSet::new()) };
    let btf = Btf::parse(types, &Allowance::of_a_file())?;
    let names = OF_THE_KERNEL
        .iter()
        .flat_map(|section| btf.offsets(section).into_keys().map(str::to_owned).collect::<Vec<_>>());
    Ok(names.collect())
}

/// Debug information refers to symbols as well; its sections, and no programs, begin with a dot.
fn is_code(section: &str) -> bool {
    section == ".text" || !section.starts_with('.')
}

/// The line of the instruction at this offset.
fn place(lines: &[Line], section: &str, offset: usize) -> Option<(PathBuf, usize)> {
    let before = lines.iter().filter(|line| line.section == section && line.offset <= offset);
    before.max_by_key(|line| line.offset).map(|line| (line.file.clone(), line.number))
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((file, number)) => write!(f, "{} at {}:{number}, ", self.name, file.display())?,
            None => write!(f, "{}, ", self.name)?,
        }
        f.write_str(advice(&self.name))
    }
}

/// What to do about a call.
fn advice(name: &str) -> &'static str {
    match name {
        "memcmp" | "bcmp" | "strcmp" | "strncmp" | "strcasecmp" => {
            "of which clang makes instructions for a few bytes only and BPF has no C library: compare byte by byte in a loop of a fixed \
             length, or text by bpf_strncmp (Linux 5.17)"
        }
        "memcpy" | "memset" | "memmove" => {
            "of which clang makes instructions for a small fixed size only and BPF has no C library: copy or clear in a loop of a fixed \
             length, or copy by bpf_probe_read_kernel"
        }
        "strlen" | "strnlen" | "strcpy" | "strncpy" | "strlcpy" | "strchr" | "strstr" => {
            "as BPF has no C library: copy text by bpf_probe_read_kernel_str, which returns its length"
        }
        "printf" | "fprintf" | "puts" | "printk" => "as BPF has no C library: print by bpf_printk",
        "malloc" | "calloc" | "kmalloc" | "free" => "as BPF has no heap: keep what is large in a map of one element",
        _ => {
            "a function of no source here: give its source with --link, define it, or declare it __ksym if it is the kernel's (a kfunc)"
        }
    }
}

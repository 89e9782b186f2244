//! The smallest probe there is for a hook: `return ANSWER;`, written as the object that clang would make of it, so that what is tried
//! is the very way that a real probe takes.

use libbpf_rs::{MapHandle, MapType};
use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

use crate::decode::btf::Btf;
use crate::kernel::probe::{Probe, ProbeError};
use crate::object::Inspection;

/// `r0 = ANSWER` and `exit`, of <https://docs.kernel.org/bpf/standardization/instruction-set.html>.
const MOVE_TO_R0: [u8; 4] = [0xb7, 0, 0, 0];
const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];

/// Puts a program on a hook and takes it off again.
pub fn hook(section: &str, answer: i32) -> Result<(), String> {
    let object = program(section, answer).map_err(|error| format!("failed to write a program: {error}"))?;
    let inspection = Inspection {
        object,
        maps: vec![],
        btf: Btf::default(),
        stacks: None,
        prints: false,
        constants: vec![],
        sizes: vec![],
    };
    match Probe::attach(&inspection, &[None]) {
        Ok(_detached_when_dropped) => Ok(()),
        Err(ProbeError::NoVariant(refused)) => {
            let why = refused.into_iter().map(|refusal| refusal.why).collect::<Vec<_>>().join("; ");
            Err(why.strip_prefix(&format!("{section}: ")).map_or(why.clone(), str::to_owned))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Makes a map and gives it back.
pub fn map(kind: MapType) -> Result<(), String> {
    let (key, value, entries) = match kind {
        MapType::RingBuf => (0, 0, 1 << 16),
        _ => (4, 4, 1),
    };
    let options =
        libbpf_sys::bpf_map_create_opts { sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _, ..Default::default() };
    MapHandle::create(kind, Some("bee_doctor"), key, value, entries, &options)
        .map(drop)
        .map_err(|error| format!("{error:#}"))
}

fn program(section: &str, answer: i32) -> object::write::Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let code = object.add_section(vec![], section.into(), SectionKind::Text);
    let instructions = [&MOVE_TO_R0[..], &answer.to_le_bytes(), &EXIT].concat();
    object.append_section_data(code, &instructions, 8);
    object.add_symbol(Symbol {
        name: b"watch".to_vec(),
        value: 0,
        size: instructions.len() as u64,
        kind: SymbolKind::Text,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(code),
        flags: SymbolFlags::None,
    });
    let license = object.add_section(vec![], b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, b"GPL\0", 1);
    object.write()
}

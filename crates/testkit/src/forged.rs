//! Objects that no compiler would make, and changes to those that one made.

use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

/// Kinds of types (<https://docs.kernel.org/bpf/btf.html>).
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const VAR: u32 = 14;
const DATASEC: u32 = 15;

/// Types that are being written.
pub struct Types {
    words: Vec<u32>,
    strings: Vec<u8>,
    count: u32,
}

impl Default for Types {
    fn default() -> Self {
        Self { words: vec![], strings: vec![0], count: 0 }
    }
}

impl Types {
    pub fn name(&mut self, name: &str) -> u32 {
        let offset = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        offset
    }

    fn add(&mut self, head: [u32; 3], body: impl IntoIterator<Item = u32>) -> u32 {
        self.words.extend(head);
        self.words.extend(body);
        self.count += 1;
        self.count
    }

    /// An unsigned number of four bytes.
    pub fn int(&mut self, name: u32) -> u32 {
        self.add([name, INT << 24, 4], [32])
    }

    pub fn pointer(&mut self, to: u32) -> u32 {
        self.add([0, PTR << 24, to], [])
    }

    pub fn array(&mut self, element: u32, length: u32) -> u32 {
        self.add([0, ARRAY << 24, 0], [element, element, length])
    }

    /// Of members that have these names and types, four bytes each.
    pub fn record(&mut self, name: u32, members: &[(u32, u32)]) -> u32 {
        let count = u32::try_from(members.len()).unwrap();
        let body = members.iter().zip(0..).flat_map(|(&(name, of), at)| [name, of, at * 32]);
        self.add([name, STRUCT << 24 | count, count * 4], body)
    }

    pub fn variable(&mut self, name: u32, of: u32) -> u32 {
        self.add([name, VAR << 24, of], [1])
    }

    pub fn section(&mut self, name: &str, variables: &[u32]) -> u32 {
        let name = self.name(name);
        let body = variables.iter().flat_map(|&of| [of, 0, 8]);
        self.add([name, DATASEC << 24 | u32::try_from(variables.len()).unwrap(), 8], body)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let types: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let header = [24, 0, types.len(), types.len(), self.strings.len()];
        let header = header.into_iter().flat_map(|number| u32::try_from(number).unwrap().to_le_bytes());
        [vec![0x9f, 0xeb, 1, 0], header.collect(), types, self.strings.clone()].concat()
    }
}

/// An object of these types, with so many functions, each of which is all of so much code.
pub fn object(types: &Types, functions: usize, code: usize) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let btf = object.add_section(vec![], b".BTF".to_vec(), SectionKind::Other);
    object.append_section_data(btf, &types.bytes(), 8);
    let text = object.add_section(vec![], b"raw_tp/sys_enter".to_vec(), SectionKind::Text);
    object.append_section_data(text, &vec![0x95; code], 8);
    for number in 0..functions {
        object.add_symbol(Symbol {
            name: format!("f{number}").into_bytes(),
            value: 0,
            size: code as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(text),
            flags: SymbolFlags::None,
        });
    }
    object.write().unwrap()
}

/// Numbers that are the same in each run, of a seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Less than this (xorshift64*).
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap() % bound
    }

    /// Changes some bytes, anywhere.
    pub fn damage(&mut self, bytes: &mut [u8]) {
        for _ in 0..=self.below(4) {
            let (at, by) = (self.below(bytes.len()), self.below(256));
            bytes[at] = u8::try_from(by).unwrap();
        }
    }

    /// Makes some letter of a name one that is no UTF-8.
    pub fn rename(&mut self, bytes: &mut [u8]) {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let names: Vec<_> = (3..bytes.len()).filter(|at| bytes[at - 3..=*at].iter().all(is_word)).collect();
        for _ in 0..=self.below(3) {
            bytes[names[self.below(names.len())]] |= 0x80;
        }
    }
}

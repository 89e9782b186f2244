//! Fields as C has them, and what a value of each is in memory and on the screen. Written from the C ABI of x86-64 and AArch64, not
//! from BTF or bee's decoder: it is what they are compared with.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Values of a field that differ, so that few events make several series of several events each.
pub const VALUES: usize = 3;

#[derive(Debug, Clone)]
pub enum Kind {
    /// Of so many bytes.
    Unsigned(usize),
    Signed(usize),
    Bool,
    Enum,
    Text(usize),
    Bytes(usize),
    Ipv4,
    /// So many bits of a `__u32` behind so many that are no field's.
    Bits {
        unused: usize,
        width: usize,
    },
    /// An array of `__u16`.
    Array(usize),
    /// A struct with padding of its own.
    Struct,
}

/// What a field shows: under which label or filter, and what.
pub struct Shown {
    pub suffix: &'static str,
    pub text: String,
}

pub fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => select(vec![1, 2, 4, 8]).prop_map(Kind::Unsigned),
        2 => select(vec![1, 2, 4, 8]).prop_map(Kind::Signed),
        1 => Just(Kind::Bool),
        1 => Just(Kind::Enum),
        3 => (1..=16_usize).prop_map(Kind::Text),
        1 => (1..=7_usize).prop_map(Kind::Bytes),
        1 => Just(Kind::Ipv4),
        3 => bits(),
        1 => (1..=SUFFIXES.len()).prop_map(Kind::Array),
        1 => Just(Kind::Struct),
    ]
}

/// What the number of a gauge or a histogram may be.
pub fn number() -> impl Strategy<Value = Kind> {
    prop_oneof![
        select(vec![4, 8]).prop_map(Kind::Unsigned),
        select(vec![4, 8]).prop_map(Kind::Signed),
        (0..=12_usize, 8..=20_usize).prop_map(|(unused, width)| Kind::Bits { unused, width }),
    ]
}

fn bits() -> impl Strategy<Value = Kind> {
    (0..=16_usize, 1..=16_usize).prop_map(|(unused, width)| Kind::Bits { unused, width })
}

const SUFFIXES: [&str; 3] = ["_0", "_1", "_2"];
const TEXT: &str = "abcdefghijklmnop";

impl Kind {
    pub fn declaration(&self, name: &str) -> String {
        match self {
            Self::Unsigned(size) => format!("__u{} {name};", size * 8),
            Self::Signed(size) => format!("__s{} {name};", size * 8),
            Self::Bool => format!("bool {name};"),
            Self::Enum => format!("enum color {name};"),
            Self::Text(length) => format!("char {name}[{length}];"),
            Self::Bytes(length) => format!("__u8 {name}[{length}];"),
            Self::Ipv4 => format!("ipv4_addr {name};"),
            Self::Bits { unused: 0, width } => format!("__u32 : 0; __u32 {name} : {width};"),
            Self::Bits { unused, width } => format!("__u32 : 0; __u32 : {unused}; __u32 {name} : {width};"),
            Self::Array(length) => format!("__u16 {name}[{length}];"),
            Self::Struct => format!("struct {{ __u8 a; __u32 b; }} {name};"),
        }
    }

    /// In bytes. A bit field begins where its `__u32` does.
    pub fn alignment(&self) -> usize {
        match self {
            Self::Unsigned(size) | Self::Signed(size) => *size,
            Self::Bool | Self::Text(_) | Self::Bytes(_) => 1,
            Self::Array(_) => 2,
            Self::Enum | Self::Ipv4 | Self::Bits { .. } | Self::Struct => 4,
        }
    }

    /// In bits, for what follows a bit field begins in the byte behind it.
    pub fn bits(&self) -> usize {
        match self {
            Self::Bits { unused, width } => unused + width,
            Self::Unsigned(size) | Self::Signed(size) | Self::Text(size) | Self::Bytes(size) => size * 8,
            Self::Bool => 8,
            Self::Enum | Self::Ipv4 => 32,
            Self::Array(length) => length * 16,
            Self::Struct => 64,
        }
    }

    /// Writes value `pick` where the field begins, and nothing where it says nothing.
    pub fn write(&self, field: &mut [u8], pick: usize) {
        match self {
            Self::Bits { unused, width } => {
                let mut word = [0; 4];
                let length = (unused + width).div_ceil(8);
                word[..length].copy_from_slice(&field[..length]);
                let mask = ((1_u32 << width) - 1) << unused;
                let number = (self.integer(pick) as u32) << unused;
                let word = (u32::from_le_bytes(word) & !mask) | (number & mask);
                field[..length].copy_from_slice(&word.to_le_bytes()[..length]);
            }
            Self::Text(length) => {
                let text = text(*length, pick);
                field[..text.len()].copy_from_slice(text.as_bytes());
                if text.len() < *length {
                    field[text.len()] = 0;
                }
            }
            Self::Struct => {
                field[0] = pick as u8;
                field[4..8].copy_from_slice(&inner(pick).to_le_bytes());
            }
            Self::Bytes(length) => field[..*length].fill(byte(pick)),
            Self::Ipv4 => field[..4].copy_from_slice(&address(pick)),
            Self::Array(length) => {
                for index in 0..*length {
                    field[index * 2..index * 2 + 2].copy_from_slice(&element(pick, index).to_le_bytes());
                }
            }
            _ => {
                let size = self.bits() / 8;
                field[..size].copy_from_slice(&self.integer(pick).to_le_bytes()[..size]);
            }
        }
    }

    /// The number of a field that is one.
    pub fn integer(&self, pick: usize) -> i128 {
        match self {
            Self::Unsigned(size) => [0, 7, (1 << (size * 8)) - 1][pick],
            Self::Signed(size) => [0, -1, -(1 << (size * 8 - 1))][pick],
            Self::Bits { width, .. } => [0, 1, (1 << width) - 1][pick],
            // Two that are true.
            Self::Bool => [0, 1, 0xfe][pick],
            Self::Enum => [0, 5, 7][pick],
            _ => unreachable!("{self:?} is no number"),
        }
    }

    pub fn json(&self, pick: usize) -> Value {
        match self {
            Self::Unsigned(_) | Self::Bits { .. } => json!(self.integer(pick) as u64),
            Self::Signed(_) => json!(self.integer(pick) as i64),
            Self::Bool => json!(pick != 0),
            Self::Enum => [json!("RED"), json!("BLUE"), json!(7)][pick].clone(),
            Self::Text(length) => json!(text(*length, pick)),
            Self::Bytes(length) => json!(format!("{:02x}", byte(pick)).repeat(*length)),
            Self::Ipv4 => json!(std::net::Ipv4Addr::from(address(pick)).to_string()),
            Self::Array(length) => (0..*length).map(|index| element(pick, index)).collect(),
            Self::Struct => json!({ "a": pick, "b": inner(pick) }),
        }
    }

    /// Its labels.
    pub fn shown(&self, pick: usize) -> Vec<Shown> {
        match self.json(pick) {
            Value::Object(fields) => vec![
                Shown { suffix: "_a", text: fields["a"].to_string() },
                Shown { suffix: "_b", text: fields["b"].to_string() },
            ],
            Value::Array(elements) => elements
                .iter()
                .zip(SUFFIXES)
                .map(|(element, suffix)| Shown { suffix, text: element.to_string() })
                .collect(),
            Value::String(text) => vec![Shown { suffix: "", text }],
            other => vec![Shown { suffix: "", text: other.to_string() }],
        }
    }
}

/// Nothing, one character, or as many as there is room for, without a zero behind them.
fn text(length: usize, pick: usize) -> &'static str {
    ["", "z", &TEXT[..length]][pick]
}

fn byte(pick: usize) -> u8 {
    [0, 1, 0xff][pick]
}

fn address(pick: usize) -> [u8; 4] {
    [[0, 0, 0, 0], [10, 0, 0, 1], [255, 255, 255, 255]][pick]
}

fn element(pick: usize, index: usize) -> u16 {
    [0, 80 + index as u16, u16::MAX][pick]
}

fn inner(pick: usize) -> u32 {
    [0, 70_000, u32::MAX][pick]
}

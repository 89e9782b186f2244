//! How the bytes of an event, key or value are laid out: offsets and padding, nested structs, arrays, enums, bit fields, and what
//! numbers and bytes mean.

use std::sync::Arc;

use crate::decode::address::{Family, Socket};
use crate::decode::stacks::Stack;
use crate::decode::typedefs::Meaning;

/// A layout has at most this many fields and bytes: a probe's records are small.
pub(super) const FIELDS: usize = 512;
pub(super) const BYTES: usize = 1 << 20;
/// So many values of an array that has what its record holds are shown.
const FILLED: usize = 1 << 14;

/// How a value lies in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// In bytes.
    pub size: usize,
    pub shape: Shape,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Unsigned,
    Signed,
    Bool,
    Float,
    Pointer,
    /// An enumeration's names.
    Enum {
        signed: bool,
        names: Arc<[(String, i64)]>,
    },
    /// `char[]`, ended by a zero or by its length.
    Text,
    /// `unsigned char[]`, which programs have for both: text where that is all there is, else bytes.
    TextOrBytes,
    /// `u8[]`.
    Bytes,
    /// `__be16` and its kin: a number in network order.
    BigEndian,
    /// `ipv4_addr` or `struct in_addr`: an address in network order.
    Ipv4,
    /// `struct in6_addr`, or any 16 bytes named `ipv6_address` or `ipv6_addr`.
    Ipv6,
    /// 16 bytes that are an address of either version.
    IpByFamily(Family),
    /// An address and a port.
    Socket(Socket),
    /// `duration`, in nanoseconds.
    Duration,
    /// A number that a typedef says the meaning of.
    Meaning(Meaning),
    /// Functions that called each other.
    Stack(Box<Stack>),
    Array {
        element: Box<Layout>,
        length: usize,
    },
    Struct(Vec<Field>),
    /// `char text[]` or `u32 numbers[]`, the last of a record: as much as the record holds. What it is, of no length.
    Rest(Box<Layout>),
}

/// A member of a struct; members of anonymous structs and unions stand among the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// From the beginning of the record, in bits.
    pub offset: usize,
    /// For a bit field.
    pub bits: Option<usize>,
    pub layout: Layout,
}

/// Why a type can't be shown; reads on from "its value …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("has a part whose type bee can't show (`{0}`)")]
    Unknown(String),
    #[error("is too deep, or has more than {FIELDS} fields or {} MB", BYTES >> 20)]
    TooLarge,
}

impl Layout {
    /// How much memory this description takes, in bytes.
    pub fn memory(&self) -> usize {
        let parts = match &self.shape {
            Shape::Array { element, .. } | Shape::Rest(element) => element.memory(),
            Shape::Struct(fields) => {
                fields.iter().map(|field| field.name.len() + size_of::<Field>() + field.layout.memory()).sum()
            }
            _ => 0,
        };
        size_of::<Self>() + parts
    }

    pub fn is_integer(&self) -> bool {
        matches!(self.shape, Shape::Unsigned | Shape::Signed | Shape::Duration | Shape::BigEndian) && self.size <= 8
    }

    /// The field of this name, if it is an integer.
    pub fn integer_field(&self, name: &str) -> Option<&Field> {
        let Shape::Struct(fields) = &self.shape else { return None };
        fields.iter().find(|field| field.name == name && field.layout.is_integer())
    }

    /// A record as far as its type says what it is: what lies behind is left alone, but for an array that has what the record holds.
    pub fn known<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        if record.len() <= self.size || self.is_open() { record } else { &record[..self.size] }
    }

    /// Whether its records may be longer than it is.
    pub fn is_open(&self) -> bool {
        match &self.shape {
            Shape::Rest(_) => true,
            Shape::Struct(fields) => fields.iter().any(|field| field.layout.is_open()),
            _ => false,
        }
    }

    /// The same, with arrays of no length that lie behind all else as such of what the record holds.
    pub fn opened(mut self) -> Self {
        let end = self.end();
        self.open(0, end);
        self
    }

    fn open(&mut self, offset: usize, end: usize) {
        match &mut self.shape {
            Shape::Text | Shape::TextOrBytes | Shape::Bytes | Shape::Array { .. }
                if self.size == 0 && offset >= end =>
            {
                self.shape = Shape::Rest(Box::new(self.clone()));
            }
            Shape::Struct(fields) => {
                for field in fields {
                    field.layout.open(offset + field.offset / 8, end);
                }
            }
            _ => {}
        }
    }

    /// Where the last of its values ends, in bytes.
    fn end(&self) -> usize {
        let Shape::Struct(fields) = &self.shape else { return self.size };
        let mut end = 0;
        for field in fields {
            let length = field.bits.map_or_else(|| field.layout.end(), |bits| (field.offset % 8 + bits).div_ceil(8));
            if length > 0 {
                end = end.max(field.offset / 8 + length);
            }
        }
        end
    }

    /// Whether a record of this length has some value of it.
    pub fn is_in(&self, length: usize) -> bool {
        length >= self.size || self.begins_in(length, (0, None))
    }

    fn begins_in(&self, length: usize, (offset, bits): (usize, Option<usize>)) -> bool {
        match &self.shape {
            Shape::Text | Shape::TextOrBytes | Shape::Bytes if self.size > 0 => offset / 8 < length,
            Shape::Array { element, length: 1.. } => element.begins_in(length, (offset, None)),
            Shape::Struct(fields) if !fields.is_empty() => {
                fields.iter().any(|field| field.layout.begins_in(length, (offset + field.offset, field.bits)))
            }
            _ => (offset + bits.unwrap_or(self.size * 8)).div_ceil(8) <= length,
        }
    }

    /// An array of so many bytes in place of one of no length. Elements have a bound: a recording may have megabytes of them.
    pub fn filled(&self, bytes: usize) -> Self {
        match &self.shape {
            Shape::Array { element, .. } => {
                let length = bytes.checked_div(element.size).unwrap_or_default().min(FILLED / element.values());
                let size = element.size * length;
                Self { size, shape: Shape::Array { element: element.clone(), length } }
            }
            shape => Self { size: bytes.min(BYTES), shape: shape.clone() },
        }
    }

    /// How many values it is, at least one.
    fn values(&self) -> usize {
        let values = match &self.shape {
            Shape::Array { element, length } => element.values().saturating_mul(*length),
            Shape::Struct(fields) => fields.iter().map(|field| field.layout.values()).sum(),
            _ => 1,
        };
        values.max(1)
    }

    /// Where the numbers with this meaning are in a record of this length, in bytes from the beginning.
    pub fn places(&self, meaning: Meaning, length: usize) -> Vec<usize> {
        let mut places = vec![];
        self.add_places(meaning, (0, length), &mut places);
        places
    }

    fn add_places(&self, meaning: Meaning, (offset, end): (usize, usize), places: &mut Vec<usize>) {
        match &self.shape {
            Shape::Meaning(found) if *found == meaning => places.push(offset),
            Shape::Array { element, length } => {
                for index in 0..*length {
                    element.add_places(meaning, (offset + index * element.size, end), places);
                }
            }
            Shape::Struct(fields) => {
                for field in fields.iter().filter(|field| field.bits.is_none()) {
                    field.layout.add_places(meaning, (offset + field.offset / 8, end), places);
                }
            }
            Shape::Rest(layout) => layout.filled(end.saturating_sub(offset)).add_places(meaning, (offset, end), places),
            _ => {}
        }
    }
}

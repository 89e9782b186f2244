//! How the bytes of an event, key or value are laid out: offsets and padding, nested structs, arrays, enums, bit fields, and what
//! numbers and bytes mean.

use std::sync::Arc;

use crate::decode::typedefs::Meaning;

/// A layout has at most this many fields and bytes: a probe's records are small.
pub(super) const FIELDS: usize = 512;
pub(super) const BYTES: usize = 1 << 20;

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
    /// `ipv4_addr`: an address in network order.
    Ipv4,
    /// `struct in6_addr`, or any 16 bytes named `ipv6_address` or `ipv6_addr`.
    Ipv6,
    /// `duration`, in nanoseconds.
    Duration,
    /// A number that a typedef says the meaning of.
    Meaning(Meaning),
    Array {
        element: Box<Layout>,
        length: usize,
    },
    Struct(Vec<Field>),
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
            Shape::Array { element, .. } => element.memory(),
            Shape::Struct(fields) => {
                fields.iter().map(|field| field.name.len() + size_of::<Field>() + field.layout.memory()).sum()
            }
            _ => 0,
        };
        size_of::<Self>() + parts
    }

    pub fn is_integer(&self) -> bool {
        matches!(self.shape, Shape::Unsigned | Shape::Signed | Shape::Duration) && self.size <= 8
    }

    /// The field of this name, if it is an integer.
    pub fn integer_field(&self, name: &str) -> Option<&Field> {
        let Shape::Struct(fields) = &self.shape else { return None };
        fields.iter().find(|field| field.name == name && field.layout.is_integer())
    }

    /// Where the numbers with this meaning are, in bytes from the beginning.
    pub fn places(&self, meaning: Meaning) -> Vec<usize> {
        let mut places = vec![];
        self.add_places(meaning, 0, &mut places);
        places
    }

    fn add_places(&self, meaning: Meaning, offset: usize, places: &mut Vec<usize>) {
        match &self.shape {
            Shape::Meaning(found) if *found == meaning => places.push(offset),
            Shape::Array { element, length } => {
                for index in 0..*length {
                    element.add_places(meaning, offset + index * element.size, places);
                }
            }
            Shape::Struct(fields) => {
                for field in fields.iter().filter(|field| field.bits.is_none()) {
                    field.layout.add_places(meaning, offset + field.offset / 8, places);
                }
            }
            _ => {}
        }
    }
}

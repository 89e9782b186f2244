//! Values for a probe's parameters, its global `const volatile` variables: `--param port=443`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::decode::btf::{Btf, TypeId};
use crate::decode::layout::{Layout, Shape};

/// The section of a probe's constants.
pub const SECTION: &str = ".rodata";

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub value: String,
}

/// The bytes of a value and where they go in the section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constant {
    pub offset: usize,
    pub bytes: Vec<u8>,
}

/// A text that sets no parameter.
#[derive(Debug, thiserror::Error)]
#[error("invalid parameter {0:?}: expected NAME=VALUE")]
pub struct Malformed(String);

/// Why a parameter can't be set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no probe has a parameter {name}; parameters: {known}")]
    Unknown { name: String, known: String },
    #[error("invalid value {value:?} for parameter {name}: expected {wanted}")]
    Value { name: String, value: String, wanted: String },
    #[error("the object has no address for parameter {0}: rebuild it with bee")]
    Place(String),
}

impl FromStr for Parameter {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (name, value) =
            text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(Malformed(text.to_owned()))?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// As it was written.
impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// Sees that some probe has each parameter.
///
/// # Errors
/// None has one of them; the error names those that there are.
pub fn check<'a>(probes: impl Iterator<Item = &'a Btf>, parameters: &[Parameter]) -> Result<(), Error> {
    let known: BTreeSet<&str> = probes.flat_map(names).collect();
    let unknown = parameters.iter().find(|parameter| !known.contains(parameter.name.as_str()));
    let Some(Parameter { name, .. }) = unknown else { return Ok(()) };
    let known = if known.is_empty() {
        "none (`const volatile` global variables are)".to_owned()
    } else {
        known.into_iter().collect::<Vec<_>>().join(", ")
    };
    Err(Error::Unknown { name: name.clone(), known })
}

fn names(btf: &Btf) -> Vec<&str> {
    btf.variables(SECTION).unwrap_or_default().into_iter().map(|(name, _)| name).collect()
}

/// What is to be written into a probe's section of constants, of those parameters that it has.
///
/// # Errors
/// A parameter takes no such value.
pub fn constants(btf: &Btf, parameters: &[Parameter]) -> Result<Vec<Constant>, Error> {
    let variables = btf.variables(SECTION).unwrap_or_default();
    let offsets = btf.offsets(SECTION);
    let mut constants = vec![];
    for Parameter { name, value } in parameters {
        let variable = variables.iter().find(|(variable, _)| variable == name);
        if let (Some((_, type_id)), Some(place)) = (variable, offsets.get(name.as_str())) {
            constants.push(constant(btf, (name, *type_id, *place), value, &offsets)?);
        }
    }
    Ok(constants)
}

fn constant(
    btf: &Btf,
    (name, type_id, offset): (&str, TypeId, u32),
    value: &str,
    offsets: &BTreeMap<&str, u32>,
) -> Result<Constant, Error> {
    // Compilers leave places to whoever links the object.
    if offsets.values().filter(|other| **other == offset).count() > 1 {
        return Err(Error::Place(name.to_owned()));
    }
    match bytes(btf, type_id, value) {
        Ok(bytes) => Ok(Constant { offset: offset as usize, bytes }),
        Err(wanted) => Err(Error::Value { name: name.to_owned(), value: value.to_owned(), wanted }),
    }
}

/// A value as its type has it, or what the type takes instead.
fn bytes(btf: &Btf, type_id: TypeId, value: &str) -> Result<Vec<u8>, String> {
    let layout = Layout::from_btf(btf, type_id).map_err(|error| error.to_string())?;
    encode(&layout, value).ok_or_else(|| describe(&layout))
}

fn encode(layout: &Layout, value: &str) -> Option<Vec<u8>> {
    let size = layout.size;
    match &layout.shape {
        Shape::Unsigned | Shape::Signed | Shape::Duration => integer(value, size, layout.shape == Shape::Signed),
        Shape::BigEndian => integer(value, size, false).map(|bytes| bytes.into_iter().rev().collect()),
        Shape::Bool => match value {
            "true" | "1" => Some(vec![1]),
            "false" | "0" => Some(vec![0]),
            _ => None,
        },
        Shape::Enum { signed, names } => match names.iter().find(|(name, _)| name == value) {
            Some((_, number)) => Some(number.to_le_bytes().get(..size)?.to_vec()),
            None => integer(value, size, *signed),
        },
        Shape::Ipv4 => Some(value.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
        Shape::Ipv6 => Some(value.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
        // With room for the zero that ends it.
        Shape::Text | Shape::TextOrBytes if value.len() < size => {
            let mut bytes = value.as_bytes().to_vec();
            bytes.resize(size, 0);
            Some(bytes)
        }
        _ => None,
    }
}

/// Decimal, or hexadecimal after `0x`; only if it fits.
fn integer(text: &str, size: usize, signed: bool) -> Option<Vec<u8>> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok()?,
        None => text.parse::<i128>().ok()?,
    };
    let bits = u32::try_from(size.checked_mul(8)?).ok().filter(|bits| *bits <= 64)?;
    let range = if signed { -(1i128 << (bits - 1))..1 << (bits - 1) } else { 0..1i128 << bits };
    range.contains(&number).then(|| number.to_le_bytes()[..size].to_vec())
}

fn describe(layout: &Layout) -> String {
    match &layout.shape {
        Shape::Unsigned | Shape::Duration | Shape::BigEndian => {
            format!("an unsigned number of {} bits", layout.size * 8)
        }
        Shape::Signed => format!("a number of {} bits", layout.size * 8),
        Shape::Bool => "true or false".to_owned(),
        Shape::Enum { names, .. } => {
            format!("one of {}", names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "))
        }
        Shape::Ipv4 | Shape::Ipv6 => "an address".to_owned(),
        Shape::Text | Shape::TextOrBytes => format!("text of at most {} bytes", layout.size.saturating_sub(1)),
        _ => "of a kind that bee can't set".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(size: usize, shape: Shape, value: &str) -> Option<Vec<u8>> {
        encode(&Layout { size, shape }, value)
    }

    #[test]
    fn values_are_written_as_their_types_want_them() {
        assert_eq!(encoded(2, Shape::Unsigned, "443"), Some(vec![0xbb, 1]));
        assert_eq!(encoded(2, Shape::BigEndian, "443"), Some(vec![1, 0xbb]));
        assert_eq!(encoded(4, Shape::Signed, "-2"), Some(vec![0xfe, 0xff, 0xff, 0xff]));
        assert_eq!(encoded(8, Shape::Unsigned, "0x10"), Some(vec![16, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(encoded(1, Shape::Bool, "true"), Some(vec![1]));
        assert_eq!(encoded(4, Shape::Ipv4, "10.0.0.1"), Some(vec![10, 0, 0, 1]));
        assert_eq!(encoded(4, Shape::Text, "abc"), Some(b"abc\0".to_vec()));
        let names = [("TCP".to_owned(), 6)].into();
        assert_eq!(encoded(4, Shape::Enum { signed: false, names }, "TCP"), Some(vec![6, 0, 0, 0]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (size, shape, value) in [
            (2, Shape::Unsigned, "65536"),
            (2, Shape::Unsigned, "-1"),
            (1, Shape::Signed, "128"),
            (8, Shape::Unsigned, "many"),
            (1, Shape::Bool, "yes"),
            (4, Shape::Ipv4, "10.0.0"),
            (4, Shape::Text, "abcd"),
            (16, Shape::Unsigned, "1"),
            (8, Shape::Pointer, "1"),
        ] {
            assert_eq!(encoded(size, shape.clone(), value), None, "{shape:?} {value}");
        }
    }
}

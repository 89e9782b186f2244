//! A value as somebody types it, as the bytes of its type: `5ms` of a duration, `TCP_CLOSE` of an enumeration, `1,2,3` of an array.

use std::net::{Ipv4Addr, Ipv6Addr};

use nix::sys::signal::Signal;

use crate::decode::host;
use crate::decode::layout::{Layout, Shape};
use crate::decode::number::Number;
use crate::decode::typedefs::{Meaning, error_number};

/// `None` if the type has no such value.
pub fn encode(layout: &Layout, text: &str) -> Option<Vec<u8>> {
    let size = layout.size;
    match &layout.shape {
        Shape::Unsigned | Shape::Pointer => integer(text, size, false),
        Shape::Signed => integer(text, size, true),
        Shape::BigEndian => integer(text, size, false).map(|bytes| bytes.into_iter().rev().collect()),
        Shape::Duration => nanoseconds(text, size),
        Shape::Bool => match text {
            "true" | "1" => Some(vec![1]),
            "false" | "0" => Some(vec![0]),
            _ => None,
        },
        Shape::Enum { signed, names } => enumeration(text, size, *signed, names),
        Shape::Meaning(meaning) => with_meaning(*meaning, text, size),
        Shape::Ipv4 => Some(text.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
        Shape::Ipv6 => Some(text.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
        // With room for the zero that ends it.
        Shape::Text | Shape::TextOrBytes if text.len() < size => Some(filled(text.as_bytes().to_vec(), size)),
        Shape::Bytes => hexadecimal(text, size).or_else(|| list(text, size, &BYTE, size)),
        Shape::Array { element, length } => list(text, *length, element, size),
        _ => None,
    }
}

/// What a type takes, as it reads on from "expected".
pub fn describe(layout: &Layout) -> String {
    match &layout.shape {
        Shape::Unsigned | Shape::Pointer | Shape::BigEndian => range(layout.size, false),
        Shape::Signed => range(layout.size, true),
        Shape::Duration => "a time, as in 5ms, or a number of nanoseconds".to_owned(),
        Shape::Bool => "true or false".to_owned(),
        Shape::Enum { names, .. } => {
            format!("one of {}, or its number", joined(names.iter().map(|(name, _)| name.as_str())))
        }
        Shape::Meaning(meaning) => describe_meaning(*meaning).to_owned(),
        Shape::Ipv4 => "an IPv4 address".to_owned(),
        Shape::Ipv6 => "an IPv6 address".to_owned(),
        Shape::Text | Shape::TextOrBytes => format!("text of at most {} bytes", layout.size.saturating_sub(1)),
        Shape::Bytes => format!("{} hexadecimal digits, or at most {} numbers as in 1,2", 2 * layout.size, layout.size),
        Shape::Array { element, length } => format!("at most {length} values as in A,B, each {}", describe(element)),
        Shape::Struct(fields) => {
            format!(
                "one of its fields, as in NAME.FIELD=VALUE: {}",
                joined(fields.iter().map(|field| field.name.as_str()))
            )
        }
        Shape::IpByFamily(_) | Shape::Socket(_) | Shape::Rest(_) | Shape::Stack(_) => {
            "a type that bee can set".to_owned()
        }
        Shape::Float => "another type: BPF has no floating-point numbers".to_owned(),
    }
}

/// As many names as somebody reads.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let names: Vec<_> = names.take(MOST + 1).collect();
    let more = if names.len() > MOST { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(MOST)].join(", "))
}

const BYTE: Layout = Layout { size: 1, shape: Shape::Unsigned };

/// Decimal, or hexadecimal after `0x`; only if it fits.
fn integer(text: &str, size: usize, signed: bool) -> Option<Vec<u8>> {
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let magnitude = match digits.strip_prefix("0x") {
        _ if digits.contains('+') => return None,
        Some(digits) => u128::from_str_radix(digits, 16).ok()?,
        None => digits.parse::<u128>().ok()?,
    };
    let (lowest, highest) = bounds(size, signed)?;
    let number = if is_negative { magnitude.wrapping_neg() } else { magnitude };
    let fits = magnitude <= if is_negative { lowest } else { highest };
    fits.then(|| number.to_le_bytes()[..size].to_vec())
}

/// How far below zero an integer may be, and how far above.
fn bounds(size: usize, signed: bool) -> Option<(u128, u128)> {
    let bits = u32::try_from(size * 8).ok().filter(|bits| (1..=128).contains(bits))?;
    Some(if signed { (1 << (bits - 1), (1 << (bits - 1)) - 1) } else { (0, u128::MAX >> (128 - bits)) })
}

fn range(size: usize, signed: bool) -> String {
    match bounds(size, signed) {
        Some((0, highest)) => format!("a number from 0 to {highest}"),
        Some((lowest, highest)) => format!("a number from -{lowest} to {highest}"),
        None => "a number".to_owned(),
    }
}

/// A name or a number, or several joined by `|`, as an enumeration of bits is shown.
fn enumeration(text: &str, size: usize, signed: bool, names: &[(String, i64)]) -> Option<Vec<u8>> {
    let mut all = vec![0; size];
    for part in text.split('|') {
        let bytes = match names.iter().find(|(name, _)| name == part) {
            Some((_, number)) => number.to_le_bytes().get(..size)?.to_vec(),
            None => integer(part, size, signed)?,
        };
        all.iter_mut().zip(bytes).for_each(|(all, bits)| *all |= bits);
    }
    Some(all)
}

fn nanoseconds(text: &str, size: usize) -> Option<Vec<u8>> {
    integer(&Number::parse_time(text)?.whole()?.to_string(), size, false)
}

fn with_meaning(meaning: Meaning, text: &str, size: usize) -> Option<Vec<u8>> {
    let named = match meaning {
        Meaning::Mac => return mac(text),
        Meaning::Port => return Some(text.parse::<u16>().ok()?.to_be_bytes().to_vec()),
        Meaning::Time => return nanoseconds(text, size),
        Meaning::KernelAddress | Meaning::UserAddress | Meaning::StackId => return integer(text, size, false),
        Meaning::Error => error_number(text).map(i128::from),
        Meaning::Signal => text.parse::<Signal>().ok().map(|signal| signal as i128),
        Meaning::SystemCall => host::system_call_number(text),
    };
    match named {
        Some(number) => Some(number.to_le_bytes().get(..size)?.to_vec()),
        None => integer(text, size, true),
    }
}

fn describe_meaning(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Mac => "an Ethernet address, as in 52:54:00:12:34:56",
        Meaning::Port => "a port from 0 to 65535",
        Meaning::Time => "nanoseconds since the machine was started, or a time since then as in 5s",
        Meaning::KernelAddress | Meaning::UserAddress => "an address, as in 0xffffffff81000000",
        Meaning::StackId => "the number of a stack",
        Meaning::Error => "the name or number of an error, as in ENOENT",
        Meaning::Signal => "the name or number of a signal, as in SIGKILL",
        Meaning::SystemCall => "the name or number of a system call, as in openat",
    }
}

fn mac(text: &str) -> Option<Vec<u8>> {
    let bytes = text.split(':').map(|byte| hexadecimal(byte, 1)).collect::<Option<Vec<_>>>()?;
    (bytes.len() == 6).then(|| bytes.concat())
}

/// Two digits for each byte.
fn hexadecimal(text: &str, size: usize) -> Option<Vec<u8>> {
    let is_hexadecimal = text.len() == 2 * size && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hexadecimal {
        return None;
    }
    (0..size).map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()).collect()
}

/// As C initialises an array: what is not said is zero.
fn list(text: &str, length: usize, element: &Layout, size: usize) -> Option<Vec<u8>> {
    let values: Vec<_> = text.split(',').take(length + 1).collect();
    if values.len() > length {
        return None;
    }
    let values = values.iter().map(|value| encode(element, value.trim())).collect::<Option<Vec<_>>>()?;
    Some(filled(values.concat(), size))
}

fn filled(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    bytes.resize(size, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(size: usize, shape: Shape, value: &str) -> Option<Vec<u8>> {
        encode(&Layout { size, shape }, value)
    }

    fn array(element: Layout, length: usize) -> Shape {
        Shape::Array { element: Box::new(element), length }
    }

    fn states() -> Shape {
        Shape::Enum { signed: true, names: [("TCP".to_owned(), 6), ("NONE".to_owned(), -1)].into() }
    }

    #[test]
    fn values_are_written_as_their_types_want_them() {
        let number = |size| Layout { size, shape: Shape::Unsigned };
        let text = Layout { size: 2, shape: Shape::Text };
        let meaning = Shape::Meaning;
        for (size, shape, value, bytes) in [
            (2, Shape::Unsigned, "443", vec![0xbb, 1]),
            (4, Shape::Signed, "-2", vec![0xfe, 0xff, 0xff, 0xff]),
            (2, Shape::Signed, "-32768", vec![0, 0x80]),
            (8, Shape::Unsigned, "0x10", vec![16, 0, 0, 0, 0, 0, 0, 0]),
            (8, Shape::Unsigned, "18446744073709551615", vec![0xff; 8]),
            (16, Shape::Unsigned, "340282366920938463463374607431768211455", vec![0xff; 16]),
            (16, Shape::Signed, "-1", vec![0xff; 16]),
            (1, Shape::Bool, "true", vec![1]),
            (4, Shape::Ipv4, "10.0.0.1", vec![10, 0, 0, 1]),
            (4, Shape::Text, "abc", b"abc\0".to_vec()),
            (4, states(), "TCP", vec![6, 0, 0, 0]),
            (4, states(), "NONE", vec![0xff; 4]),
            (4, states(), "7", vec![7, 0, 0, 0]),
            (4, states(), "TCP|1", vec![7, 0, 0, 0]),
            (8, Shape::Duration, "5ms", 5_000_000u64.to_le_bytes().to_vec()),
            (8, Shape::Duration, "1.5us", 1500u64.to_le_bytes().to_vec()),
            (8, Shape::Duration, "7", 7u64.to_le_bytes().to_vec()),
            (8, array(number(2), 4), "1, 2,3", vec![1, 0, 2, 0, 3, 0, 0, 0]),
            (4, array(text, 2), "a,b", b"a\0b\0".to_vec()),
            (3, Shape::Bytes, "0a0b0c", vec![10, 11, 12]),
            (3, Shape::Bytes, "10,11", vec![10, 11, 0]),
            (1, Shape::Bytes, "0x10", vec![16]),
            (2, meaning(Meaning::Port), "443", vec![1, 0xbb]),
            (4, Shape::BigEndian, "1", vec![0, 0, 0, 1]),
            (6, meaning(Meaning::Mac), "52:54:00:12:34:56", vec![0x52, 0x54, 0, 0x12, 0x34, 0x56]),
            (4, meaning(Meaning::Error), "ENOENT", vec![2, 0, 0, 0]),
            (4, meaning(Meaning::Signal), "SIGKILL", vec![9, 0, 0, 0]),
            (4, meaning(Meaning::SystemCall), "3", vec![3, 0, 0, 0]),
            (8, Shape::Pointer, "0xffffffff81000000", 0xffff_ffff_8100_0000u64.to_le_bytes().to_vec()),
        ] {
            assert_eq!(encoded(size, shape.clone(), value), Some(bytes), "{shape:?} {value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let number = Layout { size: 1, shape: Shape::Unsigned };
        for (size, shape, value) in [
            (2, Shape::Unsigned, "65536"),
            (2, Shape::Unsigned, "-1"),
            (1, Shape::Signed, "128"),
            (1, Shape::Signed, "-129"),
            (8, Shape::Unsigned, "18446744073709551616"),
            (8, Shape::Unsigned, "many"),
            (8, Shape::Signed, "-+1"),
            (8, Shape::Unsigned, ""),
            (1, Shape::Bool, "yes"),
            (4, Shape::Ipv4, "10.0.0"),
            (4, Shape::Text, "abcd"),
            (4, states(), "UDP"),
            (4, states(), "TCP|"),
            (8, Shape::Duration, "-5ms"),
            (8, Shape::Duration, "0.5ns"),
            (8, Shape::Duration, "5 years"),
            (2, array(number.clone(), 2), "1,2,3"),
            (2, array(number.clone(), 2), "1,256"),
            (2, array(number, 2), "1,,2"),
            (2, Shape::Bytes, "0a0b0c"),
            (2, Shape::Meaning(Meaning::Port), "65536"),
            (6, Shape::Meaning(Meaning::Mac), "52:54:00:12:34"),
            (8, Shape::Float, "1"),
            (8, Shape::Struct(vec![]), "1"),
        ] {
            assert_eq!(encoded(size, shape.clone(), value), None, "{shape:?} {value}");
        }
    }

    #[test]
    fn ranges_are_told() {
        let told = |size, shape| describe(&Layout { size, shape });
        assert_eq!(told(2, Shape::Signed), "a number from -32768 to 32767");
        assert_eq!(told(1, Shape::Unsigned), "a number from 0 to 255");
        assert_eq!(told(4, states()), "one of TCP, NONE, or its number");
    }
}

//! From bytes to values, by a [`Layout`]: JSON for logs, text for metrics.

pub mod architecture;
pub mod btf;
pub(crate) mod bucket_key;
pub mod canonical;
mod comparand;
pub mod filter;
pub mod histogram;
pub(crate) mod host;
mod kallsyms;
pub mod labels;
pub mod layout;
mod number;
mod scalar;
mod type_reader;
pub mod typedefs;

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::decode::layout::{Field, Layout, Shape};
use crate::decode::scalar::{bits, float_value, signed, unsigned};

pub(crate) use scalar::{float, number};

/// A record is shorter than its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of {got} bytes where its type has {wanted}")]
pub struct TooShort {
    pub got: usize,
    pub wanted: usize,
}

/// A record as JSON; what lies behind its type's size is left alone.
pub fn decode(layout: &Layout, bytes: &[u8]) -> Result<Value, TooShort> {
    let record = bytes.get(..layout.size).ok_or(TooShort { got: bytes.len(), wanted: layout.size })?;
    Ok(value(layout, record, 0, None))
}

/// One value that is no struct and no array, as text. Those that most keys are made of take the short way.
pub(crate) fn write(text: &mut String, layout: &Layout, record: &[u8], offset: usize, width: Option<usize>) {
    let bit_count = width.unwrap_or(layout.size * 8);
    // Writing to a String does not fail.
    let _ = match &layout.shape {
        Shape::Unsigned if layout.size <= 8 => write!(text, "{}", raw(record, offset, bit_count) as u64),
        Shape::Ipv4 => write!(text, "{}", ipv4(record, offset, bit_count)),
        Shape::Text => text.write_str(&self::text(slice(layout, record, offset))),
        _ => match value(layout, record, offset, width) {
            Value::String(shown) => text.write_str(&shown),
            other => write!(text, "{other}"),
        },
    };
}

/// The integer of a metric's value.
pub fn integer(layout: &Layout, bytes: &[u8]) -> Option<i128> {
    integer_at(layout, bytes, 0, None)
}

/// The integer in a record, at an offset in bits, which may be a bit field.
pub(crate) fn integer_at(layout: &Layout, record: &[u8], offset: usize, width: Option<usize>) -> Option<i128> {
    let width = width.unwrap_or(layout.size.checked_mul(8)?);
    let raw = bits(record, offset, width)?;
    Some(if layout.shape == Shape::Signed { signed(raw, width) } else { raw as i128 })
}

fn value(layout: &Layout, record: &[u8], offset: usize, width: Option<usize>) -> Value {
    let width = width.unwrap_or(layout.size * 8);
    let bytes = slice(layout, record, offset);
    match &layout.shape {
        Shape::Unsigned => unsigned(raw(record, offset, width)),
        Shape::Signed => number(signed(raw(record, offset, width), width)),
        Shape::Bool => Value::Bool(raw(record, offset, width) != 0),
        Shape::Float => float_value(bytes),
        Shape::Pointer => Value::String(format!("{:#x}", raw(record, offset, width))),
        Shape::Enum { signed: is_signed, names } => enumeration(raw(record, offset, width), width, *is_signed, names),
        Shape::Text => Value::String(text(bytes)),
        Shape::TextOrBytes if is_text(bytes) => Value::String(text(bytes)),
        Shape::Bytes | Shape::TextOrBytes => Value::String(hex(bytes)),
        Shape::Ipv4 => Value::String(ipv4(record, offset, width).to_string()),
        Shape::Ipv6 => Value::String(
            <[u8; 16]>::try_from(bytes).map(Ipv6Addr::from).map(|address| address.to_string()).unwrap_or_default(),
        ),
        Shape::Duration => Value::String(format!("{:?}", Duration::from_nanos(raw(record, offset, width) as u64))),
        Shape::Meaning(meaning) => meaning.show(raw(record, offset, width) as u64),
        Shape::Array { element, length } => {
            (0..*length).map(|index| value(element, record, offset + index * element.size * 8, None)).collect()
        }
        Shape::Struct(fields) => {
            Value::Object(fields.iter().map(|field| named(field, record, offset)).collect::<Map<_, _>>())
        }
    }
}

/// A field of the struct that begins at `offset`, and its name.
fn named(field: &Field, record: &[u8], offset: usize) -> (String, Value) {
    (field.name.clone(), value(&field.layout, record, offset + field.offset, field.bits))
}

/// The bytes of a value, none of one that ends behind the record.
#[inline]
fn slice<'a>(layout: &Layout, record: &'a [u8], offset: usize) -> &'a [u8] {
    record.get(offset / 8..offset / 8 + layout.size).unwrap_or_default()
}

#[inline]
fn ipv4(record: &[u8], offset: usize, width: usize) -> Ipv4Addr {
    Ipv4Addr::from((raw(record, offset, width) as u32).to_ne_bytes())
}

/// The bits of a value, zero for one that ends behind the record.
#[inline]
fn raw(record: &[u8], offset: usize, width: usize) -> u128 {
    bits(record, offset, width).unwrap_or(0)
}

/// Compilers before clang 15 mark no enumeration as signed and cut values to 32 bits: names are looked up both ways.
fn enumeration(raw: u128, width: usize, is_signed: bool, names: &[(String, i64)]) -> Value {
    let as_signed = signed(raw, width);
    let known = names.iter().find(|(_, value)| i128::from(*value) == as_signed || i128::from(*value) == raw as i128);
    match known {
        Some((name, _)) => Value::String(name.clone()),
        None if is_signed => number(as_signed),
        None => unsigned(raw),
    }
}

/// What is no UTF-8 is shown byte by byte, as in `\xf0`: texts that differ are shown differently.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in before_zero(bytes).utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Whether all of it can be shown as text: printable, and nothing behind its end.
fn is_text(bytes: &[u8]) -> bool {
    let shown = before_zero(bytes);
    let is_printable = std::str::from_utf8(shown).is_ok_and(|text| !text.contains(char::is_control));
    is_printable && bytes[shown.len()..].iter().all(|byte| *byte == 0)
}

fn before_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain(size: usize, shape: Shape) -> Layout {
        Layout { size, shape }
    }

    fn field(name: &str, byte: usize, layout: Layout) -> Field {
        Field { name: name.into(), offset: byte * 8, bits: None, layout }
    }

    #[test]
    fn padding_does_not_shift_what_follows() {
        let layout = plain(
            16,
            Shape::Struct(vec![field("a", 0, plain(4, Shape::Unsigned)), field("b", 8, plain(8, Shape::Unsigned))]),
        );
        let mut bytes = [0xaa; 16];
        bytes[..4].copy_from_slice(&1u32.to_le_bytes());
        bytes[8..].copy_from_slice(&42u64.to_le_bytes());
        assert_eq!(decode(&layout, &bytes), Ok(json!({"a": 1, "b": 42})));
    }

    #[test]
    fn text_ends_at_its_zero_or_at_its_length_and_need_not_be_utf8() {
        let text = |bytes: &[u8]| decode(&plain(bytes.len(), Shape::Text), bytes).unwrap();
        assert_eq!(text(b"ab\0d"), "ab");
        assert_eq!(text(b"ABCD"), "ABCD");
        assert_eq!(text(&[0x80, b'a', 0]), "\\x80a");
    }

    #[test]
    fn unsigned_characters_are_text_where_they_are_nothing_else() {
        let shown = |bytes: &[u8]| decode(&plain(bytes.len(), Shape::TextOrBytes), bytes).unwrap();
        assert_eq!(shown(b"curl\0\0"), "curl");
        assert_eq!(shown(&[0, 0x16, 0, 0, 0, 1]), "001600000001");
        assert_eq!(shown(&[0xf0, b'x', 0]), "f07800");
        assert_eq!(shown(b"a\0b"), "610062");
    }

    #[test]
    fn addresses_durations_and_enumerations_show_what_they_mean() {
        assert_eq!(decode(&plain(4, Shape::Ipv4), &[10, 101, 0, 2]), Ok(json!("10.101.0.2")));
        let mut loopback = [0; 16];
        loopback[15] = 1;
        assert_eq!(decode(&plain(16, Shape::Ipv6), &loopback), Ok(json!("::1")));
        assert_eq!(decode(&plain(8, Shape::Duration), &1_500_000u64.to_le_bytes()), Ok(json!("1.5ms")));
        let states = Shape::Enum { signed: false, names: [("TCP_CLOSE".into(), 7), ("ERROR".into(), -1)].into() };
        assert_eq!(decode(&plain(4, states.clone()), &7u32.to_le_bytes()), Ok(json!("TCP_CLOSE")));
        assert_eq!(decode(&plain(4, states.clone()), &(-1i32).to_le_bytes()), Ok(json!("ERROR")));
        assert_eq!(decode(&plain(4, states), &9u32.to_le_bytes()), Ok(json!(9)));
    }

    #[test]
    fn bit_fields_and_signs_are_read() {
        let bit = |name: &str, offset, bits, shape| Field {
            name: name.into(),
            offset,
            bits: Some(bits),
            layout: plain(4, shape),
        };
        let fields = vec![bit("low", 0, 3, Shape::Unsigned), bit("high", 3, 5, Shape::Signed)];
        assert_eq!(
            decode(&plain(4, Shape::Struct(fields)), &[0b1111_1101, 0, 0, 0]),
            Ok(json!({"low": 5, "high": -1}))
        );
    }

    #[test]
    fn booleans_take_their_byte() {
        let layout = plain(
            2,
            Shape::Struct(vec![field("flag", 0, plain(1, Shape::Bool)), field("code", 1, plain(1, Shape::Unsigned))]),
        );
        assert_eq!(decode(&layout, &[1, 42]), Ok(json!({"flag": true, "code": 42})));
    }

    #[test]
    fn a_record_that_is_too_short_is_refused() {
        assert_eq!(decode(&plain(8, Shape::Unsigned), &[1, 2]), Err(TooShort { got: 2, wanted: 8 }));
    }
}

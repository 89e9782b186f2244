//! From bytes to values, by a [`Layout`]: JSON for logs, text for metrics.

mod address;
mod address_union;
pub mod architecture;
pub mod btf;
pub(crate) mod bucket_key;
pub mod canonical;
mod characters;
mod comparand;
mod enumeration;
pub mod filter;
pub mod histogram;
pub(crate) mod host;
mod kallsyms;
pub mod labels;
pub mod layout;
pub(crate) mod number;
#[cfg(test)]
mod random_records;
mod scalar;
pub(crate) mod stack_fields;
pub(crate) mod stacks;
mod text;
mod type_reader;
pub mod typedefs;
pub(crate) mod user_symbols;

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::decode::enumeration::Widths;
use crate::decode::layout::{Layout, Shape};
use crate::decode::scalar::{big_endian, bits, float_value, signed, unsigned};
use crate::decode::text::{hex, is_text};

pub(crate) use scalar::{float, number};

/// A record is so much shorter than its type that it has no value of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of {got} bytes where its type has {wanted}")]
pub struct TooShort {
    pub got: usize,
    pub wanted: usize,
}

/// A record as JSON; what lies behind its type's size is left alone. One that is shorter than its type has the fields that are wholly in
/// it, and of texts and arrays what there is.
pub fn decode(layout: &Layout, bytes: &[u8]) -> Result<Value, TooShort> {
    let shown = value(layout, layout.known(bytes), 0, None);
    shown.ok_or(TooShort { got: bytes.len(), wanted: layout.size })
}

/// One value that is no struct and no array, as text; nothing of one that the record has not. Those that most keys are made of take the
/// short way.
pub(crate) fn write(text: &mut String, layout: &Layout, record: &[u8], offset: usize, width: Option<usize>) {
    let bit_count = width.unwrap_or(layout.size * 8);
    // Writing to a String does not fail.
    let _ = match &layout.shape {
        Shape::Unsigned if layout.size <= 8 => match bits(record, offset, bit_count) {
            Some(number) => write!(text, "{}", number as u64),
            None => Ok(()),
        },
        Shape::Ipv4 => match ipv4(record, offset, bit_count) {
            Some(address) => write!(text, "{address}"),
            None => Ok(()),
        },
        Shape::Stack(stack) => text.write_str(&stack.text(record, offset / 8)),
        Shape::Text => text.write_str(&self::text::text(piece(layout, record, offset).unwrap_or_default())),
        _ => match value(layout, record, offset, width) {
            Some(Value::String(shown)) => text.write_str(&shown),
            // An array that has what the record holds, which is nothing.
            Some(Value::Array(values)) if values.is_empty() => Ok(()),
            Some(other) => write!(text, "{other}"),
            None => Ok(()),
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
    Some(match layout.shape {
        Shape::Signed => signed(raw, width),
        Shape::BigEndian => big_endian(raw, layout.size) as i128,
        _ => raw as i128,
    })
}

/// Nothing of what the record has not.
fn value(layout: &Layout, record: &[u8], offset: usize, width: Option<usize>) -> Option<Value> {
    let Layout { size, shape } = layout;
    let width = width.unwrap_or(size * 8);
    Some(match shape {
        Shape::Unsigned => unsigned(bits(record, offset, width)?),
        Shape::Signed => number(signed(bits(record, offset, width)?, width)),
        Shape::Bool => Value::Bool(bits(record, offset, width)? != 0),
        Shape::Float => float_value(whole(layout, record, offset)?),
        Shape::Pointer => Value::String(format!("{:#x}", bits(record, offset, width)?)),
        Shape::BigEndian => unsigned(big_endian(bits(record, offset, width)?, *size)),
        Shape::Enum { signed, names } => {
            let widths = Widths { value: width, type_: size * 8 };
            enumeration::show(bits(record, offset, width)?, widths, *signed, names)
        }
        Shape::Text => Value::String(text::text(piece(layout, record, offset)?)),
        Shape::TextOrBytes | Shape::Bytes => {
            let bytes = piece(layout, record, offset)?;
            let is_text = *shape == Shape::TextOrBytes && is_text(bytes);
            Value::String(if is_text { text::text(bytes) } else { hex(bytes) })
        }
        Shape::Ipv4 => Value::String(ipv4(record, offset, width)?.to_string()),
        Shape::Ipv6 => {
            let bytes = <[u8; 16]>::try_from(whole(layout, record, offset)?).ok()?;
            Value::String(Ipv6Addr::from(bytes).to_string())
        }
        Shape::IpByFamily(family) => Value::String(family.show(record, offset)?),
        Shape::Socket(socket) => Value::String(socket.show(whole(layout, record, offset)?)?),
        Shape::Duration => Value::String(format!("{:?}", Duration::from_nanos(bits(record, offset, width)? as u64))),
        Shape::Stack(_) if offset / 8 >= record.len() => return None,
        Shape::Stack(stack) => stack.show(record, offset / 8),
        Shape::Meaning(meaning) => meaning.show(bits(record, offset, width)? as u64),
        Shape::Array { .. } | Shape::Struct(_) => return several(layout, record, offset),
        Shape::Rest(rest) => {
            let bytes = record.len().checked_sub(offset / 8)?;
            return value(&rest.filled(bytes), record, offset, None);
        }
    })
}

/// The elements or fields that the record has. None of them is nothing, unless the type has none.
fn several(layout: &Layout, record: &[u8], offset: usize) -> Option<Value> {
    let is_begun = offset / 8 <= record.len();
    match &layout.shape {
        Shape::Array { element, length } => {
            let mut values = vec![];
            for index in 0..*length {
                let Some(value) = value(element, record, offset + index * element.size * 8, None) else { break };
                values.push(value);
            }
            (is_begun && (*length == 0 || !values.is_empty())).then_some(Value::Array(values))
        }
        Shape::Struct(fields) => {
            let mut values = Map::new();
            for field in fields {
                if let Some(value) = value(&field.layout, record, offset + field.offset, field.bits) {
                    values.insert(field.name.clone(), value);
                }
            }
            (is_begun && (fields.is_empty() || !values.is_empty())).then_some(Value::Object(values))
        }
        _ => None,
    }
}

/// The bytes of a value.
#[inline]
fn whole<'a>(layout: &Layout, record: &'a [u8], offset: usize) -> Option<&'a [u8]> {
    record.get(offset / 8..offset / 8 + layout.size)
}

/// The bytes of a text, as far as the record has them.
#[inline]
fn piece<'a>(layout: &Layout, record: &'a [u8], offset: usize) -> Option<&'a [u8]> {
    let rest = record.get(offset / 8..)?;
    let bytes = &rest[..rest.len().min(layout.size)];
    (layout.size == 0 || !bytes.is_empty()).then_some(bytes)
}

#[inline]
fn ipv4(record: &[u8], offset: usize, width: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from((bits(record, offset, width)? as u32).to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::layout::Field;
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

    fn execution() -> Layout {
        let pair = vec![field("a", 0, plain(1, Shape::Unsigned)), field("b", 2, plain(2, Shape::Unsigned))];
        let pairs = Shape::Array { element: Box::new(plain(4, Shape::Struct(pair))), length: 2 };
        plain(
            32,
            Shape::Struct(vec![
                field("pid", 0, plain(4, Shape::Unsigned)),
                field("pairs", 4, plain(8, pairs)),
                field("code", 12, plain(4, Shape::Ipv4)),
                field("raw", 16, plain(4, Shape::Bytes)),
                field("args", 20, plain(12, Shape::Text)),
            ]),
        )
    }

    #[test]
    fn a_record_shorter_than_its_type_is_shown_as_far_as_it_goes() {
        let bytes = *b"\x01\0\0\0\x02\0\x03\0\x04\0\x05\0\x0a\0\0\x01\xab\xcd\xef\x01ls -l\0other\0";
        let first = json!({"a": 2, "b": 3});
        let both = json!([first, {"a": 4, "b": 5}]);
        let shown = |length: usize| decode(&execution(), &bytes[..length]);
        for length in 0..4 {
            assert_eq!(shown(length), Err(TooShort { got: length, wanted: 32 }));
        }
        for (length, expected) in [
            (4, json!({"pid": 1})),
            (5, json!({"pid": 1, "pairs": [{"a": 2}]})),
            (8, json!({"pid": 1, "pairs": [first]})),
            (11, json!({"pid": 1, "pairs": [first, {"a": 4}]})),
            (15, json!({"pid": 1, "pairs": both})),
            (16, json!({"pid": 1, "pairs": both, "code": "10.0.0.1"})),
            (18, json!({"pid": 1, "pairs": both, "code": "10.0.0.1", "raw": "abcd"})),
            (23, json!({"pid": 1, "pairs": both, "code": "10.0.0.1", "raw": "abcdef01", "args": "ls "})),
            (32, json!({"pid": 1, "pairs": both, "code": "10.0.0.1", "raw": "abcdef01", "args": "ls -l"})),
        ] {
            assert_eq!(shown(length), Ok(expected), "{length}");
        }
    }

    #[test]
    fn an_array_at_the_end_has_what_the_record_holds() {
        let open = |size: usize, rest: Layout| {
            let fields = vec![field("n", 0, plain(4, Shape::Unsigned)), field("rest", 4, rest)];
            plain(size, Shape::Struct(fields)).opened()
        };
        let shown = |layout: &Layout, bytes: &[u8]| decode(layout, bytes).unwrap();
        let text = open(4, plain(0, Shape::Text));
        assert_eq!(shown(&text, b"\x01\0\0\0curl\0more"), json!({"n": 1, "rest": "curl"}));
        assert_eq!(shown(&text, b"\x01\0\0\0"), json!({"n": 1, "rest": ""}));
        let bytes = open(4, plain(0, Shape::Bytes));
        assert_eq!(shown(&bytes, b"\x01\0\0\0\0\x02"), json!({"n": 1, "rest": "0002"}));
        let element = Box::new(plain(2, Shape::Unsigned));
        let numbers = open(8, plain(0, Shape::Array { element, length: 0 }));
        // The type's padding is the array's place.
        for (length, expected) in
            [(4, json!([])), (5, json!([])), (6, json!([7])), (9, json!([7, 8])), (10, json!([7, 8, 9]))]
        {
            let bytes = b"\x01\0\0\0\x07\0\x08\0\x09\0";
            assert_eq!(shown(&numbers, &bytes[..length]), json!({"n": 1, "rest": expected}), "{length}");
        }
        assert!(decode(&numbers, &[1, 0]).is_err());
        let element = Box::new(plain(8, Shape::Unsigned));
        let many = open(8, plain(0, Shape::Array { element, length: 0 }));
        let shown = shown(&many, &vec![0; 1 << 20]);
        assert_eq!(shown["rest"].as_array().map(Vec::len), Some(1 << 14), "of somebody's recording");
    }

    #[test]
    fn an_array_of_no_length_that_is_not_the_last_holds_nothing() {
        let fields = vec![field("begin", 0, plain(0, Shape::Bytes)), field("n", 0, plain(4, Shape::Unsigned))];
        let layout = plain(4, Shape::Struct(fields)).opened();
        assert!(!layout.is_open());
        assert_eq!(decode(&layout, &[1, 0, 0, 0]), Ok(json!({"begin": "", "n": 1})));
    }

    #[test]
    fn what_has_no_fields_is_there_without_a_byte() {
        assert_eq!(decode(&plain(0, Shape::Struct(vec![])), &[]), Ok(json!({})));
        assert_eq!(decode(&plain(8, Shape::Unsigned), &[1, 2]), Err(TooShort { got: 2, wanted: 8 }));
    }

    #[test]
    fn numbers_in_network_order_are_read_so() {
        assert_eq!(decode(&plain(2, Shape::BigEndian), &[1, 0xbb]), Ok(json!(443)));
        assert_eq!(decode(&plain(8, Shape::BigEndian), &[0, 0, 0, 0, 0, 0, 1, 2]), Ok(json!(258)));
        assert_eq!(integer(&plain(4, Shape::BigEndian), &[0xff, 0, 0, 1]), Some(0xff00_0001));
    }
}

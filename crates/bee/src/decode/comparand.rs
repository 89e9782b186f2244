//! What a filter compares a field with. What it stands for depends on the field: `2us` of a duration, `ENOENT` or `2` of an error.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;
use nix::sys::signal::Signal;

use crate::decode::labels::Part;
use crate::decode::layout::Shape;
use crate::decode::number::Number;
use crate::decode::typedefs::{Meaning, error_number, without_sign};
use crate::decode::{float, host, integer_at};

/// A value as somebody typed it, and the numbers that it may stand for.
#[derive(Debug, Clone)]
pub struct Comparand {
    text: String,
    number: Option<Number>,
    /// In nanoseconds.
    time: Option<Number>,
    moment: Option<Timestamp>,
    error: Option<Number>,
}

impl Comparand {
    pub fn new(text: &str) -> Self {
        let (number, time) = (Number::parse(text), Number::parse_time(text));
        Self {
            text: text.to_owned(),
            number,
            time,
            moment: text.parse().ok(),
            error: error_number(text).map(|error| Number::new(error.into())),
        }
    }

    /// Whether a field has this value.
    pub fn is(&self, part: &Part, record: &[u8]) -> bool {
        part.text(record) == self.text
            || self.compare(part, record).is_some_and(Ordering::is_eq)
            || self.is_error(part, record)
            || self.is_address(part, record)
    }

    /// How a field compares with it; not at all where one is no number.
    pub fn compare(&self, part: &Part, record: &[u8]) -> Option<Ordering> {
        if part.layout.shape == Shape::Float {
            let bytes = record.get(part.offset / 8..part.offset / 8 + part.layout.size)?;
            return self.number?.compare_float(float(bytes)?);
        }
        if !is_ordered(&part.layout.shape) {
            return None;
        }
        Some(self.number_for(&part.layout.shape)?.compare(number_of(part, record)?))
    }

    /// What a field is that no value of it can be compared with.
    pub fn uncomparable(&self, part: &Part) -> Option<String> {
        match &part.layout.shape {
            shape if is_ordered(shape) => self.number_for(shape).is_none().then(|| describe(shape)),
            shape => Some(format!("{}, which has no order", describe(shape))),
        }
    }

    /// What a field is that no value of it can be equal to.
    pub fn unequal_to_all(&self, part: &Part) -> Option<String> {
        let shape = &part.layout.shape;
        let is_possible = match shape {
            Shape::Ipv4 | Shape::Ipv6 => self.text.parse::<IpAddr>().is_ok(),
            // A function of the kernel is shown with the distance from where it begins.
            Shape::Meaning(Meaning::KernelAddress) => true,
            shape => !is_ordered(shape) || self.number_for(shape).is_some(),
        };
        (!is_possible).then(|| describe(shape))
    }

    /// The number that the text stands for in a field of this shape.
    fn number_for(&self, shape: &Shape) -> Option<Number> {
        match shape {
            Shape::Bool => match self.text.as_str() {
                "true" => Some(Number::new(1)),
                "false" => Some(Number::new(0)),
                _ => self.number,
            },
            Shape::Enum { names, .. } => {
                let named = names.iter().find(|(name, _)| *name == self.text);
                named.map(|(_, value)| Number::new((*value).into())).or(self.number)
            }
            Shape::Duration => self.time,
            Shape::Meaning(meaning) => self.number_meaning(*meaning),
            _ => self.number,
        }
    }

    fn number_meaning(&self, meaning: Meaning) -> Option<Number> {
        let named = match meaning {
            Meaning::Time => return self.time.or_else(|| host::nanoseconds_at(self.moment?).map(Number::new)),
            Meaning::Error => return self.error.or(self.number),
            Meaning::Signal => self.text.parse::<Signal>().ok().map(|signal| signal as i128),
            Meaning::SystemCall => host::system_call_number(&self.text),
            Meaning::Mac | Meaning::Port | Meaning::KernelAddress => None,
        };
        named.map(Number::new).or(self.number)
    }

    /// The kernel returns -ENOENT, which is shown as ENOENT and may be asked for as 2.
    fn is_error(&self, part: &Part, record: &[u8]) -> bool {
        let shape = &part.layout.shape;
        if *shape != Shape::Meaning(Meaning::Error) {
            return false;
        }
        let number = number_of(part, record).and_then(|number| i32::try_from(number).ok());
        let (Some(number), Some(wanted)) = (number, self.number_for(shape)) else { return false };
        wanted.compare(without_sign(number).into()).is_eq()
    }

    /// An address may be written in several ways.
    fn is_address(&self, part: &Part, record: &[u8]) -> bool {
        part.layout.shape == Shape::Ipv6
            && self.text.parse::<Ipv6Addr>().is_ok_and(|address| address.to_string() == part.text(record))
    }
}

/// A field's number, as people count.
fn number_of(part: &Part, record: &[u8]) -> Option<i128> {
    let Part { layout, offset, bits, .. } = part;
    let raw = integer_at(layout, record, *offset, *bits)?;
    Some(match &layout.shape {
        Shape::Bool => i128::from(raw != 0),
        Shape::Enum { signed: true, .. } | Shape::Meaning(Meaning::Error | Meaning::Signal) => {
            let unused = 128 - bits.unwrap_or(layout.size * 8).clamp(1, 128);
            (raw << unused) >> unused
        }
        Shape::Meaning(Meaning::Port) => u16::from_be(raw as u16).into(),
        _ => raw,
    })
}

fn is_ordered(shape: &Shape) -> bool {
    match shape {
        Shape::Unsigned | Shape::Signed | Shape::Bool | Shape::Float | Shape::Pointer => true,
        Shape::Enum { .. } | Shape::Duration => true,
        Shape::Meaning(meaning) => *meaning != Meaning::Mac,
        _ => false,
    }
}

fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".to_owned(),
        Shape::Enum { names, .. } => {
            let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
            format!("one of {}, or a number", names.join(", "))
        }
        Shape::Duration => "a duration, as in 2us or 1.5ms".to_owned(),
        Shape::Text | Shape::TextOrBytes => "text".to_owned(),
        Shape::Bytes => "bytes".to_owned(),
        Shape::Ipv4 | Shape::Ipv6 => "an IP address".to_owned(),
        Shape::Meaning(Meaning::Time) => "a time, as in 2026-01-31T12:00:00Z, or a duration since boot".to_owned(),
        Shape::Meaning(Meaning::Error) => "an error, as in ENOENT or 2".to_owned(),
        Shape::Meaning(Meaning::Signal) => "a signal, as in SIGKILL or 9".to_owned(),
        Shape::Meaning(Meaning::SystemCall) => "a system call, as in openat or a number".to_owned(),
        Shape::Meaning(Meaning::Mac) => "an Ethernet address".to_owned(),
        _ => "a number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::labels::Labels;
    use crate::decode::layout::Layout;

    #[track_caller]
    fn compares(size: usize, shape: Shape, record: &[u8], text: &str, expected: Option<Ordering>) {
        let labels = Labels::new(&Layout { size, shape }, None);
        let part = labels.part("key").unwrap();
        assert_eq!(Comparand::new(text).compare(part, record), expected, "{text}");
    }

    #[track_caller]
    fn is(size: usize, shape: Shape, record: &[u8], texts: &[&str]) {
        let labels = Labels::new(&Layout { size, shape }, None);
        let part = labels.part("key").unwrap();
        for text in texts {
            assert!(Comparand::new(text).is(part, record), "{text}");
            assert_eq!(Comparand::new(text).unequal_to_all(part), None, "{text}");
        }
    }

    fn states() -> Shape {
        Shape::Enum { signed: true, names: [("NEW".to_owned(), 1), ("LOST".to_owned(), -1)].into() }
    }

    #[test]
    fn numbers_are_compared_in_their_own_units() {
        compares(8, Shape::Duration, &3_000u64.to_le_bytes(), "2us", Some(Ordering::Greater));
        compares(8, Shape::Duration, &3_000u64.to_le_bytes(), "3000", Some(Ordering::Equal));
        compares(4, states(), &(-1i32).to_le_bytes(), "NEW", Some(Ordering::Less));
        compares(4, states(), &(-1i32).to_le_bytes(), "-1", Some(Ordering::Equal));
        compares(1, Shape::Bool, &[7], "true", Some(Ordering::Equal));
        compares(8, Shape::Pointer, &16u64.to_le_bytes(), "0x10", Some(Ordering::Equal));
        compares(8, Shape::Float, &1.5f64.to_le_bytes(), "1.25", Some(Ordering::Greater));
        compares(2, Shape::Meaning(Meaning::Port), &443u16.to_be_bytes(), "1024", Some(Ordering::Less));
        compares(4, Shape::Meaning(Meaning::Error), &(-2i32).to_le_bytes(), "0", Some(Ordering::Less));
        compares(4, Shape::Text, b"7\0\0\0", "7", None);
        let large = 9_007_199_254_740_993u64.to_le_bytes();
        compares(8, Shape::Unsigned, &large, "9007199254740992", Some(Ordering::Greater));
    }

    #[test]
    fn names_and_numbers_are_equal_to_what_they_stand_for() {
        is(4, Shape::Meaning(Meaning::Error), &(-2i32).to_le_bytes(), &["ENOENT", "2", "-2"]);
        is(4, Shape::Meaning(Meaning::Signal), &9i32.to_le_bytes(), &["SIGKILL", "9"]);
        is(4, Shape::Meaning(Meaning::SystemCall), &(libc::SYS_openat as i32).to_le_bytes(), &["openat"]);
        is(4, states(), &1i32.to_le_bytes(), &["NEW", "1", "0x1"]);
        is(1, Shape::Bool, &[1], &["true", "1"]);
        is(16, Shape::Ipv6, &Ipv6Addr::LOCALHOST.octets(), &["::1", "0:0:0:0:0:0:0:1"]);
        is(4, Shape::Text, b"curl", &["curl"]);
    }

    #[test]
    fn what_a_field_can_never_be_is_said() {
        let refusal = |shape: Shape, text: &str| {
            let labels = Labels::new(&Layout { size: 4, shape }, None);
            Comparand::new(text).unequal_to_all(labels.part("key").unwrap())
        };
        assert_eq!(refusal(states(), "OLD").as_deref(), Some("one of NEW, LOST, or a number"));
        assert_eq!(refusal(Shape::Meaning(Meaning::Error), "EWHAT").as_deref(), Some("an error, as in ENOENT or 2"));
        assert_eq!(refusal(Shape::Ipv4, "10.0.0").as_deref(), Some("an IP address"));
        assert_eq!(refusal(Shape::Text, "anything"), None);
    }
}

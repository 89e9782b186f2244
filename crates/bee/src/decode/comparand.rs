//! What a filter compares a field with. What it stands for depends on the field: `2us` of a duration, `ENOENT` or `2` of an error.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use nix::sys::signal::Signal;

use crate::decode::address::Socket;
use crate::decode::labels::Part;
use crate::decode::layout::Shape;
use crate::decode::number::Number;
use crate::decode::scalar::signed;
use crate::decode::typedefs::{Meaning, error_number, without_sign};
use crate::decode::{enumeration, float, host, integer_at};

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
            || self.is_enumerated(part, record)
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
            Shape::Ipv4 | Shape::Ipv6 | Shape::IpByFamily(_) => self.text.parse::<IpAddr>().is_ok(),
            // Also the path of a Unix socket.
            Shape::Socket(Socket::Any) => true,
            Shape::Socket(_) => self.text.parse::<SocketAddr>().is_ok() || self.text.parse::<IpAddr>().is_ok(),
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
            Shape::Enum { names, .. } => enumeration::parse(&self.text, names).map(Number::new).or(self.number),
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
            Meaning::Mac | Meaning::Port | Meaning::KernelAddress | Meaning::UserAddress | Meaning::StackId => None,
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

    /// Older compilers do not say whether an enumeration has signs: its number may be asked for with one or without.
    fn is_enumerated(&self, part: &Part, record: &[u8]) -> bool {
        let shape = &part.layout.shape;
        let raw = integer_at(&part.layout, record, part.offset, part.bits);
        match (shape, raw, self.number_for(shape)) {
            (Shape::Enum { .. }, Some(raw), Some(wanted)) => wanted.compare(raw).is_eq(),
            _ => false,
        }
    }

    /// An address may be written in several ways. One without a port is that with any.
    fn is_address(&self, part: &Part, record: &[u8]) -> bool {
        match part.layout.shape {
            Shape::Ipv6 | Shape::IpByFamily(_) => {
                self.text.parse::<IpAddr>().is_ok_and(|address| address.to_string() == part.text(record))
            }
            Shape::Socket(_) => {
                let Ok(there) = part.text(record).parse::<SocketAddr>() else { return false };
                self.text.parse() == Ok(there) || self.text.parse() == Ok(there.ip())
            }
            _ => false,
        }
    }
}

/// A field's number, as people count.
fn number_of(part: &Part, record: &[u8]) -> Option<i128> {
    let Part { layout, offset, bits, .. } = part;
    let raw = integer_at(layout, record, *offset, *bits)?;
    Some(match &layout.shape {
        Shape::Bool => i128::from(raw != 0),
        Shape::Enum { signed: has_sign, names } if enumeration::may_be_negative(*has_sign, names) => {
            signed(raw as u128, bits.unwrap_or(layout.size * 8))
        }
        Shape::Meaning(Meaning::Error | Meaning::Signal) => signed(raw as u128, bits.unwrap_or(layout.size * 8)),
        Shape::Meaning(Meaning::Port) => u16::from_be(raw as u16).into(),
        _ => raw,
    })
}

fn is_ordered(shape: &Shape) -> bool {
    match shape {
        Shape::Unsigned | Shape::Signed | Shape::Bool | Shape::Float | Shape::Pointer => true,
        Shape::Enum { .. } | Shape::Duration | Shape::BigEndian => true,
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
        Shape::Stack(_) => "a stack".to_owned(),
        Shape::Ipv4 | Shape::Ipv6 | Shape::IpByFamily(_) => "an IP address".to_owned(),
        Shape::Socket(_) => "an IP address, with its port or without, as in 10.0.0.1:443".to_owned(),
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
    use crate::decode::address::Family;
    use crate::decode::labels::Labels;
    use crate::decode::layout::Layout;
    use std::net::Ipv6Addr;

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
        is(4, states(), &(-1i32).to_le_bytes(), &["LOST", "-1", "4294967295"]);
        is(2, Shape::BigEndian, &[1, 0xbb], &["443", "0x1bb"]);
    }

    #[test]
    fn addresses_are_compared_however_they_are_written() {
        is(16, Shape::Ipv6, &Ipv6Addr::LOCALHOST.octets(), &["::1", "0:0::1"]);
        let mut socket = [0; 28];
        (socket[0], socket[3], socket[23]) = (10, 80, 1);
        is(28, Shape::Socket(Socket::V6), &socket, &["[::1]:80", "[0::1]:80", "::1", "0::1"]);
        is(
            16,
            Shape::Socket(Socket::V4),
            &[0, 0, 0, 80, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &["10.0.0.1:80", "10.0.0.1"],
        );
        let family = Family { distance: -16, width: 16, is_version: false };
        let labels = Labels::new(&Layout { size: 16, shape: Shape::IpByFamily(family) }, None);
        let mut part = labels.part("key").unwrap().clone();
        part.offset = 16;
        let mut record = [0; 18];
        (record[0], record[17]) = (10, 1);
        assert!(Comparand::new("0::1").is(&part, &record) && !Comparand::new("0::2").is(&part, &record));
    }

    #[test]
    fn bits_are_compared_by_their_names_joined() {
        let names = [("R".to_owned(), 1), ("W".to_owned(), 2), ("TOP".to_owned(), i64::from(i32::MIN))].into();
        let flags = Shape::Enum { signed: false, names };
        is(4, flags.clone(), &3u32.to_le_bytes(), &["R|W", "W|R", "3", "0x3", "R|0x2"]);
        is(4, flags.clone(), &9u32.to_le_bytes(), &["R|0x8", "9"]);
        is(4, flags, &0x8000_0001u32.to_le_bytes(), &["R|TOP", "TOP|R", "0x80000001"]);
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

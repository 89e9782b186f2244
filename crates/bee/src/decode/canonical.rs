//! The canonical bytes of a key: what is shown decides, and nothing else does.
//!
//! Ring memory is never cleared, `bpf_probe_read_kernel_str` leaves what lies behind the zero, and padding holds whatever was there: keys
//! that look the same may differ in bytes. Made canonical, equal keys are equal bytes, so that they can be added up without being shown.
//! The key of a record that is shorter than its type ends where its last value does.

use std::ops::Range;

use crate::decode::address::{Family, Socket};
use crate::decode::layout::{BYTES, Field, Layout, Shape};
use crate::decode::typedefs::Meaning;
use crate::decode::{float, typedefs};

/// How the records of one layout become canonical. Nothing is to be done for a layout of numbers without gaps.
#[derive(Debug, Default)]
pub struct Canonical {
    size: usize,
    /// Bits that are shown, for each byte; empty where all of them are.
    shown: Vec<u8>,
    steps: Vec<Step>,
    /// For records that are shorter than their type.
    places: Vec<Place>,
    /// The array that has what the record holds, and where it begins.
    rest: Option<(usize, Rest)>,
    /// Whether keys may be shown alike although they differ: two functions of one name, or a text that has the hexadecimal form of a byte.
    has_lookalikes: bool,
}

/// A value that several bytes stand for.
#[derive(Debug, Clone)]
struct Step {
    bytes: Range<usize>,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// Ends at the first zero.
    Text,
    Bool,
    /// Of all that is not a number, one.
    Float,
    /// Shown without its sign.
    Error,
    Address(Family),
    Socket(Socket),
}

/// Where a value lies.
#[derive(Debug, Clone)]
struct Place {
    bytes: Range<usize>,
    cut: Cut,
}

/// What is shown of a value that the record has only in part.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Nothing,
    Bytes,
    /// As if zeros followed.
    Text,
}

#[derive(Debug)]
enum Rest {
    Text,
    Bytes,
    /// Of this many bytes each.
    Elements(usize, Box<Canonical>),
}

impl Canonical {
    /// `leave_out` is the field of an event that is its value and so no part of the key.
    pub fn new(layout: &Layout, leave_out: Option<&Field>) -> Self {
        let size = layout.size;
        let mut plan = Plan { often: vec![0; size], found: Self { size, shown: vec![0; size], ..Self::default() } };
        match (&layout.shape, leave_out) {
            (Shape::Struct(fields), Some(value)) => {
                for field in fields.iter().filter(|field| *field != value) {
                    plan.add(&field.layout, field.offset, field.bits);
                }
            }
            _ => plan.add(layout, 0, None),
        }
        let Plan { often, mut found } = plan;
        // What another member of a union shows as well is shown as it is.
        found
            .steps
            .retain(|step| often.get(step.bytes.clone()).is_some_and(|often| often.iter().all(|count| *count == 1)));
        if let Some((begin, _)) = found.rest {
            found.has_lookalikes = true;
            found.shown.iter_mut().skip(begin).for_each(|bits| *bits = u8::MAX);
        }
        if found.shown.iter().all(|bits| *bits == u8::MAX) {
            found.shown.clear();
        }
        found
    }

    /// Whether every record that is as long as its type is canonical as it is.
    pub fn is_identity(&self) -> bool {
        self.shown.is_empty() && self.steps.is_empty() && self.rest.is_none()
    }

    /// Whether this record is canonical as it is.
    pub fn keeps(&self, record: &[u8]) -> bool {
        self.is_identity() && record.len() == self.size
    }

    pub fn has_lookalikes(&self) -> bool {
        self.has_lookalikes
    }

    /// Makes a record canonical.
    pub fn apply(&self, record: &mut Vec<u8>) {
        match &self.rest {
            Some((begin, rest)) if record.len() >= *begin => rest.apply(record, *begin),
            _ if record.len() < self.size => record.resize(self.length(record.len()), 0),
            _ => {}
        }
        for (byte, shown) in record.iter_mut().zip(&self.shown) {
            *byte &= shown;
        }
        for Step { bytes, what } in &self.steps {
            what.apply(record, bytes.clone());
        }
    }

    /// How much is shown of a record of this length, which is shorter than its type.
    fn length(&self, record: usize) -> usize {
        let mut length = 0;
        for Place { bytes, cut } in &self.places {
            let end = match cut {
                Cut::Nothing if bytes.end <= record => bytes.end,
                Cut::Bytes if bytes.start < record => bytes.end.min(record),
                Cut::Text if bytes.start < record => bytes.end,
                _ => continue,
            };
            length = length.max(end);
        }
        length
    }
}

impl Rest {
    fn apply(&self, record: &mut Vec<u8>, begin: usize) {
        match self {
            Self::Text => {
                let end = record[begin..].iter().position(|byte| *byte == 0);
                record.truncate(end.map_or(begin + BYTES, |end| begin + end));
            }
            Self::Bytes => record.truncate(begin + BYTES),
            Self::Elements(size, canonical) => {
                let elements = record.split_off(begin);
                for element in elements.chunks_exact(*size) {
                    let mut element = element.to_vec();
                    canonical.apply(&mut element);
                    record.extend(element);
                }
            }
        }
    }
}

impl What {
    fn apply(self, record: &mut [u8], place: Range<usize>) {
        if let Self::Address(family) = self {
            return family.clear(record, place.start * 8);
        }
        let Some(bytes) = record.get_mut(place) else { return };
        match self {
            Self::Text => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                bytes[end..].fill(0);
            }
            Self::Bool => {
                let is_true = bytes.iter().any(|byte| *byte != 0);
                bytes.fill(0);
                bytes[0] = u8::from(is_true);
            }
            Self::Float => {
                if float(bytes).is_some_and(f64::is_nan) {
                    bytes.fill(u8::MAX);
                }
            }
            Self::Error => {
                if let Ok(number) = <[u8; 4]>::try_from(&*bytes).map(i32::from_ne_bytes) {
                    bytes.copy_from_slice(&typedefs::without_sign(number).to_ne_bytes());
                }
            }
            Self::Socket(socket) => socket.clear(bytes),
            Self::Address(_) => {}
        }
    }
}

/// What is found while a layout is walked through.
struct Plan {
    /// By how many values each byte is shown.
    often: Vec<u8>,
    found: Canonical,
}

impl Plan {
    fn add(&mut self, layout: &Layout, offset: usize, bits: Option<usize>) {
        match &layout.shape {
            Shape::Struct(fields) => {
                for field in fields {
                    self.add(&field.layout, offset + field.offset, field.bits);
                }
            }
            Shape::Array { element, length } => {
                for index in 0..*length {
                    self.add(element, offset + index * element.size * 8, None);
                }
            }
            Shape::Rest(rest) => self.add_rest(rest, offset / 8),
            shape => self.add_value(shape, offset..offset + bits.unwrap_or(layout.size * 8), bits.is_none()),
        }
    }

    fn add_value(&mut self, shape: &Shape, bits: Range<usize>, is_whole: bool) {
        let Canonical { shown, steps, places, has_lookalikes, .. } = &mut self.found;
        let bytes = bits.start / 8..bits.end.div_ceil(8).min(shown.len());
        for byte in bytes.clone() {
            let begin = bits.start.saturating_sub(byte * 8);
            let end = (bits.end - byte * 8).min(8);
            shown[byte] |= (u8::MAX >> (8 - (end - begin))) << begin;
            self.often[byte] = self.often[byte].saturating_add(1);
        }
        *has_lookalikes |= matches!(
            shape,
            Shape::Text | Shape::TextOrBytes | Shape::Stack(_) | Shape::Meaning(Meaning::KernelAddress)
        );
        let cut = match shape {
            Shape::Text => Cut::Text,
            Shape::TextOrBytes | Shape::Bytes | Shape::Stack(_) => Cut::Bytes,
            _ => Cut::Nothing,
        };
        places.push(Place { bytes: bytes.clone(), cut });
        let what = match shape {
            Shape::Text => What::Text,
            Shape::Bool => What::Bool,
            Shape::Float => What::Float,
            Shape::Meaning(Meaning::Error) => What::Error,
            Shape::IpByFamily(family) => What::Address(*family),
            Shape::Socket(socket) => What::Socket(*socket),
            _ => return,
        };
        if is_whole && !bytes.is_empty() {
            steps.push(Step { bytes, what });
        }
    }

    /// Of several in a union, which show the same bytes, all are kept as they are.
    fn add_rest(&mut self, rest: &Layout, begin: usize) {
        let rest = match &rest.shape {
            _ if self.found.rest.is_some() => Rest::Bytes,
            Shape::Text => Rest::Text,
            Shape::Array { element, .. } if element.size > 0 => {
                Rest::Elements(element.size, Box::new(Canonical::new(element, None)))
            }
            _ => Rest::Bytes,
        };
        self.found.rest = Some((begin, rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{TooShort, decode};

    fn plain(size: usize, shape: Shape) -> Layout {
        Layout { size, shape }
    }

    fn field(name: &str, offset: usize, bits: Option<usize>, layout: Layout) -> Field {
        Field { name: name.into(), offset, bits, layout }
    }

    fn canonical(layout: &Layout, record: &[u8]) -> Vec<u8> {
        let mut record = record.to_vec();
        Canonical::new(layout, None).apply(&mut record);
        record
    }

    #[test]
    fn numbers_without_gaps_are_left_alone() {
        let fields = vec![field("a", 0, None, plain(4, Shape::Ipv4)), field("b", 32, None, plain(4, Shape::Unsigned))];
        assert!(Canonical::new(&plain(8, Shape::Struct(fields)), None).is_identity());
        assert!(Canonical::new(&plain(6, Shape::Bytes), None).is_identity());
    }

    #[test]
    fn padding_and_bits_between_fields_are_cleared() {
        let fields = vec![
            field("low", 0, Some(3), plain(4, Shape::Unsigned)),
            field("high", 5, Some(6), plain(4, Shape::Unsigned)),
            field("wide", 64, None, plain(8, Shape::Unsigned)),
        ];
        let record = canonical(&plain(16, Shape::Struct(fields)), &[0xff; 16]);
        assert_eq!(record, [&[0b1110_0111, 0b111, 0, 0, 0, 0, 0, 0], &[0xff; 8][..]].concat());
    }

    #[test]
    fn text_ends_at_its_zero_and_what_is_not_zero_is_true() {
        assert_eq!(canonical(&plain(6, Shape::Text), b"ab\0cd\0"), b"ab\0\0\0\0");
        assert_eq!(canonical(&plain(3, Shape::Text), b"abc"), b"abc");
        assert_eq!(canonical(&plain(1, Shape::Bool), &[7]), [1]);
        let array = Shape::Array { element: Box::new(plain(2, Shape::Text)), length: 2 };
        assert_eq!(canonical(&plain(4, array), b"\0xy\0"), b"\0\0y\0");
    }

    #[test]
    fn errors_lose_their_sign_and_all_that_is_not_a_number_is_one() {
        let error = plain(4, Shape::Meaning(Meaning::Error));
        assert_eq!(canonical(&error, &(-13i32).to_ne_bytes()), 13i32.to_ne_bytes());
        assert_eq!(canonical(&error, &(-70_000i32).to_ne_bytes()), (-70_000i32).to_ne_bytes());
        let float = plain(4, Shape::Float);
        let (one, other) = (0x7fc0_0001_u32.to_le_bytes(), 0xffc0_0002_u32.to_le_bytes());
        assert_eq!(canonical(&float, &one), canonical(&float, &other));
        assert_eq!(canonical(&float, &1.5f32.to_le_bytes()), 1.5f32.to_le_bytes());
    }

    #[test]
    fn what_two_members_of_a_union_show_stays_as_it_is() {
        let fields =
            vec![field("text", 0, None, plain(4, Shape::Text)), field("number", 0, None, plain(4, Shape::Unsigned))];
        assert!(Canonical::new(&plain(4, Shape::Struct(fields)), None).is_identity());
    }

    #[test]
    fn a_short_record_ends_where_what_it_shows_does() {
        let fields = vec![
            field("n", 0, None, plain(4, Shape::Unsigned)),
            field("wide", 64, None, plain(8, Shape::Unsigned)),
            field("raw", 128, None, plain(4, Shape::Bytes)),
            field("text", 160, None, plain(4, Shape::Text)),
        ];
        let layout = plain(24, Shape::Struct(fields));
        let record: Vec<u8> = (1..=24).collect();
        for (length, end) in [(0, 0), (3, 0), (4, 4), (7, 4), (15, 4), (16, 16), (17, 17), (20, 20), (21, 24), (24, 24)]
        {
            let key = canonical(&layout, &record[..length]);
            assert_eq!(key.len(), end, "{length}");
            assert_eq!(
                decode(&layout, &key),
                decode(&layout, &record[..length]).map_err(|_| TooShort { got: 0, wanted: 24 })
            );
        }
        // Two texts of which one was sent without its zeros.
        let (whole, cut) = ([&record[..20], b"ab\0\0"].concat(), [&record[..20], b"ab"].concat());
        assert_eq!(canonical(&layout, &whole), canonical(&layout, &cut));
        let numbers = Canonical::new(&plain(4, Shape::Unsigned), None);
        assert!(numbers.keeps(&[0; 4]) && !numbers.keeps(&[0; 2]));
    }

    #[test]
    fn an_array_at_the_end_is_as_long_as_it_is_shown() {
        let open = |rest: Layout| {
            let fields = vec![field("n", 0, None, plain(1, Shape::Unsigned)), field("rest", 32, None, rest)];
            plain(8, Shape::Struct(fields)).opened()
        };
        let text = open(plain(0, Shape::Text));
        assert_eq!(canonical(&text, b"n\x01\x02\x03ab\0cd"), b"n\0\0\0ab");
        assert_eq!(canonical(&text, b"n\x01"), b"n");
        let element = Box::new(plain(2, Shape::Bool));
        let flags = open(plain(0, Shape::Array { element, length: 0 }));
        assert_eq!(canonical(&flags, b"n\x01\x02\x03ab\0\0c"), b"n\0\0\0\x01\0\0\0");
        assert_eq!(canonical(&open(plain(0, Shape::Bytes)), b"n\x01\x02\x03ab\0cd"), b"n\0\0\0ab\0cd");
    }

    #[test]
    fn of_an_address_only_what_is_shown_counts() {
        let family = Family { distance: 128, width: 16, is_version: false };
        let fields = vec![
            field("addr", 0, None, plain(16, Shape::IpByFamily(family))),
            field("family", 128, None, plain(2, Shape::Unsigned)),
        ];
        let layout = plain(18, Shape::Struct(fields));
        let four = canonical(&layout, &[&[7; 16][..], &[2, 0]].concat());
        assert_eq!(four, [&[7; 4][..], &[0; 12], &[2, 0]].concat());
        assert_eq!(canonical(&layout, &[&[7; 16][..], &[10, 0]].concat())[..16], [7; 16]);
        let socket = canonical(&plain(16, Shape::Socket(Socket::V4)), &[9; 16]);
        assert_eq!(socket, [2, 0, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_value_is_no_part_of_its_key() {
        let value = field("value", 32, None, plain(4, Shape::Unsigned));
        let layout = plain(8, Shape::Struct(vec![field("cpu", 0, None, plain(4, Shape::Unsigned)), value.clone()]));
        let mut record = vec![3, 0, 0, 0, 9, 9, 9, 9];
        Canonical::new(&layout, Some(&value)).apply(&mut record);
        assert_eq!(record, [3, 0, 0, 0, 0, 0, 0, 0]);
    }
}

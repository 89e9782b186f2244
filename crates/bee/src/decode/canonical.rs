//! The canonical bytes of a key: what is shown decides, and nothing else does.
//!
//! Ring memory is never cleared, `bpf_probe_read_kernel_str` leaves what lies behind the zero, and padding holds whatever was there: keys
//! that look the same may differ in bytes. Made canonical, equal keys are equal bytes, so that they can be added up without being shown.

use std::ops::Range;

use crate::decode::layout::{Field, Layout, Shape};
use crate::decode::typedefs::Meaning;
use crate::decode::{float, typedefs};

/// How the records of one layout become canonical. Nothing is to be done for a layout of numbers without gaps.
#[derive(Debug, Default)]
pub struct Canonical {
    /// Bits that are shown, for each byte; empty where all of them are.
    shown: Vec<u8>,
    steps: Vec<Step>,
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
}

impl Canonical {
    /// `leave_out` is the field of an event that is its value and so no part of the key.
    pub fn new(layout: &Layout, leave_out: Option<&Field>) -> Self {
        let mut plan =
            Plan { shown: vec![0; layout.size], often: vec![0; layout.size], steps: vec![], has_lookalikes: false };
        match (&layout.shape, leave_out) {
            (Shape::Struct(fields), Some(value)) => {
                for field in fields.iter().filter(|field| *field != value) {
                    plan.add(&field.layout, field.offset, field.bits);
                }
            }
            _ => plan.add(layout, 0, None),
        }
        let Plan { mut shown, often, mut steps, has_lookalikes } = plan;
        // What another member of a union shows as well is shown as it is.
        steps.retain(|step| often.get(step.bytes.clone()).is_some_and(|often| often.iter().all(|count| *count == 1)));
        if shown.iter().all(|bits| *bits == u8::MAX) {
            shown.clear();
        }
        Self { shown, steps, has_lookalikes }
    }

    /// Whether every record is canonical as it is.
    pub fn is_identity(&self) -> bool {
        self.shown.is_empty() && self.steps.is_empty()
    }

    pub fn has_lookalikes(&self) -> bool {
        self.has_lookalikes
    }

    /// Makes a record canonical.
    pub fn apply(&self, record: &mut [u8]) {
        for (byte, shown) in record.iter_mut().zip(&self.shown) {
            *byte &= shown;
        }
        for Step { bytes, what } in &self.steps {
            if let Some(bytes) = record.get_mut(bytes.clone()) {
                what.apply(bytes);
            }
        }
    }
}

impl What {
    fn apply(self, bytes: &mut [u8]) {
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
        }
    }
}

/// What is found while a layout is walked through.
struct Plan {
    shown: Vec<u8>,
    /// By how many values each byte is shown.
    often: Vec<u8>,
    steps: Vec<Step>,
    has_lookalikes: bool,
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
            shape => self.add_value(shape, offset..offset + bits.unwrap_or(layout.size * 8), bits.is_none()),
        }
    }

    fn add_value(&mut self, shape: &Shape, bits: Range<usize>, is_whole: bool) {
        let bytes = bits.start / 8..bits.end.div_ceil(8).min(self.shown.len());
        for byte in bytes.clone() {
            let begin = bits.start.saturating_sub(byte * 8);
            let end = (bits.end - byte * 8).min(8);
            self.shown[byte] |= (u8::MAX >> (8 - (end - begin))) << begin;
            self.often[byte] = self.often[byte].saturating_add(1);
        }
        self.has_lookalikes |=
            matches!(shape, Shape::Text | Shape::TextOrBytes | Shape::Meaning(Meaning::KernelAddress));
        let what = match shape {
            Shape::Text => What::Text,
            Shape::Bool => What::Bool,
            Shape::Float => What::Float,
            Shape::Meaning(Meaning::Error) => What::Error,
            _ => return,
        };
        if is_whole && !bytes.is_empty() {
            self.steps.push(Step { bytes, what });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_value_is_no_part_of_its_key() {
        let value = field("value", 32, None, plain(4, Shape::Unsigned));
        let layout = plain(8, Shape::Struct(vec![field("cpu", 0, None, plain(4, Shape::Unsigned)), value.clone()]));
        let mut record = [3, 0, 0, 0, 9, 9, 9, 9];
        Canonical::new(&layout, Some(&value)).apply(&mut record);
        assert_eq!(record, [3, 0, 0, 0, 0, 0, 0, 0]);
    }
}

//! Histograms that the probe keeps itself, in a hash or array: each element is a bucket of one of them, and its key has the bucket's
//! number. `BEE_OBSERVE` of bee.h makes such elements.

use std::collections::BTreeMap;

use crate::allowance::{Exceeded, Held};
use crate::decode::integer;
use crate::elements::Elements;
use crate::histogram::{Buckets, Histogram};
use crate::layout::Layout;
use crate::overflow::ENTRY;

/// The number that is no bucket's: the element of this key is the sum of all values.
const SUM: i128 = u32::MAX as i128;

/// The field of a key that has the bucket's number; a key that is no struct is the number itself.
pub const FIELD: &str = "bucket";

/// Where the number lies in the key.
pub struct Number {
    layout: Layout,
    /// In bytes.
    offset: usize,
}

impl Number {
    /// `None` if the key has no such number.
    pub fn of(key: &Layout) -> Option<Self> {
        if key.is_integer() {
            return Some(Self { layout: key.clone(), offset: 0 });
        }
        let field = key.integer_field(FIELD).filter(|field| field.bits.is_none())?;
        Some(Self { layout: field.layout.clone(), offset: field.offset / 8 })
    }

    /// The key without it, and the number.
    fn split(&self, key: &[u8]) -> Option<(Vec<u8>, i128)> {
        let mut rest = key.to_vec();
        let bytes = rest.get_mut(self.offset..self.offset + self.layout.size)?;
        let number = integer(&self.layout, bytes)?;
        bytes.fill(0);
        Some((rest, number))
    }
}

/// The histograms that a map's elements are, each by its key without the number. `value` adds up an element's value; what they take is
/// held.
pub fn gather(
    elements: &Elements,
    number: &Number,
    buckets: &Buckets,
    value: impl Fn(&[u8]) -> Option<i128>,
    held: &mut Held,
) -> Result<BTreeMap<Vec<u8>, Histogram>, Exceeded> {
    let mut histograms = BTreeMap::<Vec<u8>, Histogram>::new();
    for (key, values) in elements.iter() {
        let (Some((key, number)), Some(value)) = (number.split(key), value(values)) else { continue };
        if !histograms.contains_key(&key) {
            held.add(key.len() + buckets.memory() + ENTRY)?;
        }
        let histogram = histograms.entry(key).or_default();
        // The field may be signed: there it is -1.
        if number & SUM == SUM {
            histogram.sum = Some(value);
        } else {
            histogram.put(buckets, usize::try_from(number).unwrap_or(0), u64::try_from(value).unwrap_or(0));
        }
    }
    Ok(histograms)
}

//! Histograms that the probe keeps itself, in a hash or array: each element is a bucket of one of them, and its key has the bucket's
//! number. `BEE_OBSERVE` of bee.h makes such elements.

use std::collections::BTreeMap;

use crate::allowance::{Exceeded, Held};
use crate::decode::bucket_key::BucketKey;
use crate::decode::histogram::{Buckets, Histogram};
use crate::export::cardinality::ENTRY;
use crate::kernel::map_reader::Elements;

/// The number that is no bucket's: the element of this key is the sum of all values.
const SUM: i128 = u32::MAX as i128;

/// The histograms that a map's elements are, each by its key without the number. `value` adds up an element's value; what they take is
/// held.
pub fn gather(
    elements: &Elements,
    key: &BucketKey,
    buckets: &Buckets,
    value: impl Fn(&[u8]) -> Option<i128>,
    held: &mut Held,
) -> Result<BTreeMap<Vec<u8>, Histogram>, Exceeded> {
    let mut histograms = BTreeMap::<Vec<u8>, Histogram>::new();
    for (bytes, values) in elements.iter() {
        let (Some((key, number)), Some(value)) = (key.split(bytes), value(values)) else { continue };
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

//! Histograms that the probe keeps itself, in a hash or array: each element is a bucket of one of them, and its key has the bucket's
//! number. `BEE_OBSERVE` of bee.h makes such elements.

use std::collections::BTreeMap;

use crate::allowance::{Exceeded, Held};
use crate::decode::bucket_key::BucketKey;
use crate::decode::canonical::Canonical;
use crate::decode::histogram::{Buckets, Histogram};
use crate::export::cardinality::ENTRY;
use crate::kernel::map_reader::Elements;

/// The number that is no bucket's: the element of this key is the sum of all values.
const SUM: i128 = u32::MAX as i128;

/// The histograms that a map's elements are.
pub struct Gathered {
    /// Each by its key without the number.
    pub histograms: BTreeMap<Vec<u8>, Histogram>,
    /// A bucket's number that is beyond all bounds; what is in it is counted above the last.
    pub beyond: Option<i128>,
}

/// Puts elements together. `value` adds up an element's value; what the histograms take is held.
pub fn gather(
    elements: &Elements,
    (key, canonical): (&BucketKey, &Canonical),
    buckets: &Buckets,
    value: impl Fn(&[u8]) -> Option<i128>,
    held: &mut Held,
) -> Result<Gathered, Exceeded> {
    let (mut histograms, mut beyond) = (BTreeMap::<Vec<u8>, Histogram>::new(), None);
    for (bytes, values) in elements.iter() {
        let (Some((mut key, number)), Some(value)) = (key.split(bytes), value(values)) else { continue };
        canonical.apply(&mut key);
        if !histograms.contains_key(&key) {
            held.add(key.len() + buckets.memory() + ENTRY)?;
        }
        let histogram = histograms.entry(key).or_default();
        // The field may be signed: there it is -1.
        if number & SUM == SUM {
            histogram.sum = Some(value);
        } else {
            let bucket = usize::try_from(number).unwrap_or(usize::MAX);
            if bucket > buckets.len() {
                beyond.get_or_insert(number);
            }
            histogram.put(buckets, bucket, u64::try_from(value).unwrap_or(0));
        }
    }
    Ok(Gathered { histograms, beyond })
}

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
            // Several keys may be shown alike.
            *histogram.sum.get_or_insert_default() += value;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowance::Allowance;
    use crate::decode::integer;
    use crate::decode::layout::{Field, Layout, Shape};

    #[test]
    fn buckets_and_sums_of_keys_that_are_shown_alike_are_added_up() {
        let number = Layout { size: 4, shape: Shape::Unsigned };
        let field = Field { name: "bucket".into(), offset: 0, bits: None, layout: number.clone() };
        let layout = Layout { size: 8, shape: Shape::Struct(vec![field]) };
        // The last four bytes are padding.
        let key = |bucket: u32, noise: u32| [bucket.to_le_bytes(), noise.to_le_bytes()].concat();
        let keys = [key(0, 1), key(0, 2), key(u32::MAX, 1), key(u32::MAX, 2)].concat();
        let values = [3u32, 4, 30, 40].map(u32::to_le_bytes).concat();
        let elements = Elements { keys, values, key_size: 8, value_size: 4 };
        let (bucket, canonical) = (BucketKey::new(&layout).unwrap(), Canonical::new(&layout, None));
        let mut held = Allowance::unbounded().hold();
        let value = |bytes: &[u8]| integer(&number, bytes);
        let gathered = gather(&elements, (&bucket, &canonical), &Buckets::default(), value, &mut held).unwrap();
        let all: Vec<_> = gathered.histograms.values().map(|histogram| (histogram.count(), histogram.sum)).collect();
        assert_eq!((all, gathered.beyond), (vec![(7, Some(70))], None));
    }
}

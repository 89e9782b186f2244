//! The key of a histogram that the probe keeps itself: one element a bucket, whose number is a field of the key.

use crate::decode::integer;
use crate::decode::layout::Layout;

/// The field of a key that has the bucket's number; a key that is no struct is the number itself.
pub const FIELD: &str = "bucket";

/// Where the bucket number lies in the key.
pub struct BucketKey {
    layout: Layout,
    /// In bytes.
    offset: usize,
}

impl BucketKey {
    /// `None` if the key has no such number.
    pub fn new(key: &Layout) -> Option<Self> {
        if key.is_integer() {
            return Some(Self { layout: key.clone(), offset: 0 });
        }
        let field = key.integer_field(FIELD).filter(|field| field.bits.is_none())?;
        Some(Self { layout: field.layout.clone(), offset: field.offset / 8 })
    }

    /// Whether it has no number apart from those of buckets, for the sum of all values.
    pub fn is_narrow(&self) -> bool {
        self.layout.size < 4
    }

    /// The key without it, and the number.
    pub fn split(&self, key: &[u8]) -> Option<(Vec<u8>, i128)> {
        let mut rest = key.to_vec();
        let bytes = rest.get_mut(self.offset..self.offset + self.layout.size)?;
        let number = integer(&self.layout, bytes)?;
        bytes.fill(0);
        Some((rest, number))
    }
}

//! How much of the kernel's memory a map takes when it is full.
//!
//! Counted as the kernel allocates: a hash's element is 48 bytes of its own, key and value, each rounded up to 8, and 16 bytes for
//! its bucket; per-processor maps have a value for every possible processor; a perf buffer is bee's, of so many pages a processor.

use libbpf_rs::MapType;

/// Pages of one processor's perf buffer; a power of two. Between two looks a ring of this size holds some ten thousand records.
pub const PERF_PAGES: usize = 64;
const HASH_ELEMENT: u64 = 48;
const BUCKET: u64 = 16;
const POINTER: u64 = 8;
const PAGE: u64 = 4096;

/// What a map's definition says of its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimensions {
    pub map: String,
    pub kind: MapType,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    /// `BPF_F_…`.
    pub flags: u32,
}

impl Dimensions {
    /// In bytes, on a machine with so many processors.
    pub fn bytes(&self, processors: u64) -> u64 {
        let [key, value] = [self.key_size, self.value_size].map(|size| u64::from(size).next_multiple_of(8));
        let entries = u64::from(self.max_entries);
        let values = value.saturating_mul(processors);
        let buckets = entries.next_power_of_two() * BUCKET;
        match self.kind {
            MapType::Hash | MapType::LruHash => {
                entries.saturating_mul(HASH_ELEMENT + key + value).saturating_add(buckets)
            }
            MapType::PercpuHash | MapType::LruPercpuHash => {
                let element = values.saturating_add(HASH_ELEMENT + key + POINTER);
                entries.saturating_mul(element).saturating_add(buckets)
            }
            MapType::PercpuArray => entries.saturating_mul(values.saturating_add(POINTER)),
            MapType::RingBuf => entries.next_power_of_two() + 2 * PAGE,
            MapType::PerfEventArray => (PERF_PAGES as u64 + 1) * PAGE * processors,
            _ => entries.saturating_mul(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(kind: MapType, max_entries: u32) -> u64 {
        Dimensions { map: "m".into(), kind, key_size: 4, value_size: 8, max_entries, flags: 0 }.bytes(2)
    }

    #[test]
    fn a_full_map_takes_what_the_kernel_was_seen_to_lock() {
        // BumbleBee's template (A5 #23): 1,342,178,320 bytes were measured.
        assert_eq!(bytes(MapType::Hash, 1 << 24), 1_342_177_280);
        assert_eq!(bytes(MapType::PercpuArray, 8), 8 * 24);
        assert_eq!(bytes(MapType::Array, 8), 64);
        assert_eq!(bytes(MapType::RingBuf, 1 << 20), (1 << 20) + 8192);
    }

    #[test]
    fn the_largest_map_that_can_be_written_down_is_large() {
        let most = u32::MAX;
        for kind in [MapType::Hash, MapType::PercpuHash, MapType::PercpuArray, MapType::Array] {
            let largest =
                Dimensions { map: "m".into(), kind, key_size: most, value_size: most, max_entries: most, flags: 0 };
            assert!(largest.bytes(256) > 1 << 60, "{kind:?}");
        }
    }
}

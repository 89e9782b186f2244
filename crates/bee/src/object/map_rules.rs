//! What each type of map must be for a kernel to create it: the kernel itself says `EINVAL` of them all. After `map_alloc_check` of each
//! type in <https://github.com/torvalds/linux/tree/master/kernel/bpf>.

use std::fs;

use libbpf_rs::MapType;

use crate::object::map_memory::Dimensions;

/// `BPF_F_…` of <linux/bpf.h>.
const NO_PREALLOC: u32 = 1;
const BUILD_ID: u32 = 1 << 5;
const MMAPABLE: u32 = 1 << 10;
/// The most of one CPU's value (`PCPU_MIN_UNIT_SIZE`), and of a hash's key and value together.
const PER_CPU_VALUE: u32 = 32 << 10;
const ELEMENT: u32 = 4 << 20;
/// A stack's address, and where nobody has changed it the most addresses of one stack.
pub const FRAME: u32 = 8;
const FRAMES: u32 = 127;
/// The longest prefix of a trie, in bytes, and its length before it.
const TRIE_KEY: std::ops::RangeInclusive<u32> = 5..=260;

/// How a map is not as its type must be; `None` if nothing is wrong, as far as is known.
pub fn broken(map: &Dimensions) -> Option<String> {
    key(map).or_else(|| value(map)).or_else(|| entries(map)).or_else(|| flags(map))
}

/// The most addresses of a stack that this kernel keeps.
pub fn most_frames() -> u32 {
    let most = fs::read_to_string("/proc/sys/kernel/perf_event_max_stack").ok();
    most.and_then(|most| most.trim().parse().ok()).unwrap_or(FRAMES)
}

fn key(map: &Dimensions) -> Option<String> {
    let size = map.key_size;
    let expected = match map.kind {
        MapType::RingBuf | MapType::UserRingBuf | MapType::Queue | MapType::Stack | MapType::BloomFilter
            if size != 0 =>
        {
            "no key"
        }
        kind if is_indexed(kind) && size != 4 => "a key of 4 bytes",
        MapType::StackTrace | MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage if size != 4 => {
            "a key of 4 bytes"
        }
        MapType::LpmTrie if !TRIE_KEY.contains(&size) => {
            "a key of 5 to 260 bytes, of which 4 are the length of the prefix"
        }
        kind if is_hash(kind) && size == 0 => "a key, by __type(key, …) or __uint(key_size, …)",
        _ => return None,
    };
    Some(format!("{} needs {expected}, and key_size is {size}", name(map.kind)))
}

fn value(map: &Dimensions) -> Option<String> {
    let size = map.value_size;
    let expected = match map.kind {
        MapType::RingBuf | MapType::UserRingBuf if size != 0 => "no value",
        MapType::StackTrace => return stack(map),
        MapType::ProgArray | MapType::PerfEventArray | MapType::CgroupArray if size != 4 => "a value of 4 bytes",
        MapType::ArrayOfMaps | MapType::HashOfMaps if size != 4 => "a value of 4 bytes",
        kind if has_values(kind) && size == 0 => "a value, by __type(value, …) or __uint(value_size, …)",
        kind if is_per_cpu(kind) && size > PER_CPU_VALUE => "a value of at most 32768 bytes for each CPU",
        kind if is_hash(kind) && map.key_size.saturating_add(size) > ELEMENT => "keys and values of at most 4 MiB",
        _ => return None,
    };
    Some(format!("{} needs {expected}, and value_size is {size}", name(map.kind)))
}

/// A stack is addresses, or where each is a build id and an offset 32 bytes.
fn stack(map: &Dimensions) -> Option<String> {
    let frame = if map.flags & BUILD_ID != 0 { 32 } else { FRAME };
    let (size, most) = (map.value_size, most_frames());
    if size >= frame && size.is_multiple_of(frame) && size / frame <= most {
        return None;
    }
    Some(format!(
        "a stack trace map needs a value of {frame} bytes for each of 1 to {most} addresses (sysctl kernel.perf_event_max_stack), and \
         value_size is {size}"
    ))
}

fn entries(map: &Dimensions) -> Option<String> {
    let entries = map.max_entries;
    let expected = match map.kind {
        MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage if entries != 0 => "no max_entries",
        MapType::CgroupStorage | MapType::PercpuCgroupStorage if entries != 0 => "no max_entries",
        // As many as there are CPUs: libbpf says it.
        MapType::PerfEventArray => return None,
        // libbpf rounds up to a power of two, which above this there is none of.
        MapType::RingBuf | MapType::UserRingBuf if entries > 1 << 31 || entries == 0 => {
            "max_entries, its size in bytes, of a power of two times the size of a page and at most 2 GiB"
        }
        kind if (is_hash(kind) || has_values(kind) || is_indexed(kind) || kind == MapType::StackTrace)
            && !is_local(kind)
            && entries == 0 =>
        {
            "max_entries above 0"
        }
        _ => return None,
    };
    Some(format!("{} needs {expected}, and max_entries is {entries}", name(map.kind)))
}

fn flags(map: &Dimensions) -> Option<String> {
    let is_preallocated = map.flags & NO_PREALLOC == 0;
    let expected = match map.kind {
        MapType::LpmTrie if is_preallocated => "__uint(map_flags, BPF_F_NO_PREALLOC)",
        kind if is_local(kind) && is_preallocated => "__uint(map_flags, BPF_F_NO_PREALLOC)",
        MapType::LruHash | MapType::LruPercpuHash if !is_preallocated => "map_flags without BPF_F_NO_PREALLOC",
        MapType::Arena if map.flags & MMAPABLE == 0 => "__uint(map_flags, BPF_F_MMAPABLE)",
        _ => return None,
    };
    Some(format!("{} needs {expected}", name(map.kind)))
}

/// As a sentence names a map of this type.
pub fn name(kind: MapType) -> String {
    match kind {
        MapType::RingBuf => "a ring buffer".to_owned(),
        MapType::UserRingBuf => "a user ring buffer".to_owned(),
        MapType::PerfEventArray => "a perf buffer".to_owned(),
        MapType::StackTrace => "a stack trace map".to_owned(),
        MapType::Hash => "a hash".to_owned(),
        MapType::Array => "an array".to_owned(),
        MapType::LpmTrie => "an LPM trie".to_owned(),
        other => format!("a map of type {other:?}"),
    }
}

/// The first kernel that has maps of this type, where it is not older than bee asks for.
pub fn since(kind: MapType) -> Option<&'static str> {
    match kind {
        MapType::RingBuf => Some("5.8"),
        MapType::InodeStorage => Some("5.10"),
        MapType::TaskStorage => Some("5.11"),
        MapType::BloomFilter => Some("5.16"),
        MapType::UserRingBuf => Some("6.1"),
        MapType::Arena => Some("6.9"),
        _ => None,
    }
}

pub fn is_hash(kind: MapType) -> bool {
    use MapType::{Hash, HashOfMaps, LruHash, LruPercpuHash, PercpuHash};
    matches!(kind, Hash | PercpuHash | LruHash | LruPercpuHash | HashOfMaps)
}

/// Whether its key is a number from 0 on.
fn is_indexed(kind: MapType) -> bool {
    use MapType::{Array, ArrayOfMaps, CgroupArray, PercpuArray, PerfEventArray, ProgArray};
    matches!(kind, Array | PercpuArray | ProgArray | PerfEventArray | CgroupArray | ArrayOfMaps)
}

fn is_per_cpu(kind: MapType) -> bool {
    matches!(kind, MapType::PercpuHash | MapType::PercpuArray | MapType::LruPercpuHash)
}

/// Whether it holds something for each task, socket, inode or cgroup, and grows with them.
fn is_local(kind: MapType) -> bool {
    matches!(kind, MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage)
}

fn has_values(kind: MapType) -> bool {
    use MapType::{Array, BloomFilter, LpmTrie, PercpuArray, Queue, Stack};
    matches!(kind, Array | PercpuArray | LpmTrie | Queue | Stack | BloomFilter) || is_hash(kind) || is_local(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: MapType, key_size: u32, value_size: u32, max_entries: u32, flags: u32) -> String {
        let map = Dimensions { map: "m".into(), kind, key_size, value_size, max_entries, flags };
        broken(&map).unwrap_or_default()
    }

    #[test]
    fn what_the_kernel_would_refuse_without_a_reason_has_one() {
        for (said, reason) in [
            (said(MapType::StackTrace, 4, 0, 10, 0), "needs a value of 8 bytes for each of 1 to"),
            (said(MapType::StackTrace, 4, 12, 10, 0), "and value_size is 12"),
            (said(MapType::StackTrace, 4, 40, 10, BUILD_ID), "needs a value of 32 bytes"),
            (said(MapType::StackTrace, 4, 1016, 0, 0), "needs max_entries above 0"),
            (said(MapType::StackTrace, 8, 1016, 10, 0), "needs a key of 4 bytes, and key_size is 8"),
            (
                said(MapType::RingBuf, 0, 0, u32::MAX, 0),
                "a ring buffer needs max_entries, its size in bytes, of a power",
            ),
            (said(MapType::RingBuf, 0, 8, 4096, 0), "a ring buffer needs no value"),
            (said(MapType::Hash, 0, 8, 10, 0), "a hash needs a key"),
            (said(MapType::LruHash, 4, 0, 10, 0), "a map of type LruHash needs a value"),
            (said(MapType::LruHash, 4, 8, 10, NO_PREALLOC), "without BPF_F_NO_PREALLOC"),
            (said(MapType::PercpuArray, 4, 40_000, 1, 0), "at most 32768 bytes for each CPU"),
            (said(MapType::Hash, 4, 5 << 20, 1, 0), "at most 4 MiB"),
            (said(MapType::Array, 8, 8, 1, 0), "an array needs a key of 4 bytes, and key_size is 8"),
            (said(MapType::PerfEventArray, 4, 8, 2, 0), "a perf buffer needs a value of 4 bytes"),
            (said(MapType::LpmTrie, 8, 8, 8, 0), "BPF_F_NO_PREALLOC"),
            (said(MapType::LpmTrie, 4, 8, 8, NO_PREALLOC), "a key of 5 to 260 bytes"),
            (said(MapType::TaskStorage, 4, 8, 8, NO_PREALLOC), "needs no max_entries"),
            (said(MapType::Queue, 4, 8, 8, 0), "needs no key"),
            (said(MapType::BloomFilter, 0, 8, 0, 0), "needs max_entries above 0"),
        ] {
            assert!(said.contains(reason), "{reason}: {said:?}");
        }
    }

    #[test]
    fn of_what_the_kernel_takes_nothing_is_wrong() {
        for said in [
            said(MapType::StackTrace, 4, 8, 10, 0),
            said(MapType::RingBuf, 0, 0, 100, 0),
            said(MapType::PercpuHash, 1, 32 << 10, 1, 0),
            said(MapType::LpmTrie, 8, 1, 1, NO_PREALLOC),
            said(MapType::TaskStorage, 4, 8, 0, NO_PREALLOC),
            said(MapType::ArrayOfMaps, 4, 4, 1, 0),
            said(MapType::Queue, 0, 8, 8, 0),
            said(MapType::PerfEventArray, 4, 4, 0, 0),
        ] {
            assert_eq!(said, "");
        }
    }
}

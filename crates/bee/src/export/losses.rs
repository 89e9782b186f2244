//! What was lost: events that a full ring buffer refused and keys that a full hash did, which bee.h counts in a probe's global variables,
//! and records of perf buffers, which the kernel counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::decode::btf::Btf;
use crate::export::map::Exported;
use crate::kernel::probe::Probe;
use crate::object::{FAILURES, Map, Source};

/// The account of one probe.
pub struct Losses {
    globals: Option<MapHandle>,
    offsets: BTreeMap<String, u32>,
    /// What the kernel tells of perf buffers, or a recording of its maps.
    told: BTreeMap<String, AtomicU64>,
}

impl Losses {
    pub fn new(probe: &Probe, btf: &Btf, maps: &[Exported]) -> Self {
        let told = maps.iter().filter(|exported| exported.backing.is_perf_buffer());
        let told = told.map(|exported| (exported.map.name.clone(), AtomicU64::new(0))).collect();
        let offsets = btf.offsets(".bss").into_iter().map(|(name, offset)| (name.to_owned(), offset)).collect();
        Self { globals: probe.globals(), offsets, told }
    }

    /// For a recording, which says itself what was lost of these maps.
    pub fn recorded(maps: impl IntoIterator<Item = String>) -> Self {
        let told = maps.into_iter().map(|map| (map, AtomicU64::new(0))).collect();
        Self { globals: None, offsets: BTreeMap::new(), told }
    }

    /// Notes what the kernel, or a recording, says was lost of a map.
    pub fn add(&self, map: &Map, count: u64) {
        if let Some(lost) = self.told.get(&map.name) {
            lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How many of a map's events or keys were lost; `None` if the probe does not count them, for then nobody knows.
    pub fn of(&self, map: &Map) -> Option<u64> {
        if let Some(lost) = self.told.get(&map.name) {
            return Some(lost.load(Ordering::Relaxed));
        }
        let prefix = if matches!(map.source, Source::Events(_)) { "bee_lost_" } else { FAILURES };
        let offset = *self.offsets.get(&format!("{prefix}{}", map.name))? as usize;
        let globals = self.globals.as_ref()?.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok()??;
        let bytes = globals.get(offset..offset + 8)?;
        bytes.try_into().ok().map(u64::from_ne_bytes)
    }
}

//! The kernel's functions that a recording names: another machine has them elsewhere, and who replays may not ask the kernel.

use std::collections::HashSet;

use crate::allowance::Allowance;
use crate::decode::host::{self, function};
use crate::decode::layout::Layout;
use crate::decode::typedefs::Meaning;
use crate::export::map::Exported;
use crate::kernel::map_reader::Elements;
use crate::object::Source;

/// So many functions are named at the most, by a recording and in its replay; the rest stay numbers.
const LIMIT: usize = 1 << 16;

/// The kernel's own names are shorter (KSYM_NAME_LEN, 512 since Linux 6.1), also with the distance from where they begin.
const NAME_LIMIT: usize = 600;

/// What an entry of a table takes besides its name.
const ENTRY: usize = 64;

/// An address and its function, as in `tcp_connect+0x1f`.
pub type Named = (u64, String);

/// Where the addresses are in a run's data, and which of them are named already.
pub struct Functions {
    /// Of each map.
    places: Vec<Places>,
    named: HashSet<u64>,
}

/// Offsets in bytes: in events or keys, and in values.
struct Places {
    key: Vec<usize>,
    value: Vec<usize>,
}

impl Functions {
    pub fn new(maps: &[Exported]) -> Self {
        let addresses = |layout: &Layout| layout.places(Meaning::KernelAddress);
        let places = |exported: &Exported| match &exported.map.source {
            Source::Events(layout) => Places { key: addresses(layout), value: vec![] },
            // Values of all processors are shown as their sum, which is no address.
            Source::Elements { key, per_cpu: true, .. } => Places { key: addresses(key), value: vec![] },
            Source::Elements { key, value, .. } => Places { key: addresses(key), value: addresses(value) },
        };
        Self { places: maps.iter().map(places).collect(), named: HashSet::new() }
    }

    /// Those of an event that have not been named yet.
    pub fn in_event(&mut self, map: usize, record: &[u8]) -> Vec<Named> {
        let Self { places, named } = self;
        places.get(map).map_or_else(Vec::new, |places| new(named, &places.key, record).collect())
    }

    /// Those of a map's elements that have not been named yet.
    pub fn in_elements(&mut self, map: usize, elements: &Elements) -> Vec<Named> {
        let Self { places, named } = self;
        let Some(Places { key, value }) = places.get(map).filter(|Places { key, value }| key.len() + value.len() > 0)
        else {
            return vec![];
        };
        let mut found = vec![];
        for (key_bytes, value_bytes) in elements.iter() {
            found.extend(new(named, key, key_bytes));
            found.extend(new(named, value, value_bytes));
        }
        found
    }
}

/// Takes names from a recording, which may be somebody else's.
pub fn learn(named: Vec<Named>, allowance: &Allowance) {
    let has_room = |(_, name): &Named| name.len() <= NAME_LIMIT && allowance.take(name.len() + ENTRY).is_ok();
    host::learn_functions(named.into_iter().filter(has_room), LIMIT);
}

fn new(named: &mut HashSet<u64>, places: &[usize], bytes: &[u8]) -> impl Iterator<Item = Named> {
    let address = |place: &usize| bytes.get(*place..)?.first_chunk().copied().map(u64::from_le_bytes);
    let fresh = |address: &u64| named.len() < LIMIT && named.insert(*address);
    places.iter().filter_map(address).filter(fresh).filter_map(|address| Some((address, function(address)?)))
}

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
    /// Of events whose length says how many addresses they have.
    open: Option<Layout>,
}

impl Functions {
    pub fn new(maps: &[Exported]) -> Self {
        let places = maps.iter().map(|exported| Places::from_source(&exported.map.source)).collect();
        Self { places, named: HashSet::new() }
    }

    /// Those of an event that have not been named yet.
    pub fn in_event(&mut self, map: usize, record: &[u8]) -> Vec<Named> {
        let mut found = vec![];
        let Some(Places { key, open, .. }) = self.places.get(map) else { return found };
        match open {
            Some(layout) => {
                let places = layout.places(Meaning::KernelAddress, record.len());
                add_new(&mut found, &mut self.named, &places, record);
            }
            None => add_new(&mut found, &mut self.named, key, record),
        }
        found
    }

    /// Those of a map's elements that have not been named yet.
    pub fn in_elements(&mut self, map: usize, elements: &Elements) -> Vec<Named> {
        let mut found = vec![];
        let Some(Places { key, value, .. }) = self.places.get(map) else { return found };
        if key.is_empty() && value.is_empty() {
            return found;
        }
        for (key_bytes, value_bytes) in elements.iter() {
            add_new(&mut found, &mut self.named, key, key_bytes);
            add_new(&mut found, &mut self.named, value, value_bytes);
        }
        found
    }
}

impl Places {
    fn from_source(source: &Source) -> Self {
        match source {
            Source::Events(layout) => {
                let open = layout.is_open().then(|| layout.clone());
                Self { key: addresses(layout), value: vec![], open }
            }
            // Values of all processors are shown as their sum, which is no address.
            Source::Elements { key, per_cpu: true, .. } => Self { key: addresses(key), value: vec![], open: None },
            Source::Elements { key, value, .. } => Self { key: addresses(key), value: addresses(value), open: None },
        }
    }
}

fn addresses(layout: &Layout) -> Vec<usize> {
    layout.places(Meaning::KernelAddress, layout.size)
}

fn add_new(found: &mut Vec<Named>, named: &mut HashSet<u64>, places: &[usize], bytes: &[u8]) {
    for place in places {
        let Some(address) = address_at(bytes, *place) else { continue };
        if named.len() >= LIMIT || !named.insert(address) {
            continue;
        }
        if let Some(function) = function(address) {
            found.push((address, function));
        }
    }
}

fn address_at(bytes: &[u8], place: usize) -> Option<u64> {
    bytes.get(place..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// Takes names from a recording, which may be somebody else's.
pub fn learn(named: Vec<Named>, allowance: &Allowance) {
    let named =
        named.into_iter().filter(|(_, name)| name.len() <= NAME_LIMIT && allowance.take(name.len() + ENTRY).is_ok());
    host::learn_functions(named, LIMIT);
}

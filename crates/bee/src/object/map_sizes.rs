//! How many entries a map has where its definition leaves that to user space: `--map-size NAME=N`, or else what is usual.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use libbpf_rs::MapType;

use crate::object::map_memory::Dimensions;
use crate::object::map_rules::{self, FRAME, is_hash};

/// As libbpf-tools have it.
const ENTRIES: u32 = 10_240;
/// Of a ring buffer, in bytes.
const RING: u32 = 256 << 10;
const MOST_FRAMES: u32 = 127;

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapSize {
    pub map: String,
    pub entries: u32,
}

/// A text that says no map's size.
#[derive(Debug, thiserror::Error)]
#[error("invalid map size {0:?}: expected NAME=N with N from 1 to {max}", max = u32::MAX)]
pub struct Malformed(String);

/// Why a map can't have its size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no probe has a map {name}; maps: {known}")]
    Unknown { name: String, known: String },
    #[error("--map-size can't change map {0}: a perf buffer has one entry for each CPU")]
    PerfBuffer(String),
    #[error("map {0} was given two sizes")]
    Twice(String),
}

impl FromStr for MapSize {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let split = text.split_once('=').filter(|(map, _)| !map.is_empty());
        let parsed = split.and_then(|(map, entries)| Some((map, entries.parse().ok().filter(|entries| *entries > 0)?)));
        let (map, entries) = parsed.ok_or_else(|| Malformed(text.to_owned()))?;
        Ok(Self { map: map.to_owned(), entries })
    }
}

/// As it was written.
impl fmt::Display for MapSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.map, self.entries)
    }
}

/// Sees that some probe has each map, of those that these are.
///
/// # Errors
/// None has it, or its size is not anybody's to choose.
pub fn check(maps: &[Dimensions], sizes: &[MapSize]) -> Result<(), Error> {
    for (index, MapSize { map: name, .. }) in sizes.iter().enumerate() {
        if sizes[..index].iter().any(|other| other.map == *name) {
            return Err(Error::Twice(name.clone()));
        }
        let named = maps.iter().find(|map| map.map == *name && is_of_the_author(name));
        match named {
            Some(map) if map.kind == MapType::PerfEventArray => return Err(Error::PerfBuffer(name.clone())),
            Some(_) => {}
            None => return Err(Error::Unknown { name: name.clone(), known: known(maps) }),
        }
    }
    Ok(())
}

/// libbpf names the maps of global variables itself, with a dot.
fn is_of_the_author(name: &str) -> bool {
    !name.contains('.')
}

fn known(maps: &[Dimensions]) -> String {
    let sizable = maps.iter().filter(|map| is_of_the_author(&map.map) && map.kind != MapType::PerfEventArray);
    let names: BTreeSet<_> = sizable.map(|map| map.map.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
}

/// What a map gets that its definition does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usual {
    pub map: String,
    pub max_entries: Option<u32>,
    pub value_size: Option<u32>,
}

/// What is taken for what user space was to say; `None` where nothing is left open.
pub fn usual(map: &Dimensions) -> Option<Usual> {
    let max_entries = if map.max_entries == 0 { usual_entries(map.kind) } else { None };
    let frames = map_rules::most_frames().min(MOST_FRAMES);
    let value_size = (map.kind == MapType::StackTrace && map.value_size == 0).then_some(frames * FRAME);
    let is_open = max_entries.is_some() || value_size.is_some();
    is_open.then(|| Usual { map: map.map.clone(), max_entries, value_size })
}

fn usual_entries(kind: MapType) -> Option<u32> {
    match kind {
        MapType::RingBuf => Some(RING),
        MapType::Array | MapType::PercpuArray | MapType::StackTrace | MapType::LpmTrie => Some(ENTRIES),
        MapType::Queue | MapType::Stack | MapType::BloomFilter => Some(ENTRIES),
        kind if is_hash(kind) => Some(ENTRIES),
        _ => None,
    }
}

impl fmt::Display for Usual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { map, max_entries, value_size } = self;
        write!(f, "map {map} leaves its size to user space:")?;
        if let Some(entries) = max_entries {
            write!(f, " max_entries {entries} taken (--map-size {map}=N for another)")?;
        }
        let and = if max_entries.is_some() { "," } else { "" };
        value_size.map_or(Ok(()), |size| write!(f, "{and} value_size {size} taken"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(name: &str, kind: MapType, value_size: u32, max_entries: u32) -> Dimensions {
        Dimensions { map: name.into(), kind, key_size: 4, value_size, max_entries, flags: 0 }
    }

    #[test]
    fn a_size_is_a_name_and_a_number_above_nothing() {
        let size = MapSize { map: "starts".into(), entries: 4096 };
        assert_eq!("starts=4096".parse::<MapSize>().unwrap(), size);
        assert_eq!(size.to_string(), "starts=4096");
        for wrong in ["", "starts", "=1", "starts=", "starts=0", "starts=-1", "starts=4k", "starts=4294967296", "a=1=2"]
        {
            assert!(wrong.parse::<MapSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_is_for_a_map_that_there_is() {
        let maps = [
            map("starts", MapType::Hash, 8, 0),
            map("ends", MapType::LruHash, 8, 1),
            map("events", MapType::PerfEventArray, 4, 0),
            map("bee.bss", MapType::Array, 8, 1),
        ];
        let refused = |sizes: &[&str]| {
            let sizes: Vec<_> = sizes.iter().map(|size| size.parse().unwrap()).collect();
            check(&maps, &sizes).map_err(|error| error.to_string())
        };
        assert_eq!(refused(&["starts=1", "ends=2"]), Ok(()));
        assert_eq!(refused(&["strats=1"]), Err("no probe has a map strats; maps: ends, starts".into()));
        assert!(refused(&["bee.bss=1"]).unwrap_err().starts_with("no probe has a map bee.bss"));
        assert!(refused(&["events=1"]).unwrap_err().contains("one entry for each CPU"));
        assert_eq!(refused(&["starts=1", "starts=2"]), Err("map starts was given two sizes".into()));
    }

    #[test]
    fn what_is_left_open_gets_what_is_usual_and_nothing_else_changes() {
        let said = |kind, value, entries| usual(&map("m", kind, value, entries)).map(|usual| usual.to_string());
        let hash = "map m leaves its size to user space: max_entries 10240 taken (--map-size m=N for another)";
        assert_eq!(said(MapType::Hash, 8, 0).as_deref(), Some(hash));
        assert_eq!(said(MapType::Hash, 8, 1), None);
        assert!(said(MapType::RingBuf, 0, 0).unwrap().contains("max_entries 262144"));
        assert!(
            said(MapType::StackTrace, 0, 0).unwrap().contains("10240 taken (--map-size m=N for another), value_size")
        );
        assert!(said(MapType::StackTrace, 0, 5).unwrap().contains("user space: value_size"));
        assert_eq!(said(MapType::PerfEventArray, 4, 0), None, "libbpf does");
        assert_eq!(said(MapType::TaskStorage, 8, 0), None, "it has none");
    }
}

//! A probe's object file: what maps it has and what is to become of them, as pure functions over bytes.
//!
//! The workshop writes maps into sections named `.maps.print` or `.maps.counter`, which libbpf does not know; [`normalise`]
//! turns such an object into one that it does. [`inspect`] says what bee will export, or why it can't.

pub mod by_cpu;
mod definition;
pub(crate) mod elf;
mod encode;
mod error;
mod event_sizes;
mod functions;
mod helpers;
pub(crate) mod lines;
pub mod map_memory;
pub mod map_rules;
mod map_sections;
pub mod map_sizes;
mod map_uses;
pub mod measures;
pub mod names;
pub mod params;
mod type_name;
pub(crate) mod undefined;
pub mod variants;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::allowance::Allowance;
use crate::decode::btf::{Btf, TypeId};
use crate::decode::bucket_key;
use crate::decode::canonical::Canonical;
use crate::decode::histogram::{self, Buckets};
use crate::decode::labels::Labels;
use crate::decode::layout::{Field, Layout};
use crate::decode::stack_fields::{bind, stacks_in};
use crate::decode::stacks::{Placed, Table};
use crate::object::map_sizes::MapSize;
use crate::object::params::Constant;

pub use error::{BadMap, Error};
pub use map_uses::uses;

/// The longest object that is looked at. The workshop's have some kilobytes, debug information some hundred; a program of the kernel's own
/// limit, a million instructions, has 8 MB.
pub const SIZE_LIMIT: usize = 16 << 20;

/// What a map is, is copied to who shows it and who counts it.
const COPIES: usize = 4;

/// The most maps that one object may have; the kernel allows a program 64.
const MAPS_LIMIT: usize = 1024;

/// What becomes of a map's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Shown as it comes.
    Print,
    /// A metric that only grows.
    Counter,
    /// A metric that goes up and down.
    Gauge,
    /// How many events had which value.
    Histogram,
}

/// An object that libbpf can load, and what its maps mean.
#[derive(Debug)]
pub struct Inspection {
    /// The object with all maps in the section `.maps`.
    pub object: Vec<u8>,
    /// The maps that are exported, in the object's order.
    pub maps: Vec<Map>,
    pub btf: Btf,
    /// The map of stacks, and where they are known when it runs.
    pub stacks: Option<(String, Arc<Table>)>,
    /// Whether a program of it calls `bpf_printk`.
    pub prints: bool,
    /// What replaces the object's own constants.
    pub constants: Vec<Constant>,
    /// How large its maps are to be, where somebody says so.
    pub sizes: Vec<MapSize>,
}

/// What is said of a probe that exports nothing, as every ordinary program of libbpf's.
pub const EXPORTS_NOTHING: &str = "nothing of it is exported: declare a map SEC(\".maps.print\"), .maps.counter, .maps.gauge or \
     .maps.hist, or begin its name with print_, counter_, gauge_ or hist_";

/// What is said of a probe that prints where nobody looks.
pub const PRINTS: &str =
    "what it says with bpf_printk goes to the kernel's trace pipe: `bee run --trace-pipe` shows it";

impl Inspection {
    /// Whether nothing of it would be seen: no map is exported, and none of its programs, which have these sections, is an iterator.
    pub fn exports_nothing<'a>(&self, mut sections: impl Iterator<Item = &'a str>) -> bool {
        self.maps.is_empty() && !sections.any(|section| section.starts_with("iter"))
    }
}

/// A map that is exported.
#[derive(Debug, Clone)]
pub struct Map {
    pub name: String,
    pub kind: Kind,
    pub source: Source,
    /// What the probe says that it is, with `BEE_HELP` and `BEE_UNIT`.
    pub help: Option<String>,
    pub unit: Option<String>,
    /// The bounds of a histogram, as `BEE_BUCKETS` has them.
    pub buckets: Option<Buckets>,
    /// Of the events of a gauge or histogram: the field that is its value.
    pub value: String,
    /// Whether the elements of a per-CPU map are each CPU's.
    pub by_cpu: bool,
}

/// The field that gauges and histograms take their value from if nobody names another.
const VALUE: &str = "value";
/// What bee.h calls its count of the keys that a hash refused, before the map's name.
pub(crate) const FAILURES: &str = "bee_failed_";
/// The field that histograms take it from where there is none of that name.
const BOUND: &str = "le";

impl Map {
    /// How much memory it takes to know it, in bytes.
    fn memory(&self) -> usize {
        let layouts = match &self.source {
            Source::Events(layout) => layout.memory(),
            Source::Elements { key, value, .. } => key.memory() + value.memory(),
        };
        let said = [&self.help, &self.unit].into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + self.name.len() + said + layouts
    }

    /// How the keys of its series become canonical.
    pub fn canonical(&self) -> Canonical {
        match &self.source {
            Source::Events(layout) => Canonical::new(layout, self.value()),
            Source::Elements { key, .. } => Canonical::new(key, None),
        }
    }

    /// The labels of its series.
    pub fn labels(&self) -> Labels {
        match &self.source {
            Source::Events(layout) => Labels::new(layout, self.value().map(|field| field.name.as_str())),
            Source::Elements { key, .. } if self.kind == Kind::Histogram => {
                Labels::new(key, Some(if key.is_integer() { "" } else { bucket_key::FIELD }))
            }
            Source::Elements { key, .. } => Labels::new(key, None),
        }
    }
}

impl Map {
    /// The field of an event that is the value of a gauge or histogram.
    pub fn value(&self) -> Option<&Field> {
        match self.kind {
            Kind::Gauge | Kind::Histogram => self.integer_field(&self.value),
            Kind::Print | Kind::Counter => None,
        }
    }

    /// The field of this name of an event, if it is an integer.
    pub fn integer_field(&self, name: &str) -> Option<&Field> {
        let Source::Events(layout) = &self.source else { return None };
        layout.integer_field(name)
    }
}

/// Where a map's data comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A ring buffer's or perf buffer's events.
    Events(Layout),
    /// A hash's or array's elements; with `per_cpu`, each has a value for every processor.
    Elements { key: Layout, value: Layout, per_cpu: bool },
}

impl Source {
    fn bind(&mut self, stacks: Option<&Arc<Table>>) {
        match self {
            Self::Events(layout) => bind(layout, stacks),
            Self::Elements { key, value, .. } => {
                bind(key, stacks);
                bind(value, stacks);
            }
        }
    }

    /// The stacks of its events or keys, where they are in bytes, and those of its values.
    pub(crate) fn stacks(&self) -> [Placed; 2] {
        match self {
            Self::Events(layout) => [stacks_in(layout), vec![]],
            // Values of all CPUs are shown as their sum.
            Self::Elements { key, per_cpu: true, .. } => [stacks_in(key), vec![]],
            Self::Elements { key, value, .. } => [stacks_in(key), stacks_in(value)],
        }
    }

    pub(crate) fn has_stacks(&self) -> bool {
        self.stacks().iter().any(|stacks| !stacks.is_empty())
    }
}

/// Reads an object and says what bee will export.
///
/// # Errors
/// It is no BPF object, is cut off, or has maps that can't be exported; the error names them.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Error> {
    inspect_within(bytes, &Allowance::of_a_file())
}

/// The same for an object that is a part of something.
pub(crate) fn inspect_within(bytes: &[u8], allowance: &Allowance) -> Result<Inspection, Error> {
    if bytes.len() > SIZE_LIMIT {
        return Err(Error::TooLong);
    }
    let (object, sections) = map_sections::normalise(bytes)?;
    allowance.take(object.len())?;
    let elf = elf::Elf::parse(&object)?;
    functions::check(&elf)?;
    let prints = helpers::prints(&elf)?;
    let btf = Btf::parse(elf.section_bytes(".BTF")?.ok_or(Error::NoBtf)?, allowance)?;
    let stacks = definition::stack_map(&btf).map(|name| (name, Arc::default()));
    let maps = maps(&btf, &sections, stacks.as_ref().map(|(_, table)| table), allowance)?;
    let object = event_sizes::leave_out(object, &btf, &maps)?;
    Ok(Inspection { object, maps, btf, stacks, prints, constants: vec![], sizes: vec![] })
}

/// The maps that are exported.
fn maps(
    btf: &Btf,
    sections: &BTreeMap<String, Kind>,
    stacks: Option<&Arc<Table>>,
    allowance: &Allowance,
) -> Result<Vec<Map>, Error> {
    let (mut maps, mut bad, tags) = (vec![], vec![], btf.tags());
    for (name, definition) in btf.variables(".maps").unwrap_or_default() {
        let kind = sections.get(name).copied().or_else(|| Kind::from_prefix(name));
        let Some(kind) = kind else { continue };
        if maps.len() + bad.len() == MAPS_LIMIT {
            return Err(Error::TooMany);
        }
        let tags = tags.get(name).map(Vec::as_slice).unwrap_or_default();
        match map(btf, definition, kind, (name, tags), stacks) {
            Ok(map) => {
                allowance.take(COPIES * map.memory())?;
                maps.push(map);
            }
            Err(why) => {
                allowance.take(name.len() + why.len())?;
                bad.push(BadMap { map: name.to_owned(), why });
            }
        }
    }
    if !bad.is_empty() {
        return Err(Error::Maps(bad));
    }
    if let Some((first, second, name)) = names::clash(maps.iter()) {
        let why = format!("its metric {name} would be map {}'s as well: rename one of them", first.name);
        return Err(Error::Maps(vec![BadMap { map: second.name.clone(), why }]));
    }
    Ok(maps)
}

fn map(
    btf: &Btf,
    definition: TypeId,
    kind: Kind,
    (name, tags): (&str, &[&str]),
    stacks: Option<&Arc<Table>>,
) -> Result<Map, String> {
    let mut source = definition::source(btf, definition, kind)?;
    source.bind(stacks);
    let buckets = match value_of("buckets=", tags) {
        Some(text) => Some(text.parse().map_err(|error: histogram::Malformed| error.to_string())?),
        None => None,
    };
    let (help, unit) = (value_of("help=", tags), value_of("unit=", tags));
    let mut map =
        Map { name: name.to_owned(), kind, source, help, unit, buckets, value: VALUE.to_owned(), by_cpu: false };
    // BumbleBee's histograms have it so.
    if kind == Kind::Histogram && map.value().is_none() && map.integer_field(BOUND).is_some() {
        map.value = BOUND.to_owned();
    }
    names::check_labels(&map)?;
    names::check_metrics(&map)?;
    check_buckets(&map, btf)?;
    Ok(map)
}

/// What stands behind `name=` in the first tag that begins so.
fn value_of(name: &str, tags: &[&str]) -> Option<String> {
    tags.iter().find_map(|tag| tag.strip_prefix(name)).map(str::to_owned)
}

/// A histogram in a hash has its buckets from `BEE_OBSERVE`, which counts its failures with `BEE_HASH`, or says which they are.
/// ebpf_exporter's probes do neither, and have the sum of all values in the bucket behind the last.
fn check_buckets(map: &Map, btf: &Btf) -> Result<(), String> {
    let is_kept = map.kind == Kind::Histogram && matches!(map.source, Source::Elements { .. });
    let failures = format!("{FAILURES}{}", map.name);
    if is_kept && map.buckets.is_none() && !btf.offsets(".bss").contains_key(failures.as_str()) {
        let name = &map.name;
        return Err(format!(
            "nothing says what its buckets are: use BEE_OBSERVE with BEE_HASH({name}), or BEE_BUCKETS at the map"
        ));
    }
    Ok(())
}

impl Kind {
    /// The workshop's form: the section's suffix.
    fn from_section(name: &str) -> Option<Result<Self, Error>> {
        let suffix = name.strip_prefix(".maps.")?;
        Some(match suffix {
            "print" => Ok(Self::Print),
            "counter" => Ok(Self::Counter),
            "gauge" => Ok(Self::Gauge),
            "hist" => Ok(Self::Histogram),
            _ => Err(Error::Section(name.to_owned())),
        })
    }

    /// BumbleBee's newer form: the map's name begins with its kind.
    fn from_prefix(name: &str) -> Option<Self> {
        let kinds =
            [("print_", Self::Print), ("counter_", Self::Counter), ("gauge_", Self::Gauge), ("hist_", Self::Histogram)];
        kinds.into_iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, kind)| kind)
    }
}

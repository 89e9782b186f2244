//! A map's definition: a struct whose members' types carry the values.

use crate::decode::btf::{Btf, Member, TypeId};
use crate::decode::bucket_key::{self, BucketKey};
use crate::decode::layout::{Layout, LayoutError};
use crate::object::measures::Measures;
use crate::object::{Kind, Source, VALUE};

/// `enum bpf_map_type` of <linux/bpf.h>.
mod map_type {
    pub const HASH: u32 = 1;
    pub const ARRAY: u32 = 2;
    pub const PERF_EVENT_ARRAY: u32 = 4;
    pub const PERCPU_HASH: u32 = 5;
    pub const PERCPU_ARRAY: u32 = 6;
    pub const STACK_TRACE: u32 = 7;
    pub const LRU_HASH: u32 = 9;
    pub const LRU_PERCPU_HASH: u32 = 10;
    pub const RINGBUF: u32 = 27;
}

/// Where the data of the map comes from that is defined so.
pub fn source(btf: &Btf, definition: TypeId, kind: Kind) -> Result<Source, String> {
    let definition = Definition { btf, id: definition };
    match definition.number("type").ok_or("it has no __uint(type, …)")? {
        map_type::RINGBUF | map_type::PERF_EVENT_ARRAY => {
            let event =
                definition.layout("value").map_err(|why| format!("{why}{}", hint_of_events(&definition)))?.opened();
            if kind == Kind::Gauge && event.integer_field(VALUE).is_none() {
                return Err("a gauge takes its value from a field named `value`, and its events have none".to_owned());
            }
            Ok(Source::Events(event))
        }
        map_type::HASH | map_type::ARRAY | map_type::LRU_HASH => elements(definition, kind, false),
        map_type::PERCPU_HASH | map_type::PERCPU_ARRAY | map_type::LRU_PERCPU_HASH => elements(definition, kind, true),
        number => Err(format!(
            "maps of type {:?} are neither ring buffers, perf buffers, hashes nor arrays",
            libbpf_rs::MapType::from(number)
        )),
    }
}

/// `BPF_F_STACK_BUILD_ID`: it has places in files, not addresses.
const BUILD_IDS: u32 = 1 << 5;

/// The object's map of stacks, if it has exactly one.
pub fn stack_map(btf: &Btf) -> Option<String> {
    let mut found = None;
    for (name, id) in btf.variables(".maps").unwrap_or_default() {
        let definition = Definition { btf, id };
        if definition.number("type") != Some(map_type::STACK_TRACE) {
            continue;
        }
        let has_addresses = definition.number("map_flags").unwrap_or(0) & BUILD_IDS == 0;
        if found.is_some() || !has_addresses {
            return None;
        }
        found = Some(name.to_owned());
    }
    found
}

/// libbpf wants of a perf buffer no more than sizes.
fn hint_of_events(definition: &Definition) -> &'static str {
    if definition.member("value").is_some() { "" } else { ": write there which struct its events are" }
}

fn elements(definition: Definition, kind: Kind, per_cpu: bool) -> Result<Source, String> {
    let (key, value) = (definition.layout("key")?, definition.layout("value")?);
    if kind == Kind::Histogram {
        check_bucket_key(&key)?;
    }
    let has_numbers = !Measures::new(&value).numbers.is_empty();
    if kind == Kind::Histogram && !value.is_integer() {
        return Err("a histogram needs a value that is an integer".to_owned());
    }
    if kind != Kind::Print && !has_numbers {
        return Err("a metric needs a value that is an integer, or a struct with integers".to_owned());
    }
    if per_cpu && !has_numbers {
        return Err(
            "values of several CPUs can only be added up if they are integers, or structs with integers".to_owned()
        );
    }
    Ok(Source::Elements { key, value, per_cpu })
}

fn check_bucket_key(key: &Layout) -> Result<(), String> {
    match BucketKey::new(key) {
        None => Err(format!(
            "a histogram in a hash has a bucket in each element, and its key no integer named `{}` that says which",
            bucket_key::FIELD
        )),
        Some(key) if key.is_narrow() => Err(format!(
            "its key's `{}` has less than 32 bits: the sum of all values would be counted as a bucket",
            bucket_key::FIELD
        )),
        Some(_) => Ok(()),
    }
}

struct Definition<'a> {
    btf: &'a Btf,
    id: TypeId,
}

impl Definition<'_> {
    /// The number that `__uint(name, …)` says.
    fn number(&self, name: &str) -> Option<u32> {
        self.btf.array_length(self.btf.pointee(self.member(name)?.type_id)?)
    }

    /// The layout of the type that `__type(name, …)` says.
    fn layout(&self, name: &str) -> Result<Layout, String> {
        let pointer = self.member(name).ok_or_else(|| format!("it has no __type({name}, …)"))?;
        let target = self.btf.pointee(pointer.type_id).ok_or_else(|| format!("its {name} has no type"))?;
        Layout::from_btf(self.btf, target).map_err(|error: LayoutError| format!("its {name} {error}"))
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.btf.members(self.id)?.iter().find(|member| member.name == name)
    }
}

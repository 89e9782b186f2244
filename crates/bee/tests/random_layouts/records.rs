//! Random structs, and records of them whose every byte that is no field's is noise.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::fields::{self, Kind, VALUES};

/// The name of the number of a gauge or a histogram.
pub const NUMBER: &str = "value";

const FIELDS: usize = 8;

/// The fields of a struct by name.
#[derive(Debug, Clone)]
pub struct Struct(Vec<(String, Kind)>);

/// One event: which value each field has, and what lies where none is.
#[derive(Debug, Clone)]
pub struct Event {
    picks: Vec<usize>,
    number: usize,
    noise: u64,
}

/// A key, and an event of the same fields with a number among them.
pub fn structs() -> impl Strategy<Value = (Struct, Struct)> {
    (vec(fields::kind(), 1..=FIELDS), fields::number(), any::<prop::sample::Index>()).prop_map(
        |(kinds, number, place)| {
            let key: Vec<_> = kinds.into_iter().enumerate().map(|(index, kind)| (format!("f{index}"), kind)).collect();
            let mut event = key.clone();
            event.insert(place.index(key.len() + 1), (NUMBER.to_owned(), number));
            (Struct(key), Struct(event))
        },
    )
}

pub fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (vec(0..VALUES, FIELDS), 0..VALUES, any::<u64>());
    vec(event.prop_map(|(picks, number, noise)| Event { picks, number, noise }), 1..200)
}

impl Struct {
    pub fn declaration(&self, name: &str) -> String {
        let mut text = format!("struct {name} {{ ");
        for (field, kind) in &self.0 {
            let _ = write!(text, "{} ", kind.declaration(field));
        }
        let _ = write!(text, "}};\n_Static_assert(sizeof(struct {name}) == {}, \"the model's size\");\n", self.size());
        text
    }

    pub fn size(&self) -> usize {
        let alignment = self.0.iter().map(|(_, kind)| kind.alignment()).max().unwrap_or(1);
        self.offsets().1.next_multiple_of(alignment)
    }

    /// Where each field begins, and where the last one ends, in bytes.
    fn offsets(&self) -> (Vec<usize>, usize) {
        let mut offsets = vec![];
        let mut end = 0;
        for (_, kind) in &self.0 {
            let offset = usize::next_multiple_of(end, kind.alignment());
            offsets.push(offset);
            end = offset + kind.bits().div_ceil(8);
        }
        (offsets, end)
    }

    pub fn bytes(&self, event: &Event) -> Vec<u8> {
        let mut record = noise(event.noise, self.size());
        for ((name, kind), offset) in self.0.iter().zip(self.offsets().0) {
            kind.write(&mut record[offset..], event.pick(name));
        }
        record
    }

    /// The labels of an event and their texts.
    pub fn labels(&self, event: &Event) -> Vec<(String, String)> {
        let mut labels = vec![];
        for (name, kind) in self.0.iter().filter(|(name, _)| name != NUMBER) {
            labels.extend(kind.shown(event.pick(name)).into_iter().map(|it| (format!("{name}{}", it.suffix), it.text)));
        }
        labels
    }

    pub fn json(&self, event: &Event) -> Value {
        let fields = self.0.iter().map(|(name, kind)| (name.clone(), kind.json(event.pick(name))));
        Value::Object(fields.collect::<Map<_, _>>())
    }

    pub fn number(&self, event: &Event) -> i128 {
        self.field(NUMBER).integer(event.number)
    }

    pub fn field(&self, name: &str) -> &Kind {
        &self.0.iter().find(|(field, _)| field == name).unwrap().1
    }
}

impl Event {
    /// Fields are called by their number.
    pub fn pick(&self, field: &str) -> usize {
        field.strip_prefix('f').map_or(self.number, |index| self.picks[index.parse::<usize>().unwrap()])
    }
}

/// Bytes that differ from event to event: a linear congruential generator's, by Knuth's constants.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    next.take(length).collect()
}

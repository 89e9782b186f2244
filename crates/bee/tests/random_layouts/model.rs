//! What bee has to show of events: counted plainly, by the texts of their labels.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use crate::fields::{Kind, VALUES};
use crate::records::{Event, Struct};

/// The bounds of the histogram.
pub const BOUNDS: [i128; 3] = [0, 7, 100_000];

/// A sample's name and labels, and its value.
pub type Samples = BTreeMap<(String, Vec<(String, String)>), i128>;

/// `f0>=7`.
#[derive(Debug, Clone)]
pub struct Condition {
    field: Index,
    operator: &'static str,
    pick: usize,
}

pub fn condition() -> impl Strategy<Value = Condition> {
    // An empty text can't be written behind an operator.
    (any::<Index>(), select(vec!["==", "!=", ">=", "<=", ">", "<"]), 1..VALUES)
        .prop_map(|(field, operator, pick)| Condition { field, operator, pick })
}

/// A condition on one field of a struct.
pub struct Filter<'a> {
    field: String,
    kind: &'a Kind,
    operator: &'static str,
    pick: usize,
}

impl Condition {
    /// None for a field that is several.
    pub fn on<'a>(&self, of: &'a Struct, events: &[Event]) -> Option<Filter<'a>> {
        let labels = of.labels(events.first()?);
        let (field, _) = &labels[self.field.index(labels.len())];
        if field.contains('_') {
            return None;
        }
        let kind = of.field(field);
        let is_number = matches!(kind, Kind::Unsigned(_) | Kind::Signed(_) | Kind::Bits { .. });
        let operator = if is_number { self.operator } else { ["==", "!="][self.pick % 2] };
        Some(Filter { field: field.clone(), kind, operator, pick: self.pick })
    }
}

impl fmt::Display for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}{}{}", self.field, self.operator, self.kind.shown(self.pick)[0].text)
    }
}

impl Filter<'_> {
    pub fn takes(&self, event: &Event) -> bool {
        let pick = event.pick(&self.field);
        match self.operator {
            "==" => self.kind.json(pick) == self.kind.json(self.pick),
            "!=" => self.kind.json(pick) != self.kind.json(self.pick),
            ">=" => self.kind.integer(pick) >= self.kind.integer(self.pick),
            "<=" => self.kind.integer(pick) <= self.kind.integer(self.pick),
            ">" => self.kind.integer(pick) > self.kind.integer(self.pick),
            _ => self.kind.integer(pick) < self.kind.integer(self.pick),
        }
    }
}

pub fn samples(key: &Struct, event: &Struct, events: &[Event]) -> Samples {
    let mut samples = Samples::new();
    for it in events {
        let labels = sorted(key.labels(it));
        let number = event.number(it);
        add(&mut samples, "seen", &labels, 1);
        add(&mut samples, "kept", &labels, 1);
        samples.insert(("last".to_owned(), labels.clone()), number);
        add(&mut samples, "took_sum", &labels, number);
        add(&mut samples, "took_count", &labels, 1);
        for bound in BOUNDS {
            let labels = sorted([labels.clone(), vec![("le".to_owned(), bound.to_string())]].concat());
            add(&mut samples, "took_bucket", &labels, i128::from(number <= bound));
        }
        add(&mut samples, "took_bucket", &sorted([labels, vec![("le".to_owned(), "+Inf".to_owned())]].concat()), 1);
    }
    samples
}

fn add(samples: &mut Samples, name: &str, labels: &[(String, String)], number: i128) {
    samples.entry((name.to_owned(), labels.to_vec())).or_default().add_assign(number);
}

fn sorted(mut labels: Vec<(String, String)>) -> Vec<(String, String)> {
    labels.sort();
    labels
}

/// The same of what bee serves. No text here has a comma or needs an escape.
pub fn parse(metrics: &str) -> Samples {
    let mut samples = Samples::new();
    for line in metrics.lines() {
        let Some(line) = line.strip_prefix("ebpf_solo_io_") else { continue };
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap();
        let labels = labels.split(',').map(|label| label.split_once('=').unwrap());
        let labels = labels.map(|(name, text)| (name.to_owned(), text.trim_matches('"').to_owned())).collect();
        let before = samples.insert((name.to_owned(), sorted(labels)), value.parse().unwrap());
        assert_eq!(before, None, "a series stands twice: {line}");
    }
    samples
}

/// The events that a filter lets through, in their order.
pub fn lines(event: &Struct, events: &[Event], filter: Option<&Filter>) -> Vec<Value> {
    let shown = events.iter().filter(|it| filter.is_none_or(|filter| filter.takes(it)));
    shown.map(|it| event.json(it)).collect()
}

/// The events that bee printed.
pub fn printed(lines: &str) -> Vec<Value> {
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["event"].clone()).collect()
}

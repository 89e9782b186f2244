//! What a scrape makes of a map: labels with values, or with histograms.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};

use crate::allowance::{Allowance, Exceeded, Held};
use crate::decode::histogram::Histogram;
use crate::decode::labels::Labels;
use crate::export::cardinality::ENTRY;
use crate::object::Kind;

/// Histograms by their labels.
pub struct Histograms {
    pub by_labels: BTreeMap<String, Histogram>,
    held: Held,
}

impl Histograms {
    pub fn new(allowance: &Allowance) -> Self {
        Self { by_labels: BTreeMap::new(), held: allowance.hold() }
    }

    /// Keys that are the same as labels are the same histogram.
    pub fn add(&mut self, labels: String, histogram: &Histogram) -> Result<(), Exceeded> {
        match self.by_labels.entry(labels) {
            Entry::Occupied(there) => there.into_mut().add(histogram),
            Entry::Vacant(room) => {
                self.held.add(room.key().len() + histogram.memory() + ENTRY)?;
                room.insert(histogram.clone());
            }
        }
        Ok(())
    }
}

/// Time series: their labels in one text, one after the other, and their values.
#[derive(Debug)]
pub struct Series {
    text: String,
    /// Where the labels of each end, and its value.
    ends: Vec<(usize, i128)>,
    held: Held,
}

impl Series {
    pub fn new(allowance: &Allowance) -> Self {
        Self { text: String::new(), ends: vec![], held: allowance.hold() }
    }

    /// Labels, as Prometheus writes them between braces, and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i128)> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        begins.zip(&self.ends).map(|(begin, (end, value))| (&self.text[begin..*end], *value))
    }

    pub fn add(&mut self, labels: &Labels, record: &[u8], value: i128) -> Result<(), Exceeded> {
        labels.write(&mut self.text, record);
        self.end(value)
    }

    pub fn push(&mut self, labels: &str, value: i128) -> Result<(), Exceeded> {
        self.text.push_str(labels);
        self.end(value)
    }

    /// The labels that were written last are those of this value.
    fn end(&mut self, value: i128) -> Result<(), Exceeded> {
        self.ends.push((self.text.len(), value));
        self.held.cover(self.text.len() + self.ends.len() * size_of::<(usize, i128)>())
    }

    /// Keys that are shown alike are one series, as Prometheus takes each only once.
    pub fn merge(&mut self, kind: Kind) -> Result<(), Exceeded> {
        let mut seen = HashSet::with_capacity(self.ends.len());
        if self.iter().all(|(labels, _)| seen.insert(labels)) {
            return Ok(());
        }
        let mut merged = BTreeMap::<&str, i128>::new();
        for (labels, value) in self.iter() {
            merged
                .entry(labels)
                .and_modify(|there| *there = if kind == Kind::Gauge { value.max(*there) } else { *there + value })
                .or_insert(value);
        }
        let mut series = Self::new(self.held.allowance());
        for (labels, value) in merged {
            series.push(labels, value)?;
        }
        *self = series;
        Ok(())
    }
}

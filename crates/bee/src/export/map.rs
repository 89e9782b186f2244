//! What a probe's maps amount to: events added up by their bytes, elements read when somebody asks.
//!
//! Adding up by raw bytes costs a fraction of making labels per event; labels are made when Prometheus scrapes.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::allowance::{Accounts, Allowance, Exceeded, Held};
use crate::decode::bucket_key::BucketKey;
use crate::decode::histogram::{Buckets, Histogram};
use crate::decode::integer;
use crate::decode::labels::Labels;
use crate::decode::layout::Layout;
use crate::export::cardinality::{Admitted, Bounded, ENTRY};
use crate::export::hash_histogram;
use crate::export::source::Backing;
use crate::kernel::map_reader::{self, Elements};
use crate::object::{Kind, Map, Source};

/// The most series that a map may be allowed.
pub const MOST_SERIES: usize = 1_000_000;

/// What the maps of a run may become.
#[derive(Debug, Clone)]
pub struct SeriesBounds {
    /// Of histograms, instead of those that a probe declares.
    pub buckets: Option<Buckets>,
    /// How many series one map has at most, up to [`MOST_SERIES`].
    pub most: usize,
}

/// Why it can't be said what a map amounts to.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    Kernel(#[from] libbpf_rs::Error),
    #[error(transparent)]
    TooMuch(#[from] Exceeded),
}

/// One exported map of a running probe.
pub struct Exported {
    /// Which of the run's probes it belongs to.
    pub probe: usize,
    pub map: Map,
    pub labels: Labels,
    pub(crate) backing: Backing,
    /// For what it amounts to when somebody asks.
    answers: Allowance,
    /// For ring buffers: events by their bytes, with how often (counter) or the latest value (gauge).
    events: Mutex<Bounded<i128>>,
    /// For histograms: what was observed, by what the event says without the value.
    observed: Mutex<Bounded<Histogram>>,
    pub buckets: Buckets,
    /// For hashes: the keys that are series.
    admitted: Mutex<Admitted>,
    /// The most series that the map may become.
    most: usize,
    /// Of a hash or array: elements that are no series of their own. Of a buffer: events that were added to none.
    left_out: AtomicU64,
    /// Records that could not be decoded.
    pub bad: AtomicU64,
    /// Of a hash or array: its elements when it was last read.
    pub count: AtomicU64,
}

impl Exported {
    pub(crate) fn new(probe: usize, map: &Map, backing: Backing, bounds: &SeriesBounds, accounts: &Accounts) -> Self {
        let buckets = bounds.buckets.clone().or_else(|| map.buckets.clone()).unwrap_or_default();
        // A histogram is as many series as it has buckets, and three.
        let observed = Bounded::new((bounds.most / (buckets.len() + 3)).max(1), buckets.memory(), &accounts.kept);
        Self {
            probe,
            map: map.clone(),
            labels: map.labels(),
            backing,
            answers: accounts.answers.clone(),
            events: Mutex::new(Bounded::new(bounds.most, size_of::<i128>(), &accounts.kept)),
            observed: Mutex::new(observed),
            buckets,
            admitted: Mutex::default(),
            most: bounds.most,
            left_out: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }

    /// Takes an event of this map's ring buffer into account.
    pub fn add(&self, record: &[u8]) {
        let Source::Events(layout) = &self.map.source else { return };
        let Some(record) = record.get(..layout.size) else {
            self.bad.fetch_add(1, Ordering::Relaxed);
            return;
        };
        match self.map.kind {
            Kind::Print => {}
            Kind::Counter => lock(&self.events).change(record, |count| *count += 1),
            Kind::Gauge => {
                if let Some((key, value)) = split(&self.map, record) {
                    lock(&self.events).change(&key, |last| *last = value);
                }
            }
            Kind::Histogram => {
                if let Some((key, value)) = split(&self.map, record) {
                    lock(&self.observed).change(&key, |histogram| histogram.observe(&self.buckets, value));
                }
            }
        }
    }

    /// How many events, or elements, are no series of their own because there were too many different ones.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed) + lock(&self.events).left_out + lock(&self.observed).left_out
    }

    /// The histograms at this moment, by their labels as Prometheus writes them between braces.
    pub fn histograms(&self) -> Result<Histograms, Unreadable> {
        let mut histograms = Histograms { by_labels: BTreeMap::new(), held: self.answers.hold() };
        let observed = lock(&self.observed);
        for (key, histogram) in observed.iter() {
            histograms.add(self.written(key), histogram)?;
        }
        if let Some(others) = observed.others() {
            histograms.add(self.labels.overflow(), others)?;
        }
        let (kept, _held) = self.kept(&*self.elements()?)?;
        let mut admitted = lock(&self.admitted);
        let most = observed.most();
        self.left_out.store(kept.len().saturating_sub(most) as u64, Ordering::Relaxed);
        admitted.look(kept.keys().map(Vec::as_slice), kept.len(), most);
        for (key, histogram) in &kept {
            let labels = if admitted.has(key) { self.written(key) } else { self.labels.overflow() };
            histograms.add(labels, histogram)?;
        }
        Ok(histograms)
    }

    fn written(&self, key: &[u8]) -> String {
        let mut labels = String::new();
        self.labels.write(&mut labels, key);
        labels
    }

    /// The histograms that the probe keeps itself in these elements.
    fn kept(&self, elements: &Elements) -> Result<(BTreeMap<Vec<u8>, Histogram>, Held), Exceeded> {
        let mut held = self.answers.hold();
        let Source::Elements { key, value, per_cpu } = &self.map.source else { return Ok((BTreeMap::new(), held)) };
        let Some(bucket) = BucketKey::new(key).filter(|_| self.map.kind == Kind::Histogram) else {
            return Ok((BTreeMap::new(), held));
        };
        let value = |values: &[u8]| sum(value, values, *per_cpu);
        Ok((hash_histogram::gather(elements, &bucket, &self.buckets, value, &mut held)?, held))
    }

    /// The time series at this moment. Those of a hash are its elements: a key that is deleted is no series any more.
    pub fn series(&self) -> Result<Series, Unreadable> {
        let mut series = Series::new(&self.answers);
        let others = match &self.map.source {
            Source::Events(_) => {
                let events = lock(&self.events);
                events.iter().try_for_each(|(key, value)| series.add(&self.labels, key, *value))?;
                events.others().copied()
            }
            Source::Elements { value, per_cpu, .. } => self.add_elements(&mut series, value, *per_cpu)?,
        };
        // The last one of several gauges is no gauge of them all.
        if let Some(others) = others.filter(|_| self.map.kind != Kind::Gauge) {
            series.push(&self.labels.overflow(), others)?;
        }
        series.merge(self.map.kind)?;
        Ok(series)
    }

    /// Answers what the elements amount to that are no series of their own.
    fn add_elements(&self, series: &mut Series, layout: &Layout, per_cpu: bool) -> Result<Option<i128>, Unreadable> {
        let elements = self.elements()?;
        let count = elements.len();
        self.left_out.store(count.saturating_sub(self.most) as u64, Ordering::Relaxed);
        let mut admitted = lock(&self.admitted);
        admitted.look(elements.iter().map(|(key, _)| key), count, self.most);
        let mut others = None;
        for (key, values) in elements.iter() {
            let Some(value) = sum(layout, values, per_cpu) else { continue };
            match admitted.has(key) {
                true => series.add(&self.labels, key, value)?,
                false => *others.get_or_insert_default() += value,
            }
        }
        Ok(others)
    }

    /// Those with the largest values (of a histogram: the most events), the largest first: the values of their labels, and their own. Only these are decoded.
    pub fn largest(&self, most: usize, shown: &dyn Fn(&[u8]) -> bool) -> Result<Vec<(Vec<String>, i128)>, Unreadable> {
        let elements = self.elements()?;
        let (kept, _held) = self.kept(&elements)?;
        let (events, observed) = (lock(&self.events), lock(&self.observed));
        let mut all: Vec<(&[u8], i128)> = match &self.map.source {
            Source::Events(_) => {
                let counts = observed.iter().map(|(key, histogram)| (key, histogram.count().into()));
                events.iter().map(|(key, value)| (key, *value)).chain(counts).collect()
            }
            Source::Elements { .. } if self.map.kind == Kind::Histogram => {
                kept.iter().map(|(key, histogram)| (key.as_slice(), histogram.count().into())).collect()
            }
            Source::Elements { value, per_cpu, .. } => {
                elements.iter().filter_map(|(key, values)| Some((key, sum(value, values, *per_cpu)?))).collect()
            }
        };
        all.retain(|(key, _)| shown(key));
        if all.len() > most {
            all.select_nth_unstable_by_key(most, |(_, value)| Reverse(*value));
            all.truncate(most);
        }
        all.sort_by_key(|(key, value)| (Reverse(*value), *key));
        Ok(all.into_iter().map(|(key, value)| (self.labels.values(key), value)).collect())
    }

    /// How many series it may become.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How many elements a hash or array has room for.
    pub fn room(&self) -> u64 {
        self.backing.room()
    }

    /// Takes what a recording tells of a hash or array.
    pub(crate) fn tell(&self, elements: Elements) {
        self.count.store(elements.len() as u64, Ordering::Relaxed);
        self.backing.set(elements);
    }

    /// The raw elements of a hash or array; none of a ring buffer.
    pub(crate) fn elements(&self) -> Result<Arc<Elements>, libbpf_rs::Error> {
        if let Source::Events(_) = self.map.source {
            return Ok(Arc::default());
        }
        let elements = self.backing.elements()?;
        self.count.store(elements.len() as u64, Ordering::Relaxed);
        Ok(elements)
    }
}

/// Histograms by their labels.
pub struct Histograms {
    pub by_labels: BTreeMap<String, Histogram>,
    held: Held,
}

impl Histograms {
    /// Keys that are the same as labels are the same histogram.
    fn add(&mut self, labels: String, histogram: &Histogram) -> Result<(), Exceeded> {
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
    fn new(allowance: &Allowance) -> Self {
        Self { text: String::new(), ends: vec![], held: allowance.hold() }
    }

    /// Labels, as Prometheus writes them between braces, and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i128)> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        begins.zip(&self.ends).map(|(begin, (end, value))| (&self.text[begin..*end], *value))
    }

    fn add(&mut self, labels: &Labels, record: &[u8], value: i128) -> Result<(), Exceeded> {
        labels.write(&mut self.text, record);
        self.end(value)
    }

    fn push(&mut self, labels: &str, value: i128) -> Result<(), Exceeded> {
        self.text.push_str(labels);
        self.end(value)
    }

    /// The labels that were written last are those of this value.
    fn end(&mut self, value: i128) -> Result<(), Exceeded> {
        self.ends.push((self.text.len(), value));
        self.held.cover(self.text.len() + self.ends.len() * size_of::<(usize, i128)>())
    }

    /// Keys that differ only in padding, or in text after its end, are the same series.
    fn merge(&mut self, kind: Kind) -> Result<(), Exceeded> {
        let mut seen = HashSet::with_capacity(self.ends.len());
        if self.iter().all(|(labels, _)| seen.insert(labels)) {
            return Ok(());
        }
        let mut merged = BTreeMap::<&str, i128>::new();
        for (labels, value) in self.iter() {
            let sum = merged.entry(labels).or_default();
            *sum = if kind == Kind::Gauge { value } else { *sum + value };
        }
        let mut series = Self::new(self.held.allowance());
        merged.into_iter().try_for_each(|(labels, value)| series.push(labels, value))?;
        *self = series;
        Ok(())
    }
}

fn lock<Value>(mutex: &Mutex<Value>) -> MutexGuard<'_, Value> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value of a gauge's or histogram's event, and the event without it, which is its series.
fn split(map: &Map, record: &[u8]) -> Option<(Vec<u8>, i128)> {
    let field = map.value()?;
    let start = field.offset / 8;
    let mut key = record.to_vec();
    let bytes = key.get_mut(start..start + field.layout.size)?;
    let value = integer(&field.layout, bytes)?;
    bytes.fill(0);
    Some((key, value))
}

/// The value of an element, added up over the processors.
fn sum(layout: &Layout, values: &[u8], per_cpu: bool) -> Option<i128> {
    if !per_cpu {
        return integer(layout, values);
    }
    values.chunks_exact(map_reader::stride(layout.size)).map(|value| integer(layout, value)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::layout::{Field, Shape};

    #[test]
    fn values_of_several_processors_are_added_up() {
        let layout = Layout { size: 4, shape: Shape::Unsigned };
        let values = [[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], [2, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(sum(&layout, &values, true), Some(3));
        assert_eq!(sum(&layout, &values, false), Some(1));
    }

    #[test]
    fn a_gauges_value_is_no_part_of_its_series() {
        let number = |name: &str, byte: usize| Field {
            name: name.into(),
            offset: byte * 8,
            bits: None,
            layout: Layout { size: 4, shape: Shape::Signed },
        };
        let layout = Layout { size: 8, shape: Shape::Struct(vec![number("cpu", 0), number("value", 4)]) };
        let map = Map {
            name: "load".into(),
            kind: Kind::Gauge,
            source: Source::Events(layout),
            help: None,
            unit: None,
            buckets: None,
            value: "value".into(),
        };
        let split = split(&map, &[3, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(split, Some((vec![3, 0, 0, 0, 0, 0, 0, 0], -2)));
    }
}

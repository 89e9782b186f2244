//! What a probe's maps amount to: events added up by their bytes, elements read when somebody asks.
//!
//! Adding up by raw bytes costs a fraction of making labels per event; labels are made when Prometheus scrapes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::backing::Backing;
use crate::bucketed::{self, Number};
use crate::decode::integer;
use crate::elements::{self, Elements};
use crate::histogram::{Buckets, Histogram};
use crate::labels::Labels;
use crate::layout::Layout;
use crate::object::{Kind, Map, Source};
use crate::overflow::{Admitted, Bounded};
use crate::probe::Probe;

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

/// One exported map of a running probe.
pub struct Exported {
    /// Which of the run's probes it belongs to.
    pub probe: usize,
    pub map: Map,
    pub labels: Labels,
    pub(crate) backing: Backing,
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
    pub(crate) fn new(probe: usize, map: &Map, backing: Backing, bounds: &SeriesBounds) -> Self {
        let buckets = bounds.buckets.clone().or_else(|| map.buckets.clone()).unwrap_or_default();
        // A histogram is as many series as it has buckets, and three.
        let observed = Bounded::new((bounds.most / (buckets.len() + 3)).max(1));
        Self {
            probe,
            map: map.clone(),
            labels: map.labels(),
            backing,
            events: Mutex::new(Bounded::new(bounds.most)),
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
    pub fn histograms(&self) -> Result<BTreeMap<String, Histogram>, libbpf_rs::Error> {
        let mut histograms = BTreeMap::<_, Histogram>::new();
        let mut add = |labels: String, histogram: &Histogram| histograms.entry(labels).or_default().add(histogram);
        let labels = |key: &[u8]| {
            let mut labels = String::new();
            self.labels.write(&mut labels, key);
            labels
        };
        let observed = lock(&self.observed);
        observed.iter().for_each(|(key, histogram)| add(labels(key), histogram));
        observed.others().into_iter().for_each(|others| add(self.labels.overflow(), others));

        let kept = self.kept(&self.elements()?);
        let mut admitted = lock(&self.admitted);
        let most = observed.most();
        self.left_out.store(kept.len().saturating_sub(most) as u64, Ordering::Relaxed);
        admitted.look(kept.keys().map(Vec::as_slice), kept.len(), most);
        for (key, histogram) in &kept {
            add(if admitted.has(key) { labels(key) } else { self.labels.overflow() }, histogram);
        }
        Ok(histograms)
    }

    /// The histograms that the probe keeps itself in these elements.
    fn kept(&self, elements: &Elements) -> BTreeMap<Vec<u8>, Histogram> {
        let Source::Elements { key, value, per_cpu } = &self.map.source else { return BTreeMap::new() };
        let number = Number::of(key).filter(|_| self.map.kind == Kind::Histogram);
        let gather = |number| bucketed::gather(elements, &number, &self.buckets, |values| sum(value, values, *per_cpu));
        number.map(gather).unwrap_or_default()
    }

    /// The time series at this moment. Those of a hash are its elements: a key that is deleted is no series any more.
    pub fn series(&self) -> Result<Series, libbpf_rs::Error> {
        let mut series = Series::default();
        let others = match &self.map.source {
            Source::Events(_) => {
                let events = lock(&self.events);
                events.iter().for_each(|(key, value)| series.add(&self.labels, key, *value));
                events.others().copied()
            }
            Source::Elements { value, per_cpu, .. } => self.add_elements(&mut series, value, *per_cpu)?,
        };
        // The last one of several gauges is no gauge of them all.
        if let Some(others) = others.filter(|_| self.map.kind != Kind::Gauge) {
            series.push(&self.labels.overflow(), others);
        }
        series.merge(self.map.kind);
        Ok(series)
    }

    /// Answers what the elements amount to that are no series of their own.
    fn add_elements(
        &self,
        series: &mut Series,
        layout: &Layout,
        per_cpu: bool,
    ) -> Result<Option<i128>, libbpf_rs::Error> {
        let elements = self.elements()?;
        let count = elements.len();
        self.left_out.store(count.saturating_sub(self.most) as u64, Ordering::Relaxed);
        let mut admitted = lock(&self.admitted);
        admitted.look(elements.iter().map(|(key, _)| key), count, self.most);
        let mut others = None;
        for (key, values) in elements.iter() {
            let Some(value) = sum(layout, values, per_cpu) else { continue };
            match admitted.has(key) {
                true => series.add(&self.labels, key, value),
                false => *others.get_or_insert_default() += value,
            }
        }
        Ok(others)
    }

    /// Those with the largest values (of a histogram: the most events), the largest first: the values of their labels, and their own. Only these are decoded.
    pub fn largest(
        &self,
        most: usize,
        shown: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Vec<(Vec<String>, i128)>, libbpf_rs::Error> {
        let elements = self.elements()?;
        let kept = self.kept(&elements);
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

    /// How many elements a hash or array has room for.
    pub fn room(&self) -> u64 {
        self.backing.room()
    }

    /// The raw elements of a hash or array; none of a ring buffer.
    pub(crate) fn elements(&self) -> Result<Elements, libbpf_rs::Error> {
        if let Source::Events(_) = self.map.source {
            return Ok(Elements::default());
        }
        let elements = self.backing.elements()?;
        self.count.store(elements.len() as u64, Ordering::Relaxed);
        Ok(elements)
    }
}

/// Time series: their labels in one text, one after the other, and their values.
#[derive(Debug, Default)]
pub struct Series {
    text: String,
    /// Where the labels of each end, and its value.
    ends: Vec<(usize, i128)>,
}

impl Series {
    /// Labels, as Prometheus writes them between braces, and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i128)> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        begins.zip(&self.ends).map(|(begin, (end, value))| (&self.text[begin..*end], *value))
    }

    fn add(&mut self, labels: &Labels, record: &[u8], value: i128) {
        labels.write(&mut self.text, record);
        self.ends.push((self.text.len(), value));
    }

    fn push(&mut self, labels: &str, value: i128) {
        self.text.push_str(labels);
        self.ends.push((self.text.len(), value));
    }

    /// Keys that differ only in padding, or in text after its end, are the same series.
    fn merge(&mut self, kind: Kind) {
        let mut seen = HashSet::with_capacity(self.ends.len());
        if self.iter().all(|(labels, _)| seen.insert(labels)) {
            return;
        }
        let mut merged = BTreeMap::<&str, i128>::new();
        for (labels, value) in self.iter() {
            let sum = merged.entry(labels).or_default();
            *sum = if kind == Kind::Gauge { value } else { *sum + value };
        }
        let mut series = Self::default();
        merged.into_iter().for_each(|(labels, value)| series.push(labels, value));
        *self = series;
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
    values.chunks_exact(elements::stride(layout.size)).map(|value| integer(layout, value)).sum()
}

/// What was lost: events that a full ring buffer refused and keys that a full hash did, which bee.h counts in a probe's global
/// variables, and records of perf buffers, which the kernel counts.
pub struct Losses {
    globals: Option<MapHandle>,
    offsets: BTreeMap<String, u32>,
    /// What the kernel tells of perf buffers, or a recording of its maps.
    told: BTreeMap<String, AtomicU64>,
}

impl Losses {
    pub fn new(probe: &Probe, btf: &crate::btf::Btf, maps: &[Exported]) -> Self {
        let told = maps.iter().filter(|exported| exported.backing.is_perf_buffer());
        let told = told.map(|exported| (exported.map.name.clone(), AtomicU64::new(0))).collect();
        Self { globals: probe.globals(), offsets: btf.offsets(".bss"), told }
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
        let prefix = if matches!(map.source, Source::Events(_)) { "bee_lost_" } else { "bee_failed_" };
        let offset = *self.offsets.get(&format!("{prefix}{}", map.name))? as usize;
        let globals = self.globals.as_ref()?.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok()??;
        let bytes = globals.get(offset..offset + 8)?;
        bytes.try_into().ok().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Field, Shape};

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

//! What a probe's maps amount to: events added up by their canonical bytes, elements read when somebody asks.
//!
//! Adding up by bytes costs a fraction of making labels per event; labels are made when Prometheus scrapes.

use std::borrow::Cow;
use std::collections::hash_map;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::allowance::{Accounts, Allowance, Exceeded, Held};
use crate::decode::bucket_key::BucketKey;
use crate::decode::canonical::Canonical;
use crate::decode::histogram::{Buckets, Histogram};
use crate::decode::integer_at;
use crate::decode::labels::Labels;
use crate::decode::layout::Layout;
use crate::export::cardinality::{Admitted, Bounded, ENTRY};
use crate::export::hash_histogram;
use crate::export::series::{Histograms, Series};
use crate::export::source::Backing;
use crate::kernel::map_reader::{self, Elements};
use crate::object::measures::{Measure, Measures};
use crate::object::{Kind, Map, Source};
use clikit::print;

/// The most series that a map may be allowed.
pub const MOST_SERIES: usize = 1_000_000;

/// What the maps of a run may become.
#[derive(Debug, Clone)]
pub struct SeriesBounds {
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

/// Values by canonical key.
pub(super) type Totals<'a> = Vec<(Cow<'a, [u8]>, i128)>;

/// One exported map of a running probe.
pub struct Exported {
    /// Which of the run's probes it belongs to.
    pub probe: usize,
    pub map: Map,
    pub labels: Labels,
    /// The numbers of an element's value, each of which is a metric.
    pub(super) measures: Vec<Measure>,
    /// Keys that are shown alike are one.
    canonical: Canonical,
    pub(crate) backing: Backing,
    /// For what it amounts to when somebody asks.
    pub(super) answers: Allowance,
    /// For ring buffers: events by their bytes, with how often (counter) or the latest value (gauge).
    pub(super) events: Mutex<Bounded<i128>>,
    /// For histograms: what was observed, by what the event says without the value.
    pub(super) observed: Mutex<Bounded<Histogram>>,
    pub buckets: Buckets,
    /// For hashes: the keys that are series.
    admitted: Mutex<Admitted>,
    /// The most series that the map may become.
    most: usize,
    /// Of a hash or array: elements that are no series of their own. Of a buffer: events that were added to none.
    left_out: AtomicU64,
    /// Whether it was said that there are buckets beyond the last.
    has_told_beyond: AtomicBool,
    /// Records that could not be decoded.
    pub bad: AtomicU64,
    /// Of a hash or array: its elements when it was last read.
    pub count: AtomicU64,
}

impl Exported {
    pub(crate) fn new(probe: usize, map: &Map, backing: Backing, bounds: &SeriesBounds, accounts: &Accounts) -> Self {
        let buckets = map.buckets.clone().unwrap_or_default();
        // A histogram is as many series as it has buckets, and three.
        let observed = Bounded::new((bounds.most / (buckets.len() + 3)).max(1), buckets.memory(), &accounts.kept);
        Self {
            probe,
            map: map.clone(),
            labels: map.labels(),
            measures: Measures::of_map(map).numbers,
            canonical: map.canonical(),
            backing,
            answers: accounts.answers.clone(),
            events: Mutex::new(Bounded::new(bounds.most, size_of::<i128>(), &accounts.kept)),
            observed: Mutex::new(observed),
            buckets,
            admitted: Mutex::default(),
            most: bounds.most,
            left_out: AtomicU64::new(0),
            has_told_beyond: AtomicBool::new(false),
            bad: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }

    /// Takes an event of this map's buffer into account. Returns what is to be said of the first one that tells nothing.
    pub fn add(&self, record: &[u8]) -> Option<String> {
        let Source::Events(layout) = &self.map.source else { return None };
        if self.take(layout.known(record)) || self.bad.fetch_add(1, Ordering::Relaxed) > 0 {
            return None;
        }
        let (name, got, wanted) = (&self.map.name, record.len(), layout.size);
        Some(format!(
            "map {name}: left out a record of {got} bytes, which is too short: its type has {wanted}; \
             bee_records_bad_total counts such records"
        ))
    }

    /// Whether an event, which may be shorter than its type, has what it takes.
    fn take(&self, record: &[u8]) -> bool {
        match self.map.kind {
            Kind::Print => self.has_some_of(record),
            Kind::Counter if self.has_some_of(record) => {
                lock(&self.events).change(record, &self.canonical, |count| *count += 1);
                true
            }
            Kind::Counter => false,
            Kind::Gauge => {
                let Some(value) = self.value(record) else { return false };
                lock(&self.events).change(record, &self.canonical, |last| *last = value);
                true
            }
            Kind::Histogram => {
                let Some(value) = self.value(record) else { return false };
                lock(&self.observed).change(record, &self.canonical, |seen| seen.observe(&self.buckets, value));
                true
            }
        }
    }

    /// Whether an event has some value of its type.
    pub(crate) fn has_some_of(&self, record: &[u8]) -> bool {
        matches!(&self.map.source, Source::Events(layout) if layout.is_in(record.len()))
    }

    /// The value of a gauge's or histogram's event.
    fn value(&self, record: &[u8]) -> Option<i128> {
        let field = self.map.value()?;
        integer_at(&field.layout, record, field.offset, field.bits)
    }

    /// How many events, or elements, are no series of their own because there were too many different ones.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed) + lock(&self.events).left_out + lock(&self.observed).left_out
    }

    /// The histograms at this moment, by their labels as Prometheus writes them between braces.
    pub fn histograms(&self) -> Result<Histograms, Unreadable> {
        let mut histograms = Histograms::new(&self.answers);
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
    pub(super) fn kept(&self, elements: &Elements) -> Result<(BTreeMap<Vec<u8>, Histogram>, Held), Exceeded> {
        let mut held = self.answers.hold();
        let (Kind::Histogram, Source::Elements { key, .. }) = (self.map.kind, &self.map.source) else {
            return Ok((BTreeMap::new(), held));
        };
        let (Some(bucket), [measure]) = (BucketKey::new(key), self.measures.as_slice()) else {
            return Ok((BTreeMap::new(), held));
        };
        let gathered = hash_histogram::gather(
            elements,
            (&bucket, &self.canonical),
            &self.buckets,
            |values| self.sum(measure, values),
            &mut held,
        )?;
        if let Some(number) = gathered.beyond
            && !self.has_told_beyond.swap(true, Ordering::Relaxed)
        {
            let (name, last) = (&self.map.name, self.buckets.len());
            print::note(format_args!(
                "map {name}: bucket {number} is beyond its {last} bounds; what it counts is shown above the last"
            ));
        }
        Ok((gathered.histograms, held))
    }

    /// The time series at this moment, of each metric that the map is. Those of a hash are its elements: a key that is deleted is no
    /// series any more.
    pub fn series(&self) -> Result<Vec<Series>, Unreadable> {
        if let Source::Events(_) = &self.map.source {
            let mut series = Series::new(&self.answers);
            let events = lock(&self.events);
            for (key, value) in events.iter() {
                series.add(&self.labels, key, *value)?;
            }
            return Ok(vec![self.complete(series, events.others().copied())?]);
        }
        let elements = self.elements()?;
        self.measures.iter().map(|measure| Ok(self.series_of(measure, &elements)?)).collect()
    }

    /// Those of one number of the elements' values.
    fn series_of(&self, measure: &Measure, elements: &Elements) -> Result<Series, Exceeded> {
        let (mut series, mut held) = (Series::new(&self.answers), self.answers.hold());
        let totals = self.totals(elements, measure, &mut held)?;
        self.left_out.store(totals.len().saturating_sub(self.most) as u64, Ordering::Relaxed);
        let mut admitted = lock(&self.admitted);
        admitted.look(totals.iter().map(|(key, _)| &**key), totals.len(), self.most);
        let mut others = None;
        for (key, value) in &totals {
            if admitted.has(key) {
                series.add(&self.labels, key, *value)?;
            } else {
                *others.get_or_insert_default() += value;
            }
        }
        self.complete(series, others)
    }

    /// Adds what is no series of its own.
    fn complete(&self, mut series: Series, others: Option<i128>) -> Result<Series, Exceeded> {
        // The last one of several gauges is no gauge of them all.
        if let Some(others) = others
            && self.map.kind != Kind::Gauge
        {
            series.push(&self.labels.overflow(), others)?;
        }
        if self.canonical.has_lookalikes() {
            series.merge(self.map.kind)?;
        }
        Ok(series)
    }

    /// The values of elements by canonical key. Of a gauge's elements that are shown alike, nobody knows which is the latest: the
    /// largest is the same at each look.
    pub(super) fn totals<'a>(
        &self,
        elements: &'a Elements,
        measure: &Measure,
        held: &mut Held,
    ) -> Result<Totals<'a>, Exceeded> {
        let values = elements.iter().filter_map(|(key, values)| Some((key, self.sum(measure, values)?)));
        if self.canonical.is_identity() {
            return Ok(values.map(|(key, value)| (Cow::Borrowed(key), value)).collect());
        }
        held.add(elements.len() * (elements.key_size + ENTRY))?;
        let mut totals = HashMap::<Vec<u8>, i128>::with_capacity(elements.len());
        for (key, value) in values {
            let mut key = key.to_vec();
            self.canonical.apply(&mut key);
            match totals.entry(key) {
                hash_map::Entry::Vacant(room) => {
                    room.insert(value);
                }
                hash_map::Entry::Occupied(mut there) if self.map.kind == Kind::Gauge => {
                    *there.get_mut() = value.max(*there.get());
                }
                hash_map::Entry::Occupied(mut there) => *there.get_mut() += value,
            }
        }
        Ok(totals.into_iter().map(|(key, value)| (Cow::Owned(key), value)).collect())
    }

    /// A number of an element's value, added up over the CPUs.
    fn sum(&self, measure: &Measure, values: &[u8]) -> Option<i128> {
        match &self.map.source {
            Source::Elements { value, per_cpu: true, .. } => {
                of_each_cpu(value, values).map(|value| measure.read(value)).sum()
            }
            _ => measure.read(values),
        }
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

/// The values of each CPU.
pub(super) fn of_each_cpu<'a>(value: &Layout, values: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    values.chunks_exact(map_reader::stride(value.size))
}

pub(super) fn lock<Value>(mutex: &Mutex<Value>) -> MutexGuard<'_, Value> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

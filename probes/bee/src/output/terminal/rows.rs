//! The rows of a map: the newest printed events, or the largest values with how fast they grow.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::object::{Kind, Source};
use crate::run::Running;

/// Rows that are kept of one map; who wants more asks for the metrics.
const KEPT: usize = 2000;

/// The newest printed events of each map.
#[derive(Default)]
pub struct Latest(HashMap<usize, VecDeque<Vec<String>>>);

impl Latest {
    pub fn add(&mut self, map: usize, row: Vec<String>) {
        let rows = self.0.entry(map).or_default();
        rows.push_front(row);
        rows.truncate(KEPT);
    }

    fn of(&self, map: usize) -> Vec<Vec<String>> {
        self.0.get(&map).map(|rows| rows.iter().cloned().collect()).unwrap_or_default()
    }
}

/// The rows of one map at one moment.
#[derive(Default)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// The values by their labels, and when they were read: what rates are made of.
    values: HashMap<Vec<String>, i128>,
    read: Option<Instant>,
}

impl Rows {
    /// Reads a map; `before` is what was read of it last.
    pub fn read(running: &Running, map: usize, latest: &Latest, before: &Self) -> Self {
        let exported = &running.maps[map];
        let mut columns: Vec<_> = exported.labels.names().map(str::to_owned).collect();
        if exported.map.kind == Kind::Print && matches!(exported.map.source, Source::Events(_)) {
            return Self { columns, rows: latest.of(map), ..Self::default() };
        }
        columns.extend(["value", "per second"].map(str::to_owned));
        // A map that can't be read says so with its metrics.
        let largest = exported.largest(KEPT, &|key| running.shows(exported, key)).unwrap_or_default();
        let now = Instant::now();
        let seconds = before.read.map(|read| (now - read).as_secs_f64());
        let mut rows = vec![];
        let mut values = HashMap::with_capacity(largest.len());
        for (labels, value) in largest {
            let rate = seconds.and_then(|seconds| Some((value - before.values.get(&labels)?) as f64 / seconds));
            let mut row = labels.clone();
            row.extend([value.to_string(), rate.map(|rate| format!("{rate:.1}")).unwrap_or_default()]);
            rows.push(row);
            values.insert(labels, value);
        }
        Self { columns, rows, values, read: Some(now) }
    }

    /// Those in which a text stands.
    pub fn with(&self, text: &str) -> Vec<&[String]> {
        self.rows.iter().map(Vec::as_slice).filter(|row| row.iter().any(|value| value.contains(text))).collect()
    }
}

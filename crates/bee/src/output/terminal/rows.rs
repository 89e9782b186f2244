//! The rows of a tab: a map's newest printed events, or its largest values with how fast they grow, or what an iterator wrote.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::allowance::{Allowance, Held};
use crate::export::map::Exported;
use crate::export::state::Running;
use crate::object::{Kind, Source};

/// Rows that are kept of one map; who wants more asks for the metrics.
const KEPT: usize = 2000;

/// What is shown in a tab of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tab {
    /// Numbered as in the run.
    Map(usize),
    /// One of a probe's programs.
    Iterator { probe: usize, program: String },
    /// What the programs say with `bpf_printk`.
    TracePipe,
}

impl Tab {
    /// All maps, and behind them all iterators and what is said.
    pub fn all(running: &Running) -> Vec<Self> {
        let iterators = running.probes.iter().enumerate().flat_map(|(probe, instance)| {
            instance.iterators.iter().map(move |program| Self::Iterator { probe, program: program.clone() })
        });
        let said = running.trace_pipe.then_some(Self::TracePipe);
        (0..running.maps.len()).map(Self::Map).chain(iterators).chain(said).collect()
    }

    /// `events`, or `my_probe:v1 events` where several probes run.
    pub fn title(&self, running: &Running) -> String {
        let (probe, name) = match self {
            Self::Map(map) => (running.maps[*map].probe, &running.maps[*map].map.name),
            Self::Iterator { probe, program } => (*probe, program),
            Self::TracePipe => return "bpf_printk".to_owned(),
        };
        let probe = running.name_among_several(probe).map(|probe| format!("{probe} "));
        format!("{}{name}", probe.unwrap_or_default())
    }
}

/// The newest printed events of each map, and what each iterator wrote last.
pub struct Latest {
    by_tab: HashMap<Tab, Kept>,
    allowance: Allowance,
}

/// Rows, the newest first, and how many bytes of text they have.
struct Kept {
    rows: VecDeque<Vec<String>>,
    bytes: usize,
    held: Held,
}

impl Kept {
    fn new(allowance: &Allowance) -> Self {
        Self { rows: VecDeque::new(), bytes: 0, held: allowance.hold() }
    }

    fn add(&mut self, row: Vec<String>) {
        self.bytes += size(&row);
        self.rows.push_front(row);
        while self.rows.len() > KEPT || self.held.set(self.bytes).is_err() {
            let Some(oldest) = self.rows.pop_back() else { return };
            self.bytes -= size(&oldest);
        }
    }
}

fn size(row: &[String]) -> usize {
    row.iter().map(|value| value.len() + size_of::<String>()).sum()
}

impl Latest {
    pub fn new(allowance: &Allowance) -> Self {
        Self { by_tab: HashMap::new(), allowance: allowance.clone() }
    }

    pub fn add(&mut self, tab: Tab, row: Vec<String>) {
        self.by_tab.entry(tab).or_insert_with(|| Kept::new(&self.allowance)).add(row);
    }

    pub fn write(&mut self, probe: usize, program: &str, text: &str) {
        let mut kept = Kept::new(&self.allowance);
        let lines: Vec<_> = text.lines().take(KEPT).collect();
        for line in lines.into_iter().rev() {
            kept.add(vec![line.to_owned()]);
        }
        self.by_tab.insert(Tab::Iterator { probe, program: program.to_owned() }, kept);
    }

    fn rows(&self, tab: &Tab) -> Vec<Vec<String>> {
        self.by_tab.get(tab).map(|kept| kept.rows.iter().cloned().collect()).unwrap_or_default()
    }
}

/// The rows of one tab at one moment.
#[derive(Default)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// The values by their labels, and when they were read: what rates are made of.
    values: HashMap<Vec<String>, Vec<i128>>,
    read: Option<Instant>,
}

impl Rows {
    /// Reads a tab; `before` is what was read of it last.
    pub fn read(running: &Running, tab: &Tab, latest: &Latest, before: &Self) -> Self {
        let Tab::Map(map) = tab else {
            let columns: &[&str] = if *tab == Tab::TracePipe { &["program", "process", "text"] } else { &["text"] };
            let columns = columns.iter().map(|name| (*name).to_owned()).collect();
            return Self { columns, rows: latest.rows(tab), ..Self::default() };
        };
        let exported = &running.maps[*map];
        let mut columns: Vec<_> = exported.labels.names().map(str::to_owned).collect();
        if exported.map.kind == Kind::Print && matches!(exported.map.source, Source::Events(_)) {
            return Self { columns, rows: latest.rows(tab), ..Self::default() };
        }
        if is_printed(exported) {
            columns.push("value".to_owned());
            let printed = exported.printed(KEPT, &|key| running.shows(exported, key)).unwrap_or_default();
            let rows = printed.into_iter().map(|(labels, value)| labels.into_iter().chain([value]).collect()).collect();
            return Self { columns, rows, ..Self::default() };
        }
        columns.extend(value_columns(exported));
        // A map that can't be read says so with its metrics.
        let largest = exported.largest(KEPT, &|key| running.shows(exported, key)).unwrap_or_default();
        let now = Instant::now();
        let seconds = before.read.map(|read| (now - read).as_secs_f64());
        let mut rows = vec![];
        let mut values = HashMap::with_capacity(largest.len());
        for (labels, numbers) in largest {
            let rates = rates(&numbers, before.values.get(&labels), seconds);
            rows.push(labels.iter().cloned().chain(numbers.iter().map(i128::to_string)).chain(rates).collect());
            values.insert(labels, numbers);
        }
        Self { columns, rows, values, read: Some(now) }
    }

    /// Those in which a text stands.
    pub fn with(&self, text: &str) -> Vec<&[String]> {
        self.rows.iter().map(Vec::as_slice).filter(|row| row.iter().any(|value| value.contains(text))).collect()
    }
}

/// Whether it is a hash whose values are shown as they are.
fn is_printed(exported: &Exported) -> bool {
    let is_number = matches!(&exported.map.source, Source::Elements { value, .. } if value.is_integer());
    exported.map.kind == Kind::Print && !is_number
}

/// Of a single number: its value and how fast it grows; of several: all of them first.
fn value_columns(exported: &Exported) -> Vec<String> {
    match exported.columns()[..] {
        [value] => vec![value.to_owned(), "per second".to_owned()],
        ref several => {
            let rates = several.iter().map(|name| format!("{name}/s"));
            several.iter().map(|name| (*name).to_owned()).chain(rates).collect()
        }
    }
}

/// How fast each number grew since it was read before.
fn rates(numbers: &[i128], before: Option<&Vec<i128>>, seconds: Option<f64>) -> Vec<String> {
    let (Some(before), Some(seconds)) = (before, seconds) else { return vec![String::new(); numbers.len()] };
    numbers.iter().zip(before).map(|(now, before)| format!("{:.1}", (now - before) as f64 / seconds)).collect()
}

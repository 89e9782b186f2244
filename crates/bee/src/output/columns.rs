//! Aligned lines of plain text, for who reads them with less or grep. Each line begins with its map's name, and the first of a map
//! stands under a header.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};

use clikit::escaped;

use crate::export::state::Running;
use crate::kernel::map_reader::Elements;
use crate::kernel::trace_pipe::Line;
use crate::object::{Kind, Source};
use crate::output::Output;
use crate::output::diff::Changes;
use crate::output::lines::Lines;

/// Columns begin this wide and grow with what stands in them, up to a bound: lines of one map are aligned with those before.
const NARROWEST: usize = 12;
const WIDEST: usize = 64;

/// Writes events, changed elements and iterators' lines.
pub struct Columns<'a, W> {
    running: &'a Running,
    lines: RefCell<Lines<W>>,
    /// By map: how wide each column is by now.
    widths: RefCell<HashMap<usize, Vec<usize>>>,
    changes: RefCell<Changes>,
}

impl<'a, W: Write> Columns<'a, W> {
    pub fn new(running: &'a Running, output: W) -> Self {
        let lines = RefCell::new(Lines::new(output));
        Self { running, lines, widths: RefCell::default(), changes: RefCell::default() }
    }

    fn line(&self, map: usize, more: Option<&str>, record: &[u8], value: Option<String>) {
        let exported = &self.running.maps[map];
        if !self.widths.borrow().contains_key(&map) {
            let names = exported.labels.names().chain(more).map(str::to_uppercase).collect();
            self.aligned(map, &row(self.heading("MAP", exported.probe, true), names));
        }
        let values = exported.labels.values(record).into_iter().chain(value).collect();
        self.aligned(map, &row(self.heading(&exported.map.name, exported.probe, false), values));
    }

    fn aligned(&self, map: usize, row: &[String]) {
        let mut widths = self.widths.borrow_mut();
        let widths = widths.entry(map).or_default();
        widths.resize(row.len(), NARROWEST);
        let mut line = String::new();
        for (value, width) in row.iter().map(|value| escaped(value)).zip(widths) {
            *width = (*width).max(value.chars().count()).min(WIDEST);
            line.push_str(&format!("{value:<width$}  ", width = *width));
        }
        self.lines.borrow_mut().write(line.trim_end());
    }

    /// The first columns: the map, and where several run the probe.
    fn heading(&self, map: &str, probe: usize, is_header: bool) -> Vec<String> {
        let probe = self.running.name_among_several(probe).map(|name| if is_header { "PROBE" } else { name });
        probe.into_iter().chain([map]).map(str::to_owned).collect()
    }
}

fn row(mut begin: Vec<String>, values: Vec<String>) -> Vec<String> {
    begin.extend(values);
    begin
}

impl<W: Write> Output for Columns<'_, W> {
    fn event(&self, map: usize, record: &[u8]) {
        let exported = &self.running.maps[map];
        if exported.map.kind == Kind::Print && exported.has_some_of(record) && self.running.shows(exported, record) {
            self.line(map, None, record, None);
        }
    }

    fn wants(&self, map: usize) -> bool {
        self.running.maps[map].map.kind == Kind::Print
    }

    fn elements(&self, map: usize, elements: &Elements) {
        let exported = &self.running.maps[map];
        if let Source::Events(_) = exported.map.source {
            return;
        }
        let mut changes = self.changes.borrow_mut();
        for (key, bytes) in changes.take(map, elements, &|key| self.running.shows(exported, key)) {
            let value = exported.shown(bytes).map(|value| value.to_string());
            self.line(map, Some("value"), key, Some(value.unwrap_or_default()));
        }
    }

    fn text(&self, probe: usize, program: &str, text: &str) {
        let mut lines = self.lines.borrow_mut();
        for line in text.lines() {
            let words = row(self.heading(program, probe, false), vec![line.to_owned()]);
            lines.write(escaped(&words.join("  ")));
        }
    }

    fn trace(&self, line: &Line) {
        let (probe, program) = line.whose.as_ref().map_or((usize::MAX, "bpf_printk"), |(probe, name)| (*probe, name));
        let words = row(self.heading(program, probe, false), vec![line.process(), line.text.clone()]);
        self.lines.borrow_mut().write(escaped(&words.join("  ")));
    }

    fn round(&self) -> io::Result<bool> {
        self.lines.borrow_mut().flush()
    }
}

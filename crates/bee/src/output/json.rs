//! One JSON object per event on standard output, as log collectors take it.

use std::cell::RefCell;
use std::io::{self, Write};

use clikit::escaped_json;
use serde_json::{Value, json};

use crate::decode::decode;
use crate::export::state::Running;
use crate::kernel::map_reader::Elements;
use crate::kernel::trace_pipe::Line;
use crate::object::{Kind, Source};
use crate::output::Output;
use crate::output::diff::Changes;
use crate::output::lines::Lines;

/// Writes events and changed elements. Where several probes run, each line also says whose it is: `"probe":"my_probe:v1"`.
pub struct JsonLines<'a, W> {
    running: &'a Running,
    lines: RefCell<Lines<W>>,
    changes: RefCell<Changes>,
}

impl<'a, W: Write> JsonLines<'a, W> {
    pub fn new(running: &'a Running, output: W) -> Self {
        Self { running, lines: RefCell::new(Lines::new(output)), changes: RefCell::default() }
    }

    fn line(&self, probe: usize, mut line: Value) {
        if let Some(name) = self.running.name_among_several(probe) {
            line["probe"] = name.into();
        }
        self.lines.borrow_mut().write(escaped_json(&line.to_string()));
    }
}

impl<W: Write> Output for JsonLines<'_, W> {
    /// `{"map":"events","event":{…}}`
    fn event(&self, map: usize, record: &[u8]) {
        let exported = &self.running.maps[map];
        let Source::Events(layout) = &exported.map.source else { return };
        if exported.map.kind != Kind::Print || !self.running.shows(exported, record) {
            return;
        }
        // One that is too short to have a value is counted among the bad ones when it is added up.
        if let Ok(event) = decode(layout, record) {
            self.line(exported.probe, json!({ "map": exported.map.name, "event": event }));
        }
    }

    fn wants(&self, map: usize) -> bool {
        self.running.maps[map].map.kind == Kind::Print
    }

    /// `{"map":"sizes","key":{…},"value":…}` for each element that is new or changed.
    fn elements(&self, map: usize, elements: &Elements) {
        let exported = &self.running.maps[map];
        let Source::Elements { key, .. } = &exported.map.source else { return };
        let mut changes = self.changes.borrow_mut();
        for (key_bytes, value_bytes) in changes.take(map, elements, &|key| self.running.shows(exported, key)) {
            if let (Ok(key), Some(value)) = (decode(key, key_bytes), exported.shown(value_bytes)) {
                self.line(exported.probe, json!({ "map": exported.map.name, "key": key, "value": value }));
            }
        }
    }

    /// `{"program":"tasks","text":"1 init"}` for each line that an iterator wrote.
    fn text(&self, probe: usize, program: &str, text: &str) {
        for line in text.lines() {
            self.line(probe, json!({ "program": program, "text": line }));
        }
    }

    /// `{"trace":"hello","program":"watch","comm":"curl","pid":7}`, without a program where the kernel does not tell.
    fn trace(&self, line: &Line) {
        let Line { whose, comm, pid, text } = line;
        let mut object = json!({ "trace": text });
        if let Some((_, program)) = whose {
            object["program"] = program.as_str().into();
        }
        object["comm"] = comm.as_str().into();
        object["pid"] = (*pid).into();
        self.line(whose.as_ref().map_or(usize::MAX, |(probe, _)| *probe), object);
    }

    fn round(&self) -> io::Result<bool> {
        self.lines.borrow_mut().flush()
    }
}

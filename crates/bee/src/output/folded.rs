//! Stacks as flame graphs take them: `comm;main;read;vfs_read 12`, the outermost function first, of user space before the kernel, each
//! stack once with what it counts, at the end of the run.
//!
//! An event counts one. An element counts its value, or the first integer of a value that is a struct.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use clikit::{escaped, print};
use serde_json::Value;

use crate::decode::labels::Labels;
use crate::decode::stacks::Placed;
use crate::export::map::Exported;
use crate::export::state::Running;
use crate::kernel::map_reader::Elements;
use crate::kernel::trace_pipe::Line;
use crate::object::{Kind, Source};
use crate::output::Output;
use crate::output::lines::Lines;

/// The most stacks that are told apart; what comes later is counted in one.
const STACKS: usize = 100_000;
const OTHERS: &str = "[others]";
/// What is called so in probes is the process's name.
const COMMS: [&str; 4] = ["comm", "name", "task", "process"];

type Counts = BTreeMap<String, u64>;

/// Adds up stacks.
pub struct Folded<'a, W> {
    running: &'a Running,
    lines: RefCell<Lines<W>>,
    events: RefCell<Counts>,
    /// Of each hash: what it held at the last look.
    elements: RefCell<HashMap<usize, Counts>>,
}

impl<'a, W: Write> Folded<'a, W> {
    pub fn new(running: &'a Running, output: W) -> Self {
        let lines = RefCell::new(Lines::new(output));
        Self { running, lines, events: RefCell::default(), elements: RefCell::default() }
    }
}

impl<W: Write> Output for Folded<'_, W> {
    fn event(&self, map: usize, record: &[u8]) {
        let exported = &self.running.maps[map];
        let [stacks, _] = exported.map.source.stacks();
        if !stacks.is_empty() && self.running.shows(exported, record) {
            let line = fold(comm(&exported.labels, record), &[(&stacks, record)]);
            add(&mut self.events.borrow_mut(), line, 1);
        }
    }

    fn wants(&self, map: usize) -> bool {
        let map = &self.running.maps[map].map;
        map.kind != Kind::Histogram && matches!(map.source, Source::Elements { .. }) && map.source.has_stacks()
    }

    fn elements(&self, map: usize, elements: &Elements) {
        let exported = &self.running.maps[map];
        let Source::Elements { value: layout, .. } = &exported.map.source else { return };
        let ([of_keys, of_values], of_value) = (exported.map.source.stacks(), Labels::new(layout, None));
        let mut counts = Counts::new();
        for (key, value) in elements.iter().filter(|(key, _)| self.running.shows(exported, key)) {
            let comm = comm(&exported.labels, key).or_else(|| comm(&of_value, value));
            add(&mut counts, fold(comm, &[(&of_keys, key), (&of_values, value)]), count(exported, value));
        }
        self.elements.borrow_mut().insert(map, counts);
    }

    fn text(&self, _: usize, program: &str, text: &str) {
        for line in text.lines() {
            print::note(format_args!("{program}: {line}"));
        }
    }

    fn trace(&self, line: &Line) {
        print::note(format_args!("{}: {}", line.process(), line.text));
    }

    fn round(&self) -> io::Result<bool> {
        self.lines.borrow_mut().flush()
    }

    fn finish(&self) -> io::Result<()> {
        let mut all = self.events.take();
        for (line, count) in self.elements.take().into_values().flatten() {
            add(&mut all, line, count);
        }
        let mut lines = self.lines.borrow_mut();
        for (stack, count) in &all {
            lines.write(format_args!("{} {count}", escaped(stack)));
        }
        lines.flush().map(drop)
    }
}

fn add(counts: &mut Counts, stack: String, more: u64) {
    let has_room = counts.len() < STACKS || counts.contains_key(&stack);
    let count = counts.entry(if has_room { stack } else { OTHERS.to_owned() }).or_default();
    *count = count.saturating_add(more);
}

fn comm(labels: &Labels, record: &[u8]) -> Option<String> {
    COMMS.iter().find_map(|name| labels.part(name)).map(|part| part.text(record))
}

/// The stacks of a record in one line.
fn fold(comm: Option<String>, records: &[(&Placed, &[u8])]) -> String {
    let (mut user, mut kernel, mut refused) = (vec![], vec![], None);
    for (stacks, record) in records {
        for (offset, stack) in stacks.iter() {
            match stack.names(record, *offset) {
                Ok(names) if stack.is_of_kernel(record, *offset) => kernel.extend(names.into_iter().rev()),
                Ok(names) => user.extend(names.into_iter().rev()),
                Err(why) => refused = Some(format!("[{why}]")),
            }
        }
    }
    let mut frames: Vec<_> = user.into_iter().chain(kernel).map(|name| frame(&name)).collect();
    if frames.is_empty() {
        frames.extend(refused);
    }
    comm.map(|comm| frame(&comm)).into_iter().chain(frames).collect::<Vec<_>>().join(";")
}

/// A name without the distance from where its function begins. Semicolons would be another function.
fn frame(name: &str) -> String {
    let name = name.split_once("+0x").map_or(name, |(name, _)| name);
    if name.starts_with("0x") { "[unknown]".to_owned() } else { name.replace(';', ":") }
}

fn count(exported: &Exported, value: &[u8]) -> u64 {
    match exported.shown(value) {
        Some(Value::Object(fields)) => fields.values().find_map(Value::as_u64).unwrap_or(1),
        Some(value) => value.as_u64().unwrap_or(0),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::stacks::{Form, Stack};

    #[test]
    fn the_outermost_function_comes_first_and_distances_are_left_out() {
        let stack = Stack { form: Form::Addresses { most: 2, length: None }, process: None };
        let record = [1u64 << 63, 1, 5, 0].map(u64::to_le_bytes).concat();
        let stacks = vec![(0, stack.clone()), (16, stack)];
        assert_eq!(fold(Some("a;b".into()), &[(&stacks, &record)]), "a:b;[unknown];[unknown];[unknown]");
        assert_eq!([frame("main+0x1f"), frame("operator+"), frame("0x7f")], ["main", "operator+", "[unknown]"]);
    }

    #[test]
    fn what_is_too_much_is_counted_in_one() {
        let mut counts = Counts::new();
        for number in 0..STACKS + 5 {
            add(&mut counts, number.to_string(), 2);
        }
        add(&mut counts, "0".into(), 1);
        assert_eq!((counts.len(), counts[OTHERS], counts["0"]), (STACKS + 1, 10, 3));
    }
}

//! One JSON object per event on standard output, as log collectors take it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::decode::decode;
use crate::object::Source;
use crate::series::Exported;

/// Writes events and changed elements, and keeps the first error for [`JsonLines::flush`].
pub struct JsonLines<W> {
    output: W,
    error: Option<io::Error>,
    /// What was last printed of each element, by map and key.
    printed: HashMap<(String, Vec<u8>), Vec<u8>>,
}

impl<W: Write> JsonLines<W> {
    pub fn new(output: W) -> Self {
        Self { output, error: None, printed: HashMap::new() }
    }

    /// `{"map":"events","event":{…}}`
    pub fn event(&mut self, exported: &Exported, record: &[u8]) {
        let Source::Events(layout) = &exported.map.source else { return };
        match decode(layout, record) {
            Ok(event) => self.line(&json!({ "map": exported.map.name, "event": event })),
            Err(_) => drop(exported.bad.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// `{"map":"sizes","key":{…},"value":…}` for each element that is new or changed.
    pub fn elements(&mut self, exported: &Exported, shown: &dyn Fn(&[u8]) -> bool) {
        let Source::Elements { key, value, .. } = &exported.map.source else { return };
        // A map that can't be read says so with its metrics.
        for (key_bytes, value_bytes) in exported.elements().unwrap_or_default().iter() {
            let place = (exported.map.name.clone(), key_bytes.to_vec());
            if !shown(key_bytes) || self.printed.get(&place).is_some_and(|printed| printed == value_bytes) {
                continue;
            }
            if let (Ok(key), Ok(value)) = (decode(key, key_bytes), decode(value, value_bytes)) {
                self.line(&json!({ "map": exported.map.name, "key": key, "value": value }));
            }
            self.printed.insert(place, value_bytes.to_vec());
        }
    }

    /// `{"program":"tasks","text":"1 init"}` for each line that an iterator wrote.
    pub fn text(&mut self, program: &str, text: &str) {
        text.lines().for_each(|line| self.line(&json!({ "program": program, "text": line })));
    }

    fn line(&mut self, value: &Value) {
        if let Err(error) = writeln!(self.output, "{value}") {
            self.error.get_or_insert(error);
        }
    }

    /// Hands on what was written, or the first error since the last time.
    pub fn flush(&mut self) -> io::Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.output.flush(),
        }
    }
}

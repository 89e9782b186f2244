//! Recordings that a test writes, as somebody else's program would: nothing here is taken from bee's own code.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

/// Kinds of frames.
pub const EVENT: u8 = 0;
pub const ELEMENTS: u8 = 1;
pub const TEXT: u8 = 3;
pub const ACCOUNTS: u8 = 4;
pub const FUNCTIONS: u8 = 5;

/// A recording of one probe with these maps, and of these frames, each of a kind.
pub fn recording(name: &str, object: &[u8], maps: &[&str], frames: impl IntoIterator<Item = (u8, Vec<u8>)>) -> Vec<u8> {
    let map = |name: &&str| json!({ "name": name, "value": "value", "room": 8, "loss_known": true });
    let maps: Vec<_> = maps.iter().map(map).collect();
    let probe = json!({ "name": name, "state": name, "object_size": object.len(), "maps": maps, "iterators": [name] });
    let origin = json!({ "boot": null, "architecture": "amd64" });
    of(&json!({ "probes": [probe], "buckets": null, "most_series": 1_000_000, "origin": origin }), object, frames)
}

/// The same with a header of any kind, and all objects one after the other.
pub fn of(header: &Value, objects: &[u8], frames: impl IntoIterator<Item = (u8, Vec<u8>)>) -> Vec<u8> {
    let mut stream = GzEncoder::new(b"beerec\x01\n".to_vec(), Compression::fast());
    let header = header.to_string();
    for part in [&number(header.len())[..], header.as_bytes(), objects] {
        stream.write_all(part).unwrap();
    }
    for (kind, content) in frames {
        // All at the time 0.
        for part in [&[kind][..], &[0; 8], &number(content.len()), &content] {
            stream.write_all(part).unwrap();
        }
    }
    stream.finish().unwrap()
}

/// A frame of an event.
pub fn event(map: usize, record: &[u8]) -> (u8, Vec<u8>) {
    (EVENT, [&number(map)[..], record].concat())
}

/// A frame of a map's elements: all keys, then all values.
pub fn elements(map: usize, (key_size, value_size): (usize, usize), content: &[u8]) -> (u8, Vec<u8>) {
    (ELEMENTS, [&number(map)[..], &number(key_size), &number(value_size), content].concat())
}

fn number(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_le_bytes()
}

//! Objects that are cut off or damaged are refused, whatever is wrong with them: never a panic, never a hang.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::path::Path;

use assert_cmd::Command;
use bee::object::{Kind, Source, inspect};
use proptest::prelude::*;

/// The workshop's probe, compiled once.
fn object() -> &'static [u8] {
    static OBJECT: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join("probe.o");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../probe.bpf.c");
        Command::cargo_bin("bee")
            .unwrap()
            .arg("build")
            .arg(source)
            .arg("--output-file")
            .arg(&object)
            .assert()
            .success();
        std::fs::read(object).unwrap()
    });
    &OBJECT
}

#[test]
fn the_sections_say_what_becomes_of_the_maps() {
    let inspection = inspect(object()).unwrap();
    let maps: Vec<_> = inspection.maps.iter().map(|map| (map.name.as_str(), map.kind)).collect();
    assert_eq!(maps.len(), 2);
    assert!(maps.contains(&("events", Kind::Print)) && maps.contains(&("connections", Kind::Counter)));
    let events = inspection.maps.iter().find(|map| map.name == "events").unwrap();
    assert!(matches!(&events.source, Source::Events(layout) if layout.size == 12), "{events:?}");
}

#[test]
fn a_normalised_object_stays_as_it_is() {
    let once = inspect(object()).unwrap().object;
    // Its maps stand in .maps now, so their names alone no longer say what becomes of them.
    let twice = inspect(&once).unwrap();
    assert!(twice.object == once, "it was changed again");
    assert!(twice.maps.is_empty());
}

#[test]
fn every_truncation_is_refused_or_complete() {
    let object = object();
    for length in (0..object.len()).step_by(7) {
        let _ = inspect(&object[..length]);
    }
    assert!(inspect(&object[..64]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_damage_makes_it_panic(at in 0usize..30_000, byte: u8, more in proptest::collection::vec((0usize..30_000, any::<u8>()), 0..8)) {
        let mut damaged = object().to_vec();
        for (at, byte) in more.into_iter().chain([(at, byte)]) {
            let length = damaged.len();
            damaged[at % length] = byte;
        }
        let _ = inspect(&damaged);
    }
}

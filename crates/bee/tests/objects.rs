//! Objects that are cut off or damaged are refused, whatever is wrong with them: never a panic, never a hang.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::path::Path;

use assert_cmd::Command;
use bee::allowance::{Allowance, Exceeded};
use bee::decode::btf::{Btf, BtfError};
use bee::decode::labels::Labels;
use bee::decode::layout::{Layout, LayoutError};
use bee::lint::Sources;
use bee::object::{Kind, Source, inspect};
use proptest::prelude::*;

/// The workshop's probe, compiled once.
fn object() -> &'static [u8] {
    static OBJECT: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join("probe.o");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../probes/probe.bpf.c");
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
    let connections = inspection.maps.iter().find(|map| map.name == "connections").unwrap();
    assert_eq!(connections.help.as_deref(), Some("Connections opened over IPv4, by destination."));
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
        let _ = Sources::from_object(Path::new("probe.o"), &damaged);
    }
}

/// An object of so many sections, all of one name and all of them the same megabyte.
fn overlapping(name: &str, sections: u16) -> Vec<u8> {
    let mut bytes = vec![0u8; 1 << 20];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18] = 247;
    let headers = bytes.len() as u64;
    bytes[40..48].copy_from_slice(&headers.to_le_bytes());
    bytes[60..62].copy_from_slice(&sections.to_le_bytes());
    bytes[64..64 + name.len()].copy_from_slice(name.as_bytes());
    for _ in 0..sections {
        let mut header = [0u8; 64];
        header[..4].copy_from_slice(&64u32.to_le_bytes());
        header[4] = 1;
        header[32..40].copy_from_slice(&headers.to_le_bytes());
        bytes.extend(header);
    }
    bytes
}

#[test]
fn sections_that_overlap_take_no_more_memory_than_an_object_may_have() {
    let refused = inspect(&overlapping(".maps.print", 5000)).unwrap_err();
    assert!(refused.to_string().contains("or they overlap"), "5 GB of maps in an object of 1 MB: {refused}");
    assert!(inspect(&overlapping(".text", 5000)).is_err());
}

/// BTF of these types, all of one name, which has so many bytes.
fn btf(types: impl Iterator<Item = u32>, name: usize) -> Vec<u8> {
    let types: Vec<u8> = types.flat_map(u32::to_le_bytes).collect();
    let strings = [&[0][..], &vec![b'x'; name], &[0]].concat();
    let header = [24, 0, types.len(), types.len(), strings.len()];
    let header = header.into_iter().flat_map(|number| (number as u32).to_le_bytes()).collect();
    [vec![0x9f, 0xeb, 1, 0], header, types, strings].concat()
}

#[test]
fn types_that_share_a_long_name_take_bounded_memory() {
    let integers = |count, name| {
        let btf = btf((0..count).flat_map(|_| [1, 1 << 24, 4, 32]), name);
        Btf::parse(&btf, &Allowance::of_a_file()).map(drop)
    };
    assert_eq!(integers(3, 4000), Ok(()));
    assert_eq!(integers(100_000, 4000), Err(BtfError::TooLarge(Exceeded)));
    assert_eq!(integers(1_500_000, 1), Err(BtfError::TooLarge(Exceeded)), "sixteen bytes each in the file");
    assert_eq!(integers(3, 1 << 20), Err(BtfError::Name));
}

#[test]
fn arrays_of_arrays_of_nothing_are_too_large() {
    let nothing = [1, 4 << 24, 0];
    let array = |element: u32| [1, 3 << 24, 0, element, 1, 30];
    let nested = btf(nothing.into_iter().chain((1..12).flat_map(array)), 1);
    let nested = Btf::parse(&nested, &Allowance::of_a_file()).unwrap();
    assert_eq!(Layout::from_btf(&nested, 2).map(|layout| layout.size), Ok(0), "thirty times nothing");
    assert_eq!(Layout::from_btf(&nested, 12), Err(LayoutError::TooLarge), "30 to the power of 11 times nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_damage_to_types_makes_them_hang_or_panic(damage in proptest::collection::vec((0usize..100_000, any::<u8>()), 1..8)) {
        // What BTF there is in an object begins with its magic number.
        let start = object().windows(4).position(|bytes| bytes == [0x9f, 0xeb, 1, 0]).unwrap();
        let mut damaged = object()[start..].to_vec();
        for (at, byte) in damage {
            let length = damaged.len() - 4;
            damaged[4 + at % length] = byte;
        }
        let Ok(btf) = Btf::parse(&damaged, &Allowance::of_a_file()) else { return Ok(()) };
        for id in (0..2000).take_while(|id| *id == 0 || btf.get(*id).is_some()) {
            let _ = btf.size(id);
            if let Ok(layout) = Layout::from_btf(&btf, id) {
                Labels::new(&layout, None).write(&mut String::new(), &vec![0xff; layout.size.min(1 << 16)]);
            }
        }
    }
}

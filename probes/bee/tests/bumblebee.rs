//! What BumbleBee got wrong in reading a probe's maps and records, as regression tests: `A5 #n` is the number in the list of its bugs.
//! Those that concern hooks (#7, #32) stand in `hooks`, what `init` writes (#22, #23) in `tests/init.rs`,
//! the command line (#20, #21, #24, #27) in `tests/cli.rs`, registries (#26) in `tests/registry.rs`, packages (#28) in `tests/package.rs`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::error::Error;

use bee::{
    build::{Architecture, Request, Vmlinux, build},
    decode::decode,
    labels::Labels,
    layout::Layout,
    object::{Inspection, Kind, Source, inspect},
};
use serde_json::{Value, json};

/// Builds a probe that consists of these declarations, and looks at it.
fn inspected(declarations: &str) -> Result<Inspection, String> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("probe.c");
    let begin = "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\n#include \"solo_types.h\"\n";
    std::fs::write(&source, format!("{begin}{declarations}")).unwrap();
    let request = Request {
        source: &source,
        link: &[],
        architecture: Architecture::Amd64,
        vmlinux: Vmlinux::Pinned,
        cflags: &[],
    };
    match build(&request) {
        Ok(object) => Ok(inspect(&object).unwrap()),
        Err(error) => Err(error.source().map_or_else(|| error.to_string(), ToString::to_string)),
    }
}

fn ring(fields: &str, map: &str) -> String {
    format!(
        "struct event_t {{ {fields} }};\nstruct {{ __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); \
         __type(value, struct event_t); }} {map} SEC(\".maps\");\n"
    )
}

/// How an event of these fields lies in memory.
fn event(fields: &str) -> Layout {
    let inspection = inspected(&ring(fields, "print_events")).unwrap();
    match &inspection.maps[0].source {
        Source::Events(layout) => layout.clone(),
        other => panic!("{other:?}"),
    }
}

/// An event of these fields whose bytes are these.
fn shown(fields: &str, bytes: &[u8]) -> Value {
    decode(&event(fields), bytes).unwrap()
}

#[test]
fn a5_1_padding_shifts_no_field() {
    let bytes = [[1, 0, 0, 0, 0xaa, 0xaa, 0xaa, 0xaa], 42u64.to_le_bytes()].concat();
    assert_eq!(shown("u32 a; u64 b;", &bytes), json!({"a": 1, "b": 42}));
}

#[test]
fn a5_2_a_bool_is_true_and_takes_its_byte() {
    assert_eq!(shown("bool ok; u8 code;", &[1, 42]), json!({"ok": true, "code": 42}));
}

#[test]
fn a5_3_text_need_not_end_with_a_zero() {
    assert_eq!(shown("char tag[4]; u32 n;", b"ABCD\x07\0\0\0"), json!({"tag": "ABCD", "n": 7}));
}

#[test]
fn a5_4_bytes_above_127_are_numbers_or_text_in_utf8() {
    let layout = event("u8 n; char c; char text[2];");
    let mut shown = String::new();
    Labels::of(&layout, None).write(&mut shown, &[0x80, 0x80, 0xff, 0]);
    assert_eq!(shown, "c=\"-128\",n=\"128\",text=\"\u{fffd}\"");
}

#[test]
fn a5_6_a_ring_buffer_may_be_a_gauge_if_its_events_have_a_value() {
    let inspection = inspected(&ring("u32 cpu; u64 value;", "gauge_load")).unwrap();
    assert_eq!(inspection.maps[0].kind, Kind::Gauge);
    let refused = inspected(&ring("u32 cpu; u64 load;", "gauge_load")).unwrap_err();
    assert!(refused.starts_with("map gauge_load can't be exported: a gauge takes its value from"), "{refused}");
}

#[test]
fn a5_8_enumerations_nested_structs_and_short_records_end_nothing() {
    let fields = "enum { NO, YES = 3 } answer; struct { u16 port; } to; const volatile u8 raw[2];";
    let layout = event(fields);
    assert_eq!(
        decode(&layout, &[3, 0, 0, 0, 80, 0, 0xab, 0xcd]),
        Ok(json!({"answer": "YES", "to": {"port": 80}, "raw": "abcd"}))
    );
    assert!(decode(&layout, &[3, 0]).is_err(), "counted as bad, and the next event is read");
}

#[test]
fn a5_13_ipv6_addresses_have_sixteen_bytes() {
    let mut bytes = [0; 20];
    (bytes[0], bytes[15], bytes[16]) = (0xfd, 1, 7);
    // BumbleBee's type of four bytes keeps compiling.
    assert_eq!(shown("ipv6_address to; ipv6_addr old;", &bytes), json!({"to": "fd00::1", "old": 7}));
}

#[test]
fn a5_14_a_key_need_be_no_struct_and_a_missing_type_is_named() {
    let map = |types: &str| {
        let begin = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8);";
        inspected(&format!("{begin} {types} }} counter_calls SEC(\".maps\");\n"))
    };
    let inspection = map("__type(key, u32); __type(value, u64);").unwrap();
    let Source::Elements { key, .. } = &inspection.maps[0].source else { panic!("{:?}", inspection.maps) };
    let labels = Labels::of(key, None);
    assert_eq!((labels.names().collect(), labels.values(&[9, 0, 0, 0])), (vec!["key"], vec!["9".to_owned()]));
    let refused = map("__type(key, u32); __uint(value_size, 8);").unwrap_err();
    assert_eq!(refused, "map counter_calls can't be exported: it has no __type(value, …)");
}

#[test]
fn every_type_of_the_header_shows_its_meaning() {
    let fields = "ipv4_addr from; mac_address mac; net_port port; error_number error; signal_number signal; \
                  syscall_number call; duration took; kernel_address at;";
    let bytes = [
        &[10, 101, 0, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 1, 0xbb][..],
        &(-2i32).to_le_bytes(),
        &15u32.to_le_bytes(),
        &(libc::SYS_openat as u32).to_le_bytes(),
        &1_500_000u64.to_le_bytes(),
        &16u64.to_le_bytes(),
    ]
    .concat();
    let expected = json!({
        "from": "10.101.0.2", "mac": "52:54:00:12:34:56", "port": 443, "error": "ENOENT", "signal": "SIGTERM",
        "call": "openat", "took": "1.5ms", "at": "0x10",
    });
    assert_eq!(shown(fields, &bytes), expected);
}

#[test]
fn a_map_of_a_kind_that_bee_does_not_read_is_refused_by_name() {
    for kind in ["STACK_TRACE", "LPM_TRIE", "QUEUE", "SOCKMAP", "BLOOM_FILTER"] {
        let map = format!(
            "struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, 8); __type(key, u32); __type(value, u64); }} \
             counter_calls SEC(\".maps\");\n"
        );
        let refused = inspected(&map).unwrap_err();
        assert!(refused.starts_with("map counter_calls can't be exported: maps of type"), "{kind}: {refused}");
    }
}

//! What BumbleBee got wrong, as regression tests: `A5 #n` is number n in docs/bumblebee-bugs.md.
//! Elsewhere stand what concerns hooks (#7, #32: `hooks`), filters (#17: `filter`), the terminal (#18, #19: `output`), what is printed
//! without one (#16: `tests/kernel.rs`), what `init` writes (#22, #23: `tests/init.rs`), the command line (#10, #20, #21, #24, #27:
//! `tests/cli.rs`), pins (#25: `tests/together.rs`), registries (#26: `tests/registry.rs`), packages (#28: `tests/package.rs`),
//! manifests (#29: lab 5 and its check), the workshop's probes (#30: `tests/probes.rs`). #31 is that it has no tests.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

use bee::{
    compile::{Request, Vmlinux, build},
    decode::architecture::Architecture,
    decode::decode,
    decode::labels::Labels,
    decode::layout::Layout,
    object::{Inspection, Kind, Source, inspect},
};
use serde_json::{Value, json};
use testkit::probe::{self, Run, until};

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
    Labels::new(&layout, None).write(&mut shown, &[0x80, 0x80, 0xff, 0]);
    assert_eq!(shown, "c=\"-128\",n=\"128\",text=\"\\\\xff\"");
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
    let labels = Labels::new(key, None);
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

/// One key, which a getppid() of the test's counts and a getpgid() of its deletes; each getppid() besides tries to send 64 events of
/// 1 kB through a ring buffer of 4.
const CALLS: &str = r#"#include "bee.h"
const volatile __u32 watched = 0;
struct key_t { char name[4]; };
struct event_t { char name[1024]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct key_t); __type(value, __u64); } calls SEC(".maps.counter");
BEE_HASH(calls);
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } events SEC(".maps.counter");
BEE_RING(events);
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	struct key_t key = { .name = "a" };
	__u64 call = *(volatile __u64 *)&ctx->args[1];
	if (bpf_get_current_pid_tgid() >> 32 != watched)
		return 0;
	if (call == GETPGID)
		bpf_map_delete_elem(&calls, &key);
	if (call != GETPPID)
		return 0;
	BEE_INCREMENT(calls, &key);
	for (int i = 0; i < 64; i++) {
		struct event_t *event = BEE_RESERVE(events, struct event_t);
		if (!event)
			continue;
		__builtin_memset(event, 0, sizeof(*event));
		BEE_SUBMIT(event);
	}
	return 0;
}
"#;

fn calls(folder: &Path) -> PathBuf {
    let (counted, deleted) = (libc::SYS_getppid, libc::SYS_getpgid);
    probe::build(bee(), folder, &format!("#define GETPPID {counted}\n#define GETPGID {deleted}\n{CALLS}"))
}

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

fn call() {
    nix::unistd::getppid();
}

fn watched() -> String {
    format!("--param=watched={}", std::process::id())
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a5_5_a_counter_may_begin_anew_and_a5_12_a_key_that_is_deleted_is_no_series_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(bee(), &calls(folder.path()), &[&watched()]);
    let series = || run.metrics().lines().filter(|line| line.starts_with("ebpf_solo_io_calls{")).count();
    (0..3).for_each(|_| call());
    assert_eq!((run.value("calls", &["name=\"a\""]), series()), (3, 1));
    nix::unistd::getpgid(None).unwrap();
    assert_eq!(series(), 0);
    call();
    assert_eq!((run.value("calls", &["name=\"a\""]), series()), (1, 1));
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a5_9_every_event_that_a_full_ring_buffer_refuses_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(bee(), &calls(folder.path()), &[&watched()]);
    (0..10).for_each(|_| call());
    let (lost, taken) = (|| run.own("bee_events_lost_total", "events"), || run.sum("events"));
    assert!(until(|| lost() + taken() == 640), "{} lost, {} taken", lost(), taken());
    assert!(lost() >= 600 && taken() >= 3, "{} lost, {} taken", lost(), taken());
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a5_11_all_elements_of_a_large_map_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let lines = r#"
const volatile __u32 watched = 0;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 20000); __type(key, __u32); __type(value, __u64); } numbers SEC(".maps.counter");
static __u32 number;
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 one = 1;
	if (ctx->args[1] == GETPPID && bpf_get_current_pid_tgid() >> 32 == watched) {
		bpf_map_update_elem(&numbers, &number, &one, BPF_ANY);
		number++;
	}
	return 0;
}
"#;
    let object = probe::build(bee(), folder.path(), &format!("#define GETPPID {}\n{lines}", libc::SYS_getppid));
    let run = Run::start(bee(), &object, &[&watched()]);
    (0..10_000).for_each(|_| call());
    assert_eq!(run.sum("numbers"), 10_000);
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a5_15_a_port_that_is_taken_is_said_before_anything_is_attached() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = format!("--prom-port={}", taken.local_addr().unwrap().port());
    let run = bee().arg("run").arg(calls(folder.path())).args(["--no-tty", &port]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(
        !run.status.success() && said.contains("can't be used for the metrics: choose another port with --prom-port"),
        "{said}"
    );
}

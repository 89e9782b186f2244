//! Maps whose values are several numbers, or several CPUs', in this machine's kernel: each number is a metric of its own, and each CPU's
//! is told apart where that is asked for; in metrics, JSON, columns, recordings and replay alike.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::process::Command;

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use testkit::{
    called::{CalledProbe, shows},
    probe::{Run, until},
};

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

/// On the first CPU, where the kernel counts what this thread calls.
fn call(probe: &CalledProbe, numbers: &[u32]) {
    let mut first = CpuSet::new();
    first.set(0).unwrap();
    sched_setaffinity(Pid::from_raw(0), &first).unwrap();
    probe.call(numbers.iter().copied());
}

const STRUCTS: &str = r#"
struct size_t_ { __u64 bytes; __s32 last; __u32 slots[2]; };
struct value_t { __u64 count; struct size_t_ size; char comm[4]; __u32 low : 4, high : 28; };
struct key_t { char name[4]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct key_t); __type(value, struct value_t); } io SEC(".maps.counter") BEE_HELP("What was read.") BEE_UNIT("bytes");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct value_t); } gauge_now SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 64); __type(key, struct key_t); __type(value, struct value_t); } each SEC(".maps.counter");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct value_t); } printed SEC(".maps.print");
"#;

const MAKE_STRUCTS: &str = r#"
	struct key_t key = { .name = "a" };
	struct value_t value = { .count = 1, .size = { .bytes = a, .last = -(int)a }, .comm = "x", .low = 3, .high = a };
	__u32 first = 0;
	bpf_map_update_elem(&io, &key, &value, 0);
	bpf_map_update_elem(&gauge_now, &first, &value, 0);
	bpf_map_update_elem(&each, &key, &value, 0);
	bpf_map_update_elem(&printed, &first, &value, 0);
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn each_number_of_a_value_is_a_metric_of_its_own() {
    let probe = CalledProbe::build(bee, STRUCTS, MAKE_STRUCTS);
    let file = probe.recording();
    let run = probe.run(&["--record", file.to_str().unwrap()]);
    call(&probe, &[7, 500]);
    let numbers = [("count", 1), ("high", 500), ("low", 3), ("size_bytes", 500), ("size_last", -500)];
    let maps = [("each", r#"name="a""#), ("gauge_now", r#"key="0""#), ("io", r#"name="a""#)];
    let expected: Vec<_> = maps
        .iter()
        .flat_map(|(map, key)| numbers.map(|(number, value)| format!("{map}_{number}{{{key}}} {value}")))
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    shows(&run, &expected);
    let metrics = run.metrics();
    for line in [
        "# HELP ebpf_solo_io_io_size_bytes What was read: size_bytes (bytes)",
        "# HELP ebpf_solo_io_io_count What was read: count",
        "# TYPE ebpf_solo_io_io_count counter",
        "# TYPE ebpf_solo_io_gauge_now_size_last gauge",
    ] {
        assert!(metrics.lines().any(|there| there == line), "{line}: {metrics}");
    }
    assert!(run.said().contains("map io: size_slots, comm of its values left out"), "{}", run.said());
    let line = r#"{"map":"printed","key":0,"value":{"count":1,"size":{"bytes":500,"last":-500},"low":3,"high":500}}"#;
    assert!(until(|| run.printed().contains(line)), "{}", run.printed());
    run.stop();

    let replay = Run::replay(bee(), &file, &["--speed=max", "--output=json"]);
    shows(&replay, &expected);
    assert!(until(|| replay.printed().contains(line)), "{}", replay.printed());
    let inspected = String::from_utf8(bee().arg("inspect").arg(probe.object()).output().unwrap().stdout).unwrap();
    for line in ["ebpf_solo_io_io_size_bytes{name}", "left out: size_slots, comm"] {
        assert!(inspected.contains(line), "{inspected}");
    }
}

const CPUS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } counted SEC(".maps.counter");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __s32); } load SEC(".maps.gauge");
struct { __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } seen SEC(".maps.print");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } plain SEC(".maps.counter");
"#;

const MAKE_CPUS: &str = r#"
	__u32 key = 0;
	__s32 last = -(int)a;
	bpf_map_update_elem(&counted, &key, &a, 0);
	bpf_map_update_elem(&load, &key, &last, 0);
	bpf_map_update_elem(&seen, &key, &a, 0);
"#;

/// This test's calls are on CPU 0; of the others each map has its zero.
#[test]
#[ignore = "needs root (loads probes)"]
fn cpus_are_told_apart_where_that_is_asked_for() {
    let probe = CalledProbe::build(bee, CPUS, MAKE_CPUS);
    let summed = probe.run(&[]);
    call(&probe, &[9]);
    shows(&summed, &[r#"counted{key="0"} 9"#, r#"load{key="0"} -9"#]);
    assert!(summed.said().contains("map load: a gauge of a per-CPU map is the sum"), "{}", summed.said());
    assert!(!summed.said().contains("map counted"), "{}", summed.said());
    assert!(
        summed
            .metrics()
            .contains("HELP ebpf_solo_io_load What the probe keeps in its map load, added up over the CPUs")
    );
    summed.stop();

    let file = probe.recording();
    let options = ["counted", "load", "seen"].map(|map| format!("--per-cpu={map}"));
    let mut options: Vec<_> = options.iter().map(String::as_str).collect();
    options.extend(["--record", file.to_str().unwrap(), "--filter=seen:cpu==0"]);
    let run = probe.run(&options);
    call(&probe, &[9]);
    let all = ["counted", "load"].map(|map| of_each_cpu(map, if map == "load" { -9 } else { 9 })).concat();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    shows(&run, &all);
    let line = r#"{"map":"seen","key":{"key":0,"cpu":0},"value":9}"#;
    assert!(until(|| run.printed().contains(line)), "{}", run.printed());
    assert!(!run.printed().contains(r#""cpu":1"#), "{}", run.printed());
    assert!(!run.said().contains("is the sum"), "{}", run.said());
    run.stop();
    let replay = Run::replay(bee(), &file, &["--speed=max", "--output=columns"]);
    shows(&replay, &all);
    assert!(until(|| replay.printed().lines().any(|line| line.split_whitespace().eq(["seen", "0", "0", "9"]))));

    for (map, why) in [("plain", "it is no per-CPU hash or array"), ("nothing", "no probe exports such a map")] {
        let refused = bee().arg("run").arg(probe.object()).args(["--per-cpu", map]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(2) && said.contains(why), "{said}");
    }
}

/// Samples of a map with one key that only CPU 0 has written.
fn of_each_cpu(map: &str, first: i64) -> Vec<String> {
    let present = std::fs::read_to_string("/sys/devices/system/cpu/present").unwrap();
    let last: usize = present.trim().rsplit(['-', ',']).next().unwrap().parse().unwrap();
    let mut all: Vec<_> = (0..=last)
        .map(|cpu| format!("{map}{{cpu=\"{cpu}\",key=\"0\"}} {}", if cpu == 0 { first } else { 0 }))
        .collect();
    all.sort();
    all
}

#[test]
fn numbers_that_would_be_one_metric_are_not_built() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "struct in_t { __u64 b; }; struct value_t { struct in_t a; __u64 a_b; };
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, struct value_t); } m SEC(\".maps.gauge\");";
    let source = folder.path().join("probe.c");
    std::fs::write(&source, format!("#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\n{lines}")).unwrap();
    let built = bee().arg("build").arg(&source).arg("--output-file").arg(folder.path().join("o")).output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(said.contains("two fields of its values would be the metric ebpf_solo_io_m_a_b"), "{said}");
}

//! Records of random structs, full of noise where no field is, are counted by bee as by a plain model: counters, gauges, histograms,
//! hashes, filters, a recording and its replay.
//!
//! `PROPTEST_CASES=500` tries more of them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

mod fields;
mod model;
mod records;

use std::path::Path;
use std::process::Command;

use proptest::test_runner::{Config, TestRunner};
use testkit::probe::{self, Run, until};

use model::{Condition, Samples};
use records::{Event, Struct};

/// As many as take some twenty seconds.
const CASES: u32 = 16;

/// A descriptor that no process has: a write to it tells the probe, and does nothing else.
const DESCRIPTOR: i32 = 77_777;

const MAPS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); __type(value, struct key_t); } seen SEC(".maps.counter");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); __type(value, struct event_t); } last SEC(".maps.gauge");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); __type(value, struct event_t); } took SEC(".maps.hist") BEE_BUCKETS("0,7,100000");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); __type(value, struct event_t); } shown SEC(".maps.print");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4096); __type(key, struct key_t); __type(value, __u64); } kept SEC(".maps.counter");
"#;

const PROGRAM: &str = r#"
SEC("tp_btf/sys_enter")
int BPF_PROG(watch, struct pt_regs *regs, long id)
{
	if (id != SYS_WRITE || PT_REGS_PARM1_CORE_SYSCALL(regs) != DESCRIPTOR || bpf_get_current_pid_tgid() >> 32 != watched)
		return 0;
	void *record = (void *)PT_REGS_PARM2_CORE_SYSCALL(regs);
	struct key_t key;
	struct event_t event;
	if (bpf_probe_read_user(&key, sizeof(key), record) || bpf_probe_read_user(&event, sizeof(event), record + sizeof(key)))
		return 0;
	bpf_ringbuf_output(&seen, &key, sizeof(key), 0);
	bpf_ringbuf_output(&last, &event, sizeof(event), 0);
	bpf_ringbuf_output(&took, &event, sizeof(event), 0);
	bpf_ringbuf_output(&shown, &event, sizeof(event), 0);
	__u64 one = 1, *count = bpf_map_lookup_elem(&kept, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&kept, &key, &one, BPF_ANY);
	return 0;
}
"#;

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

fn source(key: &Struct, event: &Struct) -> String {
    format!(
        "#include \"bpf/bpf_core_read.h\"\n#include \"bpf/bpf_tracing.h\"\n#include \"bee.h\"\n\
         #define SYS_WRITE {}\n#define DESCRIPTOR {DESCRIPTOR}\n\
         const volatile __u32 watched = 0;\nenum color {{ RED, BLUE = 5 }};\n{}{}{MAPS}{PROGRAM}",
        libc::SYS_write,
        key.declaration("key_t"),
        event.declaration("event_t"),
    )
}

/// Has the probe see the events in their order.
fn send(key: &Struct, event: &Struct, events: &[Event]) {
    for it in events {
        let record = [key.bytes(it), event.bytes(it)].concat();
        // SAFETY: the kernel reads what the slice holds at the most, and there is no such descriptor.
        unsafe { libc::write(DESCRIPTOR, record.as_ptr().cast(), record.len()) };
    }
}

fn compare(folder: &Path, (key, event): &(Struct, Struct), events: &[Event], condition: &Condition) {
    let object = probe::build(bee(), folder, &source(key, event));
    let recording = folder.join("run.bee");
    let filter = condition.on(event, events);
    let shown: Vec<String> = filter.iter().map(|filter| format!("--filter=shown:{filter}")).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();

    let watched = format!("--param=watched={}", std::process::id());
    let file = recording.to_str().unwrap();
    let run = Run::start(bee(), &object, &[&[watched.as_str(), "--record", file], &*shown].concat());
    send(key, event, events);
    let samples = model::samples(key, event, events);
    let lines = model::lines(event, events, filter.as_ref());
    serves(&run, &samples);
    assert_eq!(model::printed(&run.stop()), lines, "of the run");

    let replay = Run::replay(bee(), &recording, &[&["--speed=max", "--output=json"], &*shown].concat());
    serves(&replay, &samples);
    assert!(until(|| replay.printed().lines().count() == lines.len()), "the replay's lines");
    assert_eq!(model::printed(&replay.stop()), lines, "of the replay");
}

#[track_caller]
fn serves(run: &Run, expected: &Samples) {
    if until(|| model::parse(&run.metrics()) == *expected) {
        return;
    }
    assert_eq!(&model::parse(&run.metrics()), expected);
}

#[test]
#[ignore = "needs root (loads probes)"]
fn what_bee_shows_of_random_records_is_what_a_plain_model_counts() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, max_shrink_iters: 8, failure_persistence: None, ..Config::default() };
    let all = (records::structs(), records::events(), model::condition());
    let ran = TestRunner::new(config).run(&all, |(structs, events, condition)| {
        let folder = tempfile::tempdir().unwrap();
        compare(folder.path(), &structs, &events, &condition);
        Ok(())
    });
    if let Err(failed) = ran {
        panic!("{failed}");
    }
}

//! A run is recorded as root, and shown again by a process that may do nothing.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use testkit::probe::{self, Run, until};

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

/// Without any capability, whoever runs it.
fn powerless() -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--bounding-set=-all", "--inh-caps=-all", "--"]).arg(env!("CARGO_BIN_EXE_bee"));
    setpriv
}

/// Tells of the getppid() calls of one process in every kind of map, and of tasks.
const PROBE: &str = r#"
#include "bee.h"
const volatile __u32 watched = 0;
struct event_t { char comm[16]; ktime_ns at; kernel_address from; };
struct took_t { __u32 value; };
struct name_t { char comm[16]; };
struct caller_t { kernel_address from; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct event_t); } print_calls SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __type(value, struct name_t); } events SEC(".maps.counter");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct took_t); } hist_calls SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct name_t); __type(value, __u64); } print_names SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); } counter_calls SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct caller_t); __type(value, __u64); } counter_callers SEC(".maps");
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	struct event_t event = {};
	struct took_t took = { .value = 7 };
	__u32 first = 0;
	__u64 one = 1, *count = bpf_map_lookup_elem(&counter_calls, &first);
	if (ctx->args[1] != GETPPID || bpf_get_current_pid_tgid() >> 32 != watched || !count)
		return 0;
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	event.at = bpf_ktime_get_ns();
	bpf_get_stack(ctx, &event.from, sizeof(event.from), 0);
	*count += 1;
	bpf_ringbuf_output(&print_calls, &event, sizeof(event), 0);
	bpf_ringbuf_output(&hist_calls, &took, sizeof(took), 0);
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, event.comm, sizeof(event.comm));
	bpf_map_update_elem(&print_names, event.comm, &one, BPF_ANY);
	bpf_map_update_elem(&counter_callers, &event.from, &one, BPF_ANY);
	return 0;
}
SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	if (task && task->pid == watched)
		BPF_SEQ_PRINTF(ctx->meta->seq, "%d %s\n", task->pid, task->comm);
	return 0;
}
"#;

fn build(folder: &Path) -> PathBuf {
    probe::build(bee(), folder, &format!("#define GETPPID {}\n{PROBE}", libc::SYS_getppid))
}

/// The tests' calls are one process's: what one of them records, no other may make meanwhile.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the probe, calls, and answers the recording, the last metrics and what was printed.
fn record(folder: &Path) -> (PathBuf, String, String) {
    let (object, file) = (build(folder), folder.join("run.bee"));
    let watched = format!("--param=watched={}", std::process::id());
    let options = [&watched, "--record", file.to_str().unwrap(), "--hist-buckets=5,10"];
    let _alone = alone();
    let run = Run::start(bee(), &object, &options);
    for name in ["asks", "others", "asks"] {
        std::thread::Builder::new().name(name.into()).spawn(nix::unistd::getppid).unwrap().join().unwrap();
    }
    // Events come at once; a printed hash is looked at each second.
    let counted = [
        "ebpf_solo_io_hist_calls_count 3\n",
        "ebpf_solo_io_events{comm=\"asks\"} 2\n",
        "ebpf_solo_io_events{comm=\"others\"} 1\n",
        "bee_map_elements{map=\"print_names\"} 2\n",
    ];
    let all_is_counted = || counted.iter().all(|line| run.metrics().contains(line));
    assert!(until(all_is_counted), "{}", run.metrics());
    let metrics = run.metrics();
    (file, metrics, run.stop())
}

fn replayed(file: &Path, options: &[&str]) -> Output {
    powerless()
        .arg("replay")
        .arg(file)
        .args(["--speed=max", "--prom-port=0", "--timeout=0s"])
        .args(options)
        .output()
        .unwrap()
}

/// Series of one map come in no order.
fn lines(text: &str) -> BTreeSet<&str> {
    text.lines().collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_replay_without_any_right_prints_and_counts_what_the_run_did() {
    let folder = tempfile::tempdir().unwrap();
    let (file, metrics, printed) = record(folder.path());
    assert!(printed.lines().count() > 5, "{printed}");
    for (shown, beginning) in [(&printed, "\"from\":\""), (&metrics, "callers{from=\"")] {
        assert!(shown.contains(beginning) && !shown.contains(&format!("{beginning}0x")), "a function's name: {shown}");
    }
    let replay = replayed(&file, &[]);
    assert!(replay.status.success(), "{}", text(&replay.stderr));
    assert_eq!(text(&replay.stdout), printed);

    let shown = Run::replay(powerless(), &file, &["--speed=max"]);
    let same = || lines(&shown.metrics()) == lines(&metrics);
    assert!(until(same), "{metrics}\nbut\n{}", shown.metrics());
    assert!(metrics.contains("ebpf_solo_io_events{comm=\"asks\"} 2"), "{metrics}");
    assert_eq!(shown.stop(), printed);
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_replay_is_filtered_and_takes_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _, printed) = record(folder.path());
    let replay = replayed(&file, &["--filter=print_calls:comm==others", "--output=columns"]);
    let columns = text(&replay.stdout);
    assert!(!columns.lines().any(|line| line.starts_with("print_calls") && line.contains("asks")), "{columns}");
    assert!(columns.lines().any(|line| line.starts_with("print_calls") && line.contains("others")), "{columns}");
    let started = std::time::Instant::now();
    let slow =
        powerless().arg("replay").arg(&file).args(["--speed=0.5", "--prom-port=0", "--timeout=0s"]).output().unwrap();
    assert_eq!(text(&slow.stdout), printed);
    assert!(started.elapsed().as_millis() > 100, "calls come some time after the start");
    let refused = replayed(&file, &["--filter=print_calls:nothing==1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_recording_with_any_byte_changed_makes_no_replay_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (file, ..) = record(folder.path());
    let (magic, packed) = std::fs::read(&file).map(|bytes| (bytes[..8].to_vec(), bytes[8..].to_vec())).unwrap();
    let mut bytes = vec![];
    GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    let mut refused = 0;
    for round in 0..300 {
        // The header, the object and the frames alike, each bit in turn.
        let place = round * bytes.len() / 300;
        bytes[place] ^= 1 << (round % 8);
        let mut stream = GzEncoder::new(magic.clone(), Compression::fast());
        stream.write_all(&bytes).unwrap();
        std::fs::write(&file, stream.finish().unwrap()).unwrap();
        bytes[place] ^= 1 << (round % 8);
        let replay = replayed(&file, &[]);
        let said = text(&replay.stderr);
        assert!(replay.status.code().is_some_and(|code| code < 5) && !said.contains("panicked"), "{place}: {said}");
        refused += usize::from(!replay.status.success() || said.contains("ends early"));
    }
    assert!(refused > 10, "{refused} changes were noticed");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_run_that_is_killed_has_its_recording() {
    let folder = tempfile::tempdir().unwrap();
    let (object, file) = (build(folder.path()), folder.path().join("run.bee"));
    let watched = format!("--param=watched={}", std::process::id());
    let _alone = alone();
    let run = Run::start(bee(), &object, &[&watched, "--record", file.to_str().unwrap()]);
    nix::unistd::getppid();
    // It is written down each second.
    let is_recorded = until(|| text(&replayed(&file, &[]).stdout).contains("\"map\":\"print_calls\""));
    drop(run);
    assert!(is_recorded);
    let replay = replayed(&file, &[]);
    assert!(replay.status.success() && text(&replay.stdout).contains("\"map\":\"print_calls\""), "{replay:?}");
    assert!(text(&replay.stderr).contains("the recording ends early: it is cut off"), "{}", text(&replay.stderr));
}

#[test]
fn what_is_no_recording_is_neither_shown_nor_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "my notes").unwrap();
    let shown = bee().arg("replay").arg(&file).output().unwrap();
    assert!(text(&shown.stderr).contains("is not a recording made by bee"), "{}", text(&shown.stderr));
    let missing = bee().arg("replay").arg(folder.path().join("nothing.bee")).output().unwrap();
    assert!(text(&missing.stderr).contains("failed to open"), "{}", text(&missing.stderr));
    std::fs::write(&file, b"beerec\x09\nfrom the future").unwrap();
    let shown = bee().arg("replay").arg(&file).output().unwrap();
    assert!(text(&shown.stderr).contains("another version of bee"), "{}", text(&shown.stderr));
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_file_of_another_kind_is_not_recorded_over() {
    let folder = tempfile::tempdir().unwrap();
    let (object, file) = (build(folder.path()), folder.path().join("notes.txt"));
    std::fs::write(&file, "my notes").unwrap();
    let run = bee().arg("run").arg(object).args(["--prom-port=0", "--record"]).arg(&file).output().unwrap();
    assert!(text(&run.stderr).contains("exists and is not a recording"), "{}", text(&run.stderr));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "my notes");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_run_that_does_not_begin_leaves_the_recording_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let (file, ..) = record(folder.path());
    let recorded = std::fs::read(&file).unwrap();
    let nowhere = "SEC(\"raw_tp/no_such_tracepoint\") int watch(void *ctx) { return 0; }\n";
    let object = probe::build(bee(), folder.path(), nowhere);
    let run = bee().arg("run").arg(object).args(["--prom-port=0", "--record"]).arg(&file).output().unwrap();
    assert!(!run.status.success(), "{run:?}");
    assert!(std::fs::read(&file).unwrap() == recorded, "it was cut");
}

//! Histograms of probes in this machine's kernel: those that bee makes of events, and those that a probe keeps itself.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use testkit::probe::{Run, build, until};

fn bee() -> std::process::Command {
    std::process::Command::new(env!("CARGO_BIN_EXE_bee"))
}

/// Tells of the getppid() calls of one process: 0, 10, 20 …
const HISTOGRAM: &str = r#"
const volatile __u32 watched = 0;
struct event_t { char name[4]; __u32 took; };
__u32 calls;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct event_t); } hist_took SEC(".maps");
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] != GETPPID || bpf_get_current_pid_tgid() >> 32 != watched)
		return 0;
	struct event_t event = { .name = "a", .took = 10 * calls++ };
	bpf_ringbuf_output(&hist_took, &event, sizeof(event), 0);
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn events_of_a_histogram_are_counted_by_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(bee(), folder.path(), &format!("#define GETPPID {}\n{HISTOGRAM}", libc::SYS_getppid));
    let watched = format!("--param=watched={}", std::process::id());
    let refused = bee().arg("run").arg(&object).args(["--no-tty", &watched]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.starts_with("error: map hist_took is a histogram of a field \"value\""), "{said}");

    let run = Run::start(bee(), &object, &[&watched, "-k", "took", "-b", "linear:0:20:3"]);
    for _ in 0..6 {
        nix::unistd::getppid();
    }
    assert!(until(|| run.metrics().contains("hist_took_count{name=\"a\"} 6")), "{}", run.metrics());
    let metrics = run.metrics();
    let lines: Vec<_> = metrics.lines().filter(|line| line.starts_with("ebpf_solo_io_hist_took")).collect();
    let expected = [
        r#"ebpf_solo_io_hist_took_bucket{name="a",le="0"} 1"#,
        r#"ebpf_solo_io_hist_took_bucket{name="a",le="20"} 3"#,
        r#"ebpf_solo_io_hist_took_bucket{name="a",le="40"} 5"#,
        r#"ebpf_solo_io_hist_took_bucket{name="a",le="+Inf"} 6"#,
        r#"ebpf_solo_io_hist_took_sum{name="a"} 150"#,
        r#"ebpf_solo_io_hist_took_count{name="a"} 6"#,
    ];
    assert_eq!(lines, expected);
    assert!(metrics.contains("# TYPE ebpf_solo_io_hist_took histogram"));
}

/// Counts each getppid() of the test's in two histograms of its own, the values being 0, 1, 2, 3, 4, 5.
const KEPT: &str = r#"#include "bee.h"
struct key_t {
	char name[4];
	__u32 bucket;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 10);
	__type(key, struct key_t);
	__type(value, __u64);
} sizes SEC(".maps.hist") BEE_BUCKETS("log2:3");
BEE_HASH(sizes);
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1 << 10);
	__type(key, struct key_t);
	__type(value, __u64);
} steps SEC(".maps.hist") BEE_BUCKETS("linear:1:2:2");
BEE_HASH(steps);
const volatile __u32 watched = 0;
static __u64 size;
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] != GETPPID || bpf_get_current_pid_tgid() >> 32 != watched)
		return 0;
	struct key_t key = { .name = "a" };
	BEE_OBSERVE(sizes, &key, size);
	BEE_OBSERVE_LINEAR(steps, &key, size, 1, 2);
	size++;
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn a_histogram_that_the_probe_keeps_in_a_hash_has_its_buckets_and_its_sum() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(bee(), folder.path(), &format!("#define GETPPID {}\n{KEPT}", libc::SYS_getppid));
    let watched = format!("--param=watched={}", std::process::id());
    let bee = std::process::Command::new(env!("CARGO_BIN_EXE_bee"));
    let run = Run::start(bee, &object, &[&watched]);
    for _ in 0..6 {
        nix::unistd::getppid();
    }
    let metrics = run.metrics();
    let lines: Vec<_> = metrics.lines().filter(|line| line.starts_with("ebpf_solo_io_")).collect();
    let expected = [
        r#"ebpf_solo_io_sizes_bucket{name="a",le="1"} 2"#,
        r#"ebpf_solo_io_sizes_bucket{name="a",le="2"} 3"#,
        r#"ebpf_solo_io_sizes_bucket{name="a",le="4"} 5"#,
        r#"ebpf_solo_io_sizes_bucket{name="a",le="+Inf"} 6"#,
        r#"ebpf_solo_io_sizes_sum{name="a"} 15"#,
        r#"ebpf_solo_io_sizes_count{name="a"} 6"#,
        r#"ebpf_solo_io_steps_bucket{name="a",le="1"} 2"#,
        r#"ebpf_solo_io_steps_bucket{name="a",le="3"} 4"#,
        r#"ebpf_solo_io_steps_bucket{name="a",le="+Inf"} 6"#,
        r#"ebpf_solo_io_steps_sum{name="a"} 15"#,
        r#"ebpf_solo_io_steps_count{name="a"} 6"#,
    ];
    assert_eq!(lines, expected, "{metrics}");
}

/// Tells of each getppid() of the test's in two buffers: in the first as BumbleBee's probes do, by `le` and without `value`.
const TWO: &str = r#"
const volatile __u32 watched = 0;
struct first_t { char name[4]; __u64 le; };
struct second_t { __u32 size; __u64 value; };
__u32 calls;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct first_t); } hist_first SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct second_t); } hist_second SEC(".maps");
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] != GETPPID || bpf_get_current_pid_tgid() >> 32 != watched)
		return 0;
	struct first_t first = { .name = "a", .le = 10 * calls };
	bpf_ringbuf_output(&hist_first, &first, sizeof(first), 0);
	struct second_t second = { .size = 100 * calls++, .value = 7 };
	bpf_ringbuf_output(&hist_second, &second, sizeof(second), 0);
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn each_histogram_has_its_own_buckets_and_value_as_bumblebee_spells_them() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(bee(), folder.path(), &format!("#define GETPPID {}\n{TWO}", libc::SYS_getppid));
    let watched = format!("--param=watched={}", std::process::id());
    let file = folder.path().join("run.bee");
    let options = ["-b", "hist_first,[10,20]", "-b", "hist_second,[100]", "-k", "hist_second,size", "--record"];
    let run =
        Run::start(bee(), &object, &[&[watched.as_str()], options.as_slice(), &[file.to_str().unwrap()]].concat());
    for _ in 0..4 {
        nix::unistd::getppid();
    }
    let expected = [
        r#"hist_first_bucket{name="a",le="10"} 2"#,
        r#"hist_first_bucket{name="a",le="20"} 3"#,
        r#"hist_first_bucket{name="a",le="+Inf"} 4"#,
        r#"hist_first_sum{name="a"} 60"#,
        r#"hist_first_count{name="a"} 4"#,
        r#"hist_second_bucket{value="7",le="100"} 2"#,
        r#"hist_second_bucket{value="7",le="+Inf"} 4"#,
        r#"hist_second_sum{value="7"} 600"#,
        r#"hist_second_count{value="7"} 4"#,
    ];
    let lines = |run: &Run| {
        let metrics = run.metrics();
        metrics.lines().filter_map(|line| line.strip_prefix("ebpf_solo_io_")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(until(|| lines(&run) == expected), "{:#?}", lines(&run));
    run.stop();
    let replay = Run::replay(bee(), &file, &["--speed=max", "--output=json"]);
    assert!(until(|| lines(&replay) == expected), "{:#?}", lines(&replay));

    for (options, why) in [
        (["-b", "events,[1]"], "map events is no histogram of the probe; histograms: hist_first, hist_second"),
        (["-k", "hist_first,size"], "map hist_first is a histogram of a field \"size\""),
        (["-b", "hist_first,[2,1]"], "invalid buckets \"[2,1]\""),
    ] {
        let refused = bee().arg("run").arg(&object).args(options).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(2) && said.contains(why), "{said}");
    }
}

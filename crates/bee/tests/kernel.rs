//! Probes of the tests' own in this machine's kernel: what is lost is counted, what a field means is shown, what is wrong is said.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use testkit::probe::{Run, build, until};

/// `bee run` of an object.
fn run(object: &Path) -> Run {
    Run::start(bee(), object, &[])
}

/// Sends a large record on each system call, more than a perf buffer takes between two looks.
const FLOOD: &str = r#"
struct event_t { char text[2048]; };
static struct event_t event;
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __type(value, struct event_t); } events SEC(".maps.counter");
SEC("raw_tp/sys_enter")
int flood(void *ctx)
{
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn what_a_perf_buffer_loses_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&build(bee(), folder.path(), FLOOD));
    let lost = |metrics: String| {
        let line = metrics.lines().find(|line| line.starts_with("bee_events_lost_total{map=\"events\"} "))?.to_owned();
        line.rsplit(' ').next()?.parse::<u64>().ok()
    };
    let flooded = until(|| {
        (0..100_000).for_each(|_| {
            nix::unistd::getppid();
        });
        lost(run.metrics()).is_some_and(|lost| lost > 0)
    });
    assert!(flooded && run.value("events", &[]) > 0, "{}", run.metrics());
    assert!(run.metrics().contains("bee_loss_known{map=\"events\"} 1"));
}

/// Tells of the getppid() calls of one process, with what its parameters are.
const PARAMETERS: &str = r#"
const volatile __u32 watched = 0;
const volatile enum how { SHORT, LONG = 7 } how = SHORT;
struct event_t { __u32 process; enum how how; char comm[16]; };
static struct event_t event;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct event_t); } print_events SEC(".maps");
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	event.process = bpf_get_current_pid_tgid() >> 32;
	if (ctx->args[1] != GETPPID || event.process != watched)
		return 0;
	event.how = how;
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	bpf_ringbuf_output(&print_events, &event, sizeof(event), 0);
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn a5_16_parameters_reach_the_kernel_and_filters_choose_what_is_shown_without_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(bee(), folder.path(), &format!("#define GETPPID {}\n{PARAMETERS}", libc::SYS_getppid));
    let watched = format!("watched={}", std::process::id());
    let options = ["--param", &watched, "--param", "how=LONG", "--filter", "comm~^as", "--run-time"];
    let run = Run::start(bee(), &object, &options);
    for name in ["asks", "others"] {
        std::thread::Builder::new().name(name.into()).spawn(nix::unistd::getppid).unwrap().join().unwrap();
    }
    let metrics = run.metrics();
    assert!(metrics.contains("bee_program_run_seconds_total{program=\"watch\"} 0."), "{metrics}");
    let output = run.stop();
    let shown =
        format!(r#"{{"map":"print_events","event":{{"process":{},"how":"LONG","comm":"asks"}}}}"#, std::process::id());
    assert_eq!(output.trim_end(), shown);
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_run_ends_by_itself_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(bee(), folder.path(), &format!("#define GETPPID {}\n{PARAMETERS}", libc::SYS_getppid));
    let started = std::time::Instant::now();
    let mut bee = bee();
    let mut run = bee.arg("run").arg(object).args(["--no-tty", "--prom-port=0", "--timeout=300ms"]).spawn().unwrap();
    let ends = until(|| run.try_wait().unwrap().is_some());
    let _ = run.kill();
    assert!(ends && run.wait().unwrap().success());
    assert!(started.elapsed() >= std::time::Duration::from_millis(300));
}

/// Tells of each getppid() of the test's, in the types of the header.
const TYPES: &str = r#"
struct event_t {
	ktime_ns at;
	kernel_address from;
	syscall_number call;
	error_number error;
	signal_number signal;
	net_port port;
	mac_address mac;
	ipv6_address to;
	char comm[16];
};
static struct event_t event;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct event_t); } events SEC(".maps.print");
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] != GETPPID)
		return 0;
	event.at = bpf_ktime_get_ns();
	bpf_get_stack(ctx, &event.from, sizeof(event.from), 0);
	event.call = ctx->args[1];
	event.error = -2;
	event.signal = 15;
	event.port = __builtin_bswap16(8080);
	event.mac.bytes[5] = 7;
	event.to.bytes[15] = 1;
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn typed_fields_of_real_events_show_what_they_mean() {
    let folder = tempfile::tempdir().unwrap();
    let number = format!("#define GETPPID {}\n{TYPES}", libc::SYS_getppid);
    let started = jiff::Timestamp::now();
    let run = run(&build(bee(), folder.path(), &number));
    std::thread::Builder::new().name("asks".into()).spawn(nix::unistd::getppid).unwrap().join().unwrap();
    let output = run.stop();
    let line = output.lines().find(|line| line.contains("\"comm\":\"asks\"")).unwrap();
    for shown in [
        "\"call\":\"getppid\"",
        "\"error\":\"ENOENT\"",
        "\"signal\":\"SIGTERM\"",
        "\"port\":8080",
        "\"mac\":\"00:00:00:00:00:07\"",
        "\"to\":\"::1\"",
    ] {
        assert!(line.contains(shown), "{shown}: {line}");
    }
    let event: serde_json::Value = serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].take();
    let at: jiff::Timestamp = event["at"].as_str().unwrap().parse().unwrap();
    assert!(started < at && at < jiff::Timestamp::now(), "{line}");
    let from = event["from"].as_str().unwrap();
    assert!(from.contains("+0x") && !from.starts_with("0x"), "a place in the kernel's code: {line}");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_program_that_the_verifier_refuses_is_refused_with_its_reason_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } \
                 counter_x SEC(\".maps\");\nSEC(\"raw_tp/sys_enter\")\nint watch(void *ctx)\n{\n\tu32 key = 1;\n\
                 \tu64 *value = bpf_map_lookup_elem(&counter_x, &key);\n\t*value += 1;\n\treturn 0;\n}\n";
    let object = build(bee(), folder.path(), lines);
    let mut bee = Command::cargo_bin("bee").unwrap();
    let ended = bee.arg("run").arg(object).args(["--no-tty", "--prom-port", "0"]).assert().failure();
    let said = String::from_utf8_lossy(&ended.get_output().stderr).into_owned();
    assert!(said.contains("raw_tp/sys_enter: the verifier refuses the program: R0 invalid mem access"), "{said}");
    assert!(said.contains("*value += 1;"), "{said}");
}

/// Sources are written in any encoding, and the verifier quotes them.
#[test]
#[ignore = "needs root (loads probes)"]
fn a_refused_line_that_is_no_utf8_is_quoted_as_far_as_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("latin1.c"), folder.path().join("latin1.o"));
    let lines: &[&[u8]] = &[
        b"#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n",
        b"struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } counter_x SEC(\".maps\");\n",
        b"SEC(\"raw_tp/sys_enter\")\nint watch(void *ctx)\n{\n\tu32 key = 1;\n\tu64 *value = bpf_map_lookup_elem(&counter_x, &key);\n",
        b"\t*value += 1; // Z\xe4hler f\xfcr alle\n\treturn 0;\n}\n",
    ];
    std::fs::write(&source, lines.concat()).unwrap();
    Command::from_std(bee()).arg("build").arg(&source).arg("-o").arg(&object).assert().success();
    let run = bee()
        .arg("run")
        .arg(&object)
        .args(["--no-tty", "--prom-port", "0", "--debug"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(3), "{said}");
    assert!(
        said.contains("the verifier refuses the program: R0 invalid mem access") && said.contains("// Z\u{fffd}hler"),
        "{said}"
    );
    assert!(std::fs::read_to_string(folder.path().join("debug.log")).unwrap().contains("Z\u{fffd}hler"));
}

/// Writes a line for each task.
const TASKS: &str = r#"
#include "bpf/bpf_tracing.h"
SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	if (task)
		BPF_SEQ_PRINTF(ctx->meta->seq, "%d %s\n", task->pid, task->comm);
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn what_an_iterator_writes_is_a_json_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&build(bee(), folder.path(), TASKS));
    let output = run.stop();
    let line = |pid: u32| output.lines().find(|line| line.contains(&format!("\"text\":\"{pid} "))).map(str::to_owned);
    let own = line(std::process::id()).unwrap_or_else(|| panic!("this test is no task:\n{output}"));
    let own: serde_json::Value = serde_json::from_str(&own).unwrap();
    assert_eq!(own["program"], "tasks");
}

fn bee() -> std::process::Command {
    std::process::Command::new(env!("CARGO_BIN_EXE_bee"))
}

#[test]
#[ignore = "needs root (loads probes)"]
fn what_an_iterator_writes_is_a_tab_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(bee(), folder.path(), TASKS);
    let run = format!("{} run {} --prom-port 0", env!("CARGO_BIN_EXE_bee"), object.display());
    // util-linux's script gives it a terminal, of so many lines that this test is among them; what ends its input would be a key.
    let script = format!("stty rows 2000 cols 100; {run}");
    let mut shown = std::process::Command::new("script");
    shown.args(["-qec", &script, "/dev/null"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut shown = shown.spawn().unwrap();
    let (mut keys, mut screen) = (shown.stdin.take().unwrap(), shown.stdout.take().unwrap());
    let drawn = Arc::<Mutex<Vec<u8>>>::default();
    let screen_so_far = || String::from_utf8_lossy(&drawn.lock().unwrap()).into_owned();
    // A row begins with the number; the space behind it is a move of the cursor.
    let row = format!("H{}\u{1b}[", std::process::id());
    let bytes = drawn.clone();
    let reads = std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut some) {
            bytes.lock().unwrap().extend(&some[..count]);
        }
    });
    let is_shown = until(|| screen_so_far().contains(&row));
    keys.write_all(b"q").unwrap();
    shown.wait().unwrap();
    reads.join().unwrap();
    assert!(is_shown && screen_so_far().contains("tasks"), "{}", screen_so_far());
}

#[test]
#[ignore = "needs root (loads probes)"]
fn debug_log_has_what_libbpf_says_and_is_no_link_to_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(bee(), folder.path(), TASKS);
    let debug = || {
        let mut debug = bee();
        debug.current_dir(folder.path()).arg("run").arg(&object).args(["-d", "--prom-port=0", "--timeout=100ms"]);
        debug.output().unwrap()
    };
    assert!(debug().status.success());
    let log = folder.path().join("debug.log");
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("libbpf: ") && said.contains("iter/task"), "{said}");
    std::fs::remove_file(&log).unwrap();
    std::fs::write(folder.path().join("notes"), "mine").unwrap();
    std::os::unix::fs::symlink("notes", &log).unwrap();
    assert!(debug().status.success());
    assert!(std::fs::symlink_metadata(&log).unwrap().is_file(), "it took the link's place");
    assert_eq!(std::fs::read_to_string(folder.path().join("notes")).unwrap(), "mine");
}

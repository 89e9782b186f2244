//! A run ends within a second of its signal or its time, however fast events come and whoever reads the output.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lab_cli::patience::stretched;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::{probe, rest};

/// A second, and what it takes to start and end a process.
const LIMIT: Duration = Duration::from_millis(1500);

/// Sixteen events for each getppid() of one process.
const FLOOD: &str = r#"
const volatile __u32 watched = 0;
struct event_t { __u64 number; char comm[16]; __u32 pid; __u32 more; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 24); __type(value, struct event_t); } print_events SEC(".maps");
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] != GETPPID || bpf_get_current_pid_tgid() >> 32 != watched)
		return 0;
	for (int number = 0; number < 16; number++) {
		struct event_t event = { .number = number, .pid = watched };
		bpf_get_current_comm(event.comm, sizeof(event.comm));
		bpf_ringbuf_output(&print_events, &event, sizeof(event), 0);
	}
	return 0;
}
"#;

fn build(folder: &Path) -> PathBuf {
    let bee = Command::new(env!("CARGO_BIN_EXE_bee"));
    probe::build(bee, folder, &format!("#define GETPPID {}\n{FLOOD}", libc::SYS_getppid))
}

/// Calls as fast as it can until it is dropped.
struct Flood(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Flood {
    fn start() -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let calls = goes_on.clone();
        let thread = thread::spawn(move || {
            while calls.load(Ordering::Relaxed) {
                nix::unistd::getppid();
            }
        });
        Self(goes_on, Some(thread))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
        let _ = self.1.take().map(thread::JoinHandle::join);
    }
}

fn run(object: &Path, output: Stdio, options: &[&str]) -> Child {
    let watched = format!("--param=watched={}", std::process::id());
    let mut bee = Command::new(env!("CARGO_BIN_EXE_bee"));
    bee.arg("run").arg(object).args(["--prom-port=0", &watched]).args(options);
    bee.stdout(output).stderr(Stdio::null()).spawn().unwrap()
}

#[track_caller]
fn ends_in_time(mut bee: Child, code: i32, since: Instant) {
    let status = bee.wait().unwrap();
    let took = since.elapsed();
    assert!(stretched(LIMIT) > took, "it took {took:?}");
    assert_eq!(status.code(), Some(code), "{status}");
}

fn signal(bee: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(bee.id()).unwrap()), signal).unwrap();
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_flood_of_events_ends_with_the_signal_or_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(folder.path());
    let _flood = Flood::start();
    for output in ["--output=json", "--output=columns"] {
        for number in [Signal::SIGINT, Signal::SIGTERM] {
            let bee = run(&object, File::create(folder.path().join("printed")).unwrap().into(), &[output]);
            rest(Duration::from_secs(1));
            let since = Instant::now();
            signal(&bee, number);
            ends_in_time(bee, 0, since);
        }
    }
    let since = Instant::now();
    let mut bee = run(&object, Stdio::null(), &["--output=json", "--timeout=1s"]);
    assert_eq!(bee.wait().unwrap().code(), Some(0));
    let took = since.elapsed();
    assert!(stretched(Duration::from_secs(1) + LIMIT) > took, "it took {took:?}");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_reader_that_does_not_read_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(folder.path());
    let _flood = Flood::start();
    let mut bee = run(&object, Stdio::piped(), &["--output=json"]);
    let _unread = bee.stdout.take();
    rest(Duration::from_secs(1));
    let since = Instant::now();
    signal(&bee, Signal::SIGINT);
    ends_in_time(bee, 0, since);
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(folder.path());
    let _flood = Flood::start();
    let mut bee = run(&object, Stdio::piped(), &["--output=json"]);
    let _unread = bee.stdout.take();
    rest(Duration::from_secs(1));
    signal(&bee, Signal::SIGINT);
    rest(Duration::from_millis(100));
    signal(&bee, Signal::SIGINT);
    ends_in_time(bee, 128 + Signal::SIGINT as i32, Instant::now());
}

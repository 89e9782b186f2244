//! `bee run --trace-pipe`: what a probe's own programs say with `bpf_printk`, and nobody else's.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lab_cli::patience::stretched;
use nix::mount::{MsFlags, mount};
use testkit::probe::{self, Run, until};

/// A second, and what it takes to end a process.
const LIMIT: Duration = Duration::from_millis(1500);

/// Says something at each getpriority(78, a) of one process; `sub` is a function of its own.
const SAYS: &str = r#"
#include "bpf/bpf_core_read.h"
#include "bpf/bpf_tracing.h"
const volatile __u32 watched = 0;
static __attribute__((noinline)) int sub(long a)
{
	bpf_printk("PREFIX sub %ld\n", a);
	return a > 3;
}
SEC("tp_btf/sys_enter")
int BPF_PROG(NAME, struct pt_regs *regs, long id)
{
	if (id != GETPRIORITY || PT_REGS_PARM1_CORE_SYSCALL(regs) != 78 || bpf_get_current_pid_tgid() >> 32 != watched)
		return 0;
	long a = PT_REGS_PARM2_CORE_SYSCALL(regs);
	char text[] = "\x1b[31mred\n\xff";
	bpf_printk("PREFIX %s %ld %ld %ld", text, a, a, a);
	return sub(a);
}
"#;

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

fn build(folder: &Path, name: &str) -> PathBuf {
    let own = folder.join(name);
    fs::create_dir(&own).unwrap();
    let lines = SAYS.replace("PREFIX", &format!("from {name}")).replace("NAME", name);
    probe::build(bee(), &own, &lines.replace("GETPRIORITY", &libc::SYS_getpriority.to_string()))
}

fn watched() -> String {
    format!("--param=watched={}", std::process::id())
}

/// The tests' calls are one process's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let tracefs = Path::new("/sys/kernel/tracing");
    if !tracefs.join("instances").exists() {
        mount(Some("tracefs"), tracefs, Some("tracefs"), MsFlags::empty(), None::<&str>).unwrap();
    }
    alone
}

fn call(numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        // SAFETY: it takes two numbers, and the first is one that it refuses.
        unsafe { libc::getpriority(78, number) };
    }
}

/// What the programs said, as JSON.
fn said(printed: &str) -> Vec<serde_json::Value> {
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn instances() -> Vec<String> {
    let entries = fs::read_dir("/sys/kernel/tracing/instances").unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_probes_own_lines_are_shown_and_nobody_elses() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let (ours, others) = (build(folder.path(), "ours"), build(folder.path(), "others"));
    let recording = folder.path().join("run.bee");
    let run = Run::start(bee(), &ours, &[&watched(), "--trace-pipe", "--record", recording.to_str().unwrap()]);
    let other = Run::start(bee(), &others, &[&watched()]);
    // One program twice: each run has its own lines only.
    let again = Run::start(bee(), &ours, &[&watched(), "--trace-pipe"]);
    assert!(other.said().contains("`bee run --trace-pipe` shows it"), "{}", other.said());
    assert!(
        !run.said().contains("nothing of it is exported") && !run.said().contains("--trace-pipe"),
        "{}",
        run.said()
    );
    call(1..=2);
    assert!(until(|| said(&run.printed()).len() >= 4 && said(&again.printed()).len() >= 4), "{}", run.printed());
    let began = Instant::now();
    let printed = run.stop();
    let took = began.elapsed();
    assert!(stretched(LIMIT) > took, "it took {took:?}");
    let texts: Vec<_> = said(&printed).iter().map(|line| line["trace"].as_str().unwrap().to_owned()).collect();
    let text = |a| format!("from ours \u{1b}[31mred\n\u{fffd} {a} {a} {a}");
    assert_eq!(texts, [text(1), "from ours sub 1".into(), text(2), "from ours sub 2".into()], "{printed}");
    assert!(!printed.contains('\u{1b}'), "{printed}");
    for line in said(&printed) {
        assert_eq!((line["program"].as_str(), line.get("probe")), (Some("ours"), None), "{line}");
        assert!(line["pid"].is_number() && line["comm"].is_string(), "{line}");
    }
    let mut replay = bee();
    replay.args(["replay", "--speed=max", "--timeout=0s", "--output=json", "--prom-port=0"]).arg(&recording);
    let replayed = replay.output().unwrap().stdout;
    assert_eq!(String::from_utf8(replayed).unwrap(), printed);
    assert_eq!(said(&again.stop()).len(), 4);
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_run_leaves_no_buffer_behind_and_removes_those_of_the_dead() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let object = build(folder.path(), "ours");
    let dead = Path::new("/sys/kernel/tracing/instances/bee-4194999");
    fs::create_dir(dead).unwrap();
    let run = Run::start(bee(), &object, &[&watched(), "--trace-pipe"]);
    assert!(!dead.exists());
    let own = format!("bee-{}", run.id());
    assert!(instances().contains(&own));
    let again = Run::start(bee(), &object, &[&watched(), "--trace-pipe"]);
    assert!(instances().contains(&own), "of a run that goes on");
    again.stop();
    run.stop();
    assert!(!instances().contains(&own));
}

#[test]
#[ignore = "needs root (loads probes)"]
fn without_tracefs_it_says_what_to_mount() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let object = build(folder.path(), "ours");
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-c", "umount -a -t tracefs,debugfs; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_bee")]);
    let run = shell.arg("run").arg(&object).args(["--prom-port=0", "--trace-pipe", "--timeout=1s"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && said.contains("mount -t tracefs tracefs /sys/kernel/tracing"), "{said}");
}

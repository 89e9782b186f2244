//! Stacks, of the kernel and of processes, are functions wherever they are shown: JSON, metrics, folded lines, recordings and replay.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use testkit::probe::{self, Run, until};

/// Calls getpriority(79, …) as often as it is told to, and then waits to be killed.
const CALLS: &str = r#"
#include <stdlib.h>
#include <unistd.h>
#include <sys/resource.h>
__attribute__((noinline)) int innermost_call(void) { int got = getpriority(79, 0); __asm__ volatile(""); return got + 1; }
__attribute__((noinline)) int outermost_call(void) { int got = innermost_call(); __asm__ volatile(""); return got + 1; }
int main(int count, char **words) { for (int i = 0; i < atoi(words[1]); i++) outermost_call(); pause(); return 0; }
"#;

/// Each form of a stack: numbers by type and by name, arrays by type and by name with a length, and what can't be found.
const WATCHES: &str = r#"
#include "bpf/bpf_core_read.h"
#include "bpf/bpf_tracing.h"
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(key_size, 4); } stacks SEC(".maps");
struct where_t { __u32 tgid; kernel_stack_id in_kernel; __s64 user_stack_id; char comm[16]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct where_t); __type(value, __u64); } counter_calls SEC(".maps");
struct event_t {
	__u64 pid_tgid;
	kernel_address frames[20];
	user_address callers[20];
	__s32 kstack_sz;
	__s32 ustack_sz;
	__u64 kstack[20];
	__u64 ustack[20];
	__u32 kern_stack_id;
	__s32 stack_id;
};
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct event_t); } print_events SEC(".maps");
SEC("tp_btf/sys_enter")
int BPF_PROG(watch, struct pt_regs *regs, long id)
{
	if (id != GETPRIORITY || PT_REGS_PARM1_CORE_SYSCALL(regs) != 79)
		return 0;
	__u64 who = bpf_get_current_pid_tgid();
	struct where_t where = { .tgid = who >> 32 };
	where.in_kernel = bpf_get_stackid(ctx, &stacks, 0);
	where.user_stack_id = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	bpf_get_current_comm(where.comm, sizeof(where.comm));
	__u64 one = 1, *value = bpf_map_lookup_elem(&counter_calls, &where);
	if (value)
		__sync_fetch_and_add(value, 1);
	else
		bpf_map_update_elem(&counter_calls, &where, &one, 0);
	struct event_t *event = bpf_ringbuf_reserve(&print_events, sizeof(*event), 0);
	if (!event)
		return 0;
	__builtin_memset(event, 0xff, sizeof(*event));
	event->pid_tgid = who;
	__builtin_memset(event->frames, 0, sizeof(event->frames));
	__builtin_memset(event->callers, 0, sizeof(event->callers));
	bpf_get_stack(ctx, event->frames, sizeof(event->frames), 0);
	bpf_get_stack(ctx, event->callers, sizeof(event->callers), BPF_F_USER_STACK);
	event->kstack_sz = bpf_get_stack(ctx, event->kstack, sizeof(event->kstack), 0);
	event->ustack_sz = bpf_get_stack(ctx, event->ustack, sizeof(event->ustack), BPF_F_USER_STACK);
	event->kern_stack_id = where.in_kernel;
	event->stack_id = -14;
	bpf_ringbuf_submit(event, 0);
	return 0;
}
"#;

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

fn build(folder: &Path) -> PathBuf {
    probe::build(bee(), folder, &WATCHES.replace("GETPRIORITY", &libc::SYS_getpriority.to_string()))
}

/// The probe sees the calls of all tests.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process with names of its own.
struct Caller(Child);

impl Caller {
    fn start(folder: &Path, calls: u32) -> Self {
        let (source, program) = (folder.join("calls.c"), folder.join("calls_often"));
        fs::write(&source, CALLS).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-o"]).arg(&program).arg(&source);
        assert!(cc.status().unwrap().success());
        Self(Command::new(program).arg(calls.to_string()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The names of a field's functions, without the distances.
fn functions(event: &Value, field: &str) -> Vec<String> {
    let names = event["event"][field].as_array().unwrap_or_else(|| panic!("{field}: {event}"));
    names.iter().map(|name| name.as_str().unwrap().split('+').next().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs root (loads probes)"]
fn every_form_of_a_stack_shows_its_functions_and_so_does_the_replay() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let (object, recording) = (build(folder.path()), folder.path().join("run.bee"));
    let run = Run::start(bee(), &object, &["--record", recording.to_str().unwrap()]);
    let caller = Caller::start(folder.path(), 3);
    assert!(until(|| run.printed().lines().count() == 3), "{}", run.printed());
    let pid = format!("tgid=\"{}\"", caller.0.id());
    let counted =
        |run: &Run| run.value("counter_calls", &[&pid, "comm=\"calls_often\"", "outermost_call+0x", "main+0x"]);
    assert_eq!(counted(&run), 3, "{}", run.metrics());
    let in_kernel = "entry_SYSCALL_64_after_hwframe";
    assert_eq!(run.value("counter_calls", &[&pid, in_kernel]), 3);
    // The recorder looks once a second.
    testkit::rest(std::time::Duration::from_millis(1200));
    let printed = run.stop();
    for line in printed.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        for field in ["frames", "kstack", "kern_stack_id"] {
            assert!(functions(&event, field).iter().any(|name| name == "do_syscall_64"), "{field}: {event}");
            assert!(!event["event"][field].to_string().contains("0xffffffffffffffff"), "{event}");
        }
        for field in ["callers", "ustack"] {
            let names = functions(&event, field);
            let (outer, main) = (names.iter().position(|name| name == "outermost_call"), "main".to_owned());
            assert!(outer.is_some_and(|outer| names[outer + 1..].contains(&main)), "{field}: {event}");
        }
        assert_eq!(event["event"]["stack_id"], "EFAULT");
    }
    drop(caller);
    let replay = Run::replay(bee(), &recording, &["--speed=max", "--output=json"]);
    assert!(until(|| replay.printed() == printed), "{}\n{printed}", replay.printed());
    assert!(until(|| counted(&replay) == 3), "{}", replay.metrics());
}

#[test]
#[ignore = "needs root (loads probes)"]
fn folded_lines_are_what_flame_graphs_take() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let (object, recording) = (build(folder.path()), folder.path().join("run.bee"));
    let mut run = bee();
    run.arg("run").arg(&object).arg("--output=folded").arg("--record").arg(&recording);
    let run = Run::of(run);
    let caller = Caller::start(folder.path(), 5);
    let pid = format!("tgid=\"{}\"", caller.0.id());
    assert!(until(|| run.value("counter_calls", &[&pid]) == 5), "{}", run.metrics());
    // It looks once a second.
    testkit::rest(std::time::Duration::from_millis(1200));
    let folded = run.stop();
    let counted = folded.lines().find(|line| line.starts_with("calls_often;")).unwrap_or_else(|| panic!("{folded}"));
    let (stack, count) = counted.rsplit_once(' ').unwrap();
    let place =
        |name: &str| stack.split(';').position(|frame| frame == name).unwrap_or_else(|| panic!("{name}: {folded}"));
    assert_eq!(count, "5");
    assert!(place("main") < place("outermost_call") && place("outermost_call") < place("do_syscall_64"), "{folded}");
    let mut replay = bee();
    replay.args(["replay", "--output=folded", "--speed=max", "--timeout=0s", "--prom-port=0"]).arg(&recording);
    assert_eq!(String::from_utf8(replay.output().unwrap().stdout).unwrap(), folded);
}

#[test]
fn what_has_no_stacks_is_not_folded() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } counter_m SEC(\".maps\");";
    let object = probe::build(bee(), folder.path(), lines);
    let run = bee().arg("run").arg(object).args(["--output=folded", "--prom-port=0"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && said.contains("--output folded needs a map with stacks"), "{said}");
}

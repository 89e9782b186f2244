//! Parameters of every type, in this machine's kernel: what `--param` says is what the probe reads, wherever the variable lies.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};
use testkit::probe::{self, Run, until};

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

const VARIABLES: &str = r#"
enum mode { IDLE = 1, BUSY = 2, BROKEN = -1 };
struct deep_t { __u8 a; __u16 b[2]; };
const volatile __u32 watched = 0;
const volatile __u32 limit = 5;
const volatile __s16 low = -3;
const volatile bool on = false;
const volatile char name[8] = "abc";
const volatile enum mode mode = IDLE;
const volatile __u32 list[4] = {1, 2, 3, 4};
const volatile ipv4_addr addr = 0;
const volatile ipv6_address addr6;
const volatile net_port port;
const volatile struct { __u32 a; struct deep_t deep; } opts = {1, {2, {3, 4}}};
const volatile __u8 mac[6];
const volatile duration dur = 7;
const volatile __u128 wide = 9;
const volatile __u32 more SEC(".rodata.more") = 9;
__u32 changes = 4;
__u32 others SEC(".data.others") = 8;
__u32 zero;
struct event_t {
	__u32 limit; __s16 low; bool on; char name[8]; enum mode mode; __u32 list[4]; ipv4_addr addr; ipv6_address addr6; net_port port;
	__u32 a; struct deep_t deep; __u8 mac[6]; duration dur; __u64 wide; __u32 more, changes, others, zero;
};
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } events SEC(".maps.print");
SEC("raw_tp/sys_enter")
int watch(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] != GETPPID || bpf_get_current_pid_tgid() >> 32 != watched)
		return 0;
	struct event_t event = {};
	event.limit = limit; event.low = low; event.on = on; event.mode = mode; event.addr = addr; event.port = port;
	event.a = opts.a; event.deep.a = opts.deep.a; event.deep.b[0] = opts.deep.b[0]; event.deep.b[1] = opts.deep.b[1];
	event.dur = dur; event.wide = wide >> 64; event.more = more; event.changes = changes; event.others = others; event.zero = zero;
	for (int i = 0; i < 4; i++) event.list[i] = list[i];
	for (int i = 0; i < 6; i++) event.mac[i] = mac[i];
	for (int i = 0; i < 8; i++) event.name[i] = name[i];
	for (int i = 0; i < 16; i++) event.addr6.bytes[i] = addr6.bytes[i];
	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
	return 0;
}
"#;

fn build() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let object = probe::build(bee(), folder.path(), &format!("#define GETPPID {}\n{VARIABLES}", libc::SYS_getppid));
    (folder, object)
}

#[test]
#[ignore = "needs root (loads probes)"]
fn what_is_said_of_a_parameter_is_what_the_probe_reads() {
    let (_folder, object) = build();
    let said = [
        &format!("watched={}", std::process::id()) as &str,
        "limit=0x10",
        "low=-300",
        "on=true",
        "name=xyz",
        "mode=BROKEN",
        "list=7,8",
        "list[3]=9",
        "addr=10.0.0.1",
        "addr6=fd00::1",
        "port=443",
        "opts.a=100",
        "opts.deep.b[1]=65535",
        "mac=525400123456",
        "dur=5ms",
        "wide=18446744073709551616",
        "more=90",
        "changes=40",
        "others=80",
        "zero=1",
    ];
    let options: Vec<_> = said.iter().map(|param| format!("--param={param}")).collect();
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let run = Run::start(bee(), &object, &options);
    nix::unistd::getppid();
    assert!(until(|| run.printed().ends_with('\n')));
    let line: Value = serde_json::from_str(run.stop().lines().next().unwrap()).unwrap();
    let expected = json!({
        "limit": 16, "low": -300, "on": true, "name": "xyz", "mode": "BROKEN", "list": [7, 8, 0, 9], "addr": "10.0.0.1",
        "addr6": "fd00::1", "port": 443, "a": 100, "deep": { "a": 2, "b": [3, 65535] }, "mac": "525400123456", "dur": "5ms",
        "wide": 1, "more": 90, "changes": 40, "others": 80, "zero": 1,
    });
    assert_eq!(line["event"], expected);
}

/// What a parameter is given, and what is expected in its place.
const REFUSED: [(&str, &str); 11] = [
    ("low=99999", "a number from -32768 to 32767"),
    ("limit=-1", "a number from 0 to 4294967295"),
    ("limit=five", "a number from 0 to 4294967295"),
    ("name=abcdefgh", "text of at most 7 bytes"),
    ("mode=ASLEEP", "one of IDLE, BUSY, BROKEN, or its number"),
    ("list=1,2,3,4,5", "at most 4 values as in A,B, each a number from 0 to 4294967295"),
    ("list[4]=1", "a number below 4 in brackets"),
    ("opts=1", "one of its fields, as in NAME.FIELD=VALUE: a, deep"),
    ("opts.c=1", "one of its fields, as in NAME.FIELD=VALUE: a, deep"),
    ("dur=5 weeks", "a time, as in 5ms, or a number of nanoseconds"),
    ("addr=10.0.0", "an IPv4 address"),
];

#[test]
fn what_a_parameter_does_not_take_is_refused_with_what_it_does() {
    let (_folder, object) = build();
    for (param, wanted) in REFUSED {
        let refused = bee().arg("run").arg(&object).args(["--no-tty", "--param", param]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert_eq!(said.trim_end(), format!("error: invalid param {param:?}: expected {wanted}"));
    }
    let refused = bee().arg("run").arg(&object).args(["--no-tty", "--param=limits=1"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    let known =
        "addr, addr6, changes, dur, limit, list, low, mac, mode, more, name, on, opts, others, port, watched, wide";
    assert_eq!(said.trim_end(), format!("error: no probe has a parameter limits; parameters: {known}"));
}

#[test]
fn parameters_are_listed_with_type_and_default() {
    let (_folder, object) = build();
    let inspected = bee().arg("inspect").arg(&object).output().unwrap();
    let lines = String::from_utf8_lossy(&inspected.stdout);
    for line in [
        "  limit, __u32 = 5",
        "  low, __s16 = -3",
        "  on, bool = false",
        "  name, char[8] = \"abc\"",
        "  mode, enum mode = \"IDLE\"",
        "  list, __u32[4] = [1,2,3,4]",
        "  opts, struct = {\"a\":1,\"deep\":{\"a\":2,\"b\":[3,4]}}",
        "  dur, duration = \"7ns\"",
        "  more, __u32 = 9",
        "  changes, __u32 = 4",
    ] {
        assert!(lines.lines().any(|there| there == line), "{line}: {lines}");
    }
    let parameters = lines.split_once("parameters\n").unwrap().1;
    assert!(!parameters.contains("bee_") && !parameters.contains("zero"), "{lines}");
}

//! What records show, in this machine's kernel: bits and addresses as what their types say, arrays of every kind, and records that are
//! shorter or longer than their type. JSON, metrics, columns, a recording and its replay all say the same.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use testkit::probe::{self, Run, until};

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

/// A probe whose program sends records of `struct event_t` at a getpriority(77, `number`), and what is to be shown of them.
struct Case {
    number: u32,
    /// With `struct event_t`.
    types: &'static str,
    /// Sends with `SEND(event, length)`.
    sends: &'static str,
    events: Vec<Value>,
    /// The labels of the same records as a counter, and how many there are.
    counts: Vec<&'static str>,
}

impl Case {
    fn build(&self, folder: &Path) -> PathBuf {
        let Self { number, types, sends, .. } = self;
        let lines = format!(
            "#include \"bpf/bpf_core_read.h\"\n#include \"bpf/bpf_tracing.h\"\n#include \"bpf/bpf_endian.h\"\n#include \"bee.h\"\n\
             const volatile __u32 watched = 0;\n{types}\n\
             struct {{ __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct event_t); }} events SEC(\".maps.print\");\n\
             struct {{ __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct event_t); }} counts SEC(\".maps.counter\");\n\
             #define SEND(event, length) do {{ bpf_ringbuf_output(&events, event, length, 0); bpf_ringbuf_output(&counts, event, length, 0); }} while (0)\n\
             SEC(\"tp_btf/sys_enter\")\nint BPF_PROG(watch, struct pt_regs *regs, long id)\n{{\n\
             \tif (id != {} || PT_REGS_PARM1_CORE_SYSCALL(regs) != 77 || PT_REGS_PARM2_CORE_SYSCALL(regs) != {number} ||\n\
             \t    bpf_get_current_pid_tgid() >> 32 != watched)\n\t\treturn 0;\n{sends}\n\treturn 0;\n}}\n",
            libc::SYS_getpriority
        );
        probe::build(bee(), folder, &lines)
    }

    /// Runs it, once with each output, and shows the recording again.
    fn holds(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let object = self.build(folder.path());
        let file = folder.path().join("run.bee");
        let watched = format!("--param=watched={}", std::process::id());
        let run = Run::start(bee(), &object, &[&watched, "--record", file.to_str().unwrap()]);
        // SAFETY: it takes two numbers, and the first is one that it refuses.
        unsafe { libc::getpriority(77, self.number) };
        self.shows(&run);
        let said = run.said();
        run.stop();
        let replay = Run::replay(bee(), &file, &["--speed=max", "--output=json"]);
        self.shows(&replay);
        let columns = Run::replay(bee(), &file, &["--speed=max", "--output=columns"]);
        assert!(until(|| columns.printed().lines().count() > self.events.len()), "{}", columns.printed());
        for value in self.counts.iter().flat_map(|labels| labels.split('"').skip(1).step_by(2)) {
            assert!(columns.printed().contains(value), "{value}: {}", columns.printed());
        }
        said
    }

    #[track_caller]
    fn shows(&self, run: &Run) {
        assert!(until(|| events(run) == self.events), "{:#?}\n{:#?}", events(run), self.events);
        let expected: Vec<_> = self.counts.iter().map(|labels| (*labels).to_owned()).collect();
        assert!(until(|| counts(run) == expected), "{:#?}\n{expected:#?}", counts(run));
    }
}

fn events(run: &Run) -> Vec<Value> {
    let lines: Vec<Value> = run.printed().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    lines.into_iter().map(|line| line["event"].clone()).collect()
}

fn counts(run: &Run) -> Vec<String> {
    let metrics = run.metrics();
    let mut counts: Vec<_> =
        metrics.lines().filter_map(|line| line.strip_prefix("ebpf_solo_io_counts")).map(str::to_owned).collect();
    counts.sort();
    counts
}

#[test]
#[ignore = "needs root (loads probes)"]
fn bits_of_an_enumeration_are_names() {
    let case = Case {
        number: 1,
        types: "enum access_t { A_READ = 1, A_WRITE = 2, A_EXEC = 4, A_ALL = 7 };
            enum count_t { C_NONE, C_ONE, C_TWO };
            enum sign_t { S_LOST = -1, S_NEW = 0 };
            enum __attribute__((packed)) small_t { L_LOW = 1, L_HIGH = 128 };
            enum wide_t { W_LOW = 1, W_SECOND = 2, W_HIGH = 1ULL << 40 };
            struct event_t { enum access_t access; enum access_t all; enum access_t more; enum count_t count; enum sign_t lost; enum sign_t odd;
                enum small_t small; enum access_t two : 2; enum sign_t bit : 2; enum wide_t wide; };",
        sends: "struct event_t event;
            __builtin_memset(&event, 0, sizeof(event));
            event.access = A_READ | A_EXEC; event.all = A_ALL; event.more = A_WRITE | 8; event.count = 3;
            event.lost = S_LOST; event.odd = -2; event.small = L_LOW | L_HIGH; event.two = A_READ | A_WRITE; event.bit = S_LOST;
            event.wide = W_LOW | W_SECOND; SEND(&event, sizeof(event));",
        events: vec![json!({
            "access": "A_READ|A_EXEC", "all": "A_ALL", "more": "A_WRITE|0x8", "count": 3, "lost": "S_LOST", "odd": -2,
            "small": "L_LOW|L_HIGH", "two": "A_READ|A_WRITE", "bit": "S_LOST", "wide": "W_LOW|W_SECOND",
        })],
        counts: vec![
            r#"{access="A_READ|A_EXEC",all="A_ALL",bit="S_LOST",count="3",lost="S_LOST",more="A_WRITE|0x8",odd="-2",small="L_LOW|L_HIGH",two="A_READ|A_WRITE",wide="W_LOW|W_SECOND"} 1"#,
        ],
    };
    case.holds();
    let folder = tempfile::tempdir().unwrap();
    let object = case.build(folder.path());
    let watched = format!("--param=watched={}", std::process::id());
    for (filter, is_shown) in
        [("access=A_EXEC|A_READ", true), ("access==A_READ", false), ("odd<0", true), ("more==10", true)]
    {
        let run = Run::start(bee(), &object, &[&watched, "--filter", &format!("events:{filter}")]);
        // SAFETY: as above.
        unsafe { libc::getpriority(77, case.number) };
        assert!(until(|| run.sum("counts") == 1));
        assert_eq!(events(&run).len(), usize::from(is_shown), "{filter}");
    }
}

#[test]
#[ignore = "needs root (loads probes)"]
fn numbers_and_addresses_of_the_network_are_what_their_types_say() {
    let case = Case {
        number: 2,
        types: "struct event_t { struct sockaddr_in6 to6; __be32 saddr; struct sockaddr_in to; __be32 seq; struct in6_addr a6; struct in_addr a; __be16 port; __be16 pair[2]; __be32 addr6[4]; __be64 wide; };",
        sends: "struct event_t event;
            __builtin_memset(&event, 0xff, sizeof(event));
            event.to6.sin6_port = bpf_htons(443); event.to6.sin6_scope_id = 0;
            __builtin_memset(&event.to6.sin6_addr, 0, 16); event.to6.sin6_addr.in6_u.u6_addr8[15] = 1;
            event.to.sin_port = bpf_htons(80); event.to.sin_addr.s_addr = bpf_htonl(0x0a000001);
            event.saddr = event.a.s_addr = bpf_htonl(0x0a000002); event.seq = bpf_htonl(0x0a000003);
            __builtin_memset(&event.a6, 0, 16); event.a6.in6_u.u6_addr8[0] = 0xfd; event.a6.in6_u.u6_addr8[15] = 1;
            event.port = bpf_htons(443); event.pair[0] = bpf_htons(1); event.pair[1] = bpf_htons(2); event.wide = bpf_cpu_to_be64(258);
            event.addr6[0] = bpf_htonl(0xfd000000); event.addr6[1] = event.addr6[2] = 0; event.addr6[3] = bpf_htonl(2);
            SEND(&event, sizeof(event)); event.to6.sin6_flowinfo = 0; event.to6.sin6_family = 0; event.to.sin_family = 7; SEND(&event, sizeof(event));",
        events: vec![
            json!({
                "to6": "[::1]:443", "saddr": "10.0.0.2", "to": "10.0.0.1:80", "seq": 0x0a00_0003, "a6": "fd00::1", "a": "10.0.0.2",
                "port": 443, "pair": [1, 2], "addr6": "fd00::2", "wide": 258,
            });
            2
        ],
        counts: vec![
            r#"{a="10.0.0.2",a6="fd00::1",addr6="fd00::2",pair_0="1",pair_1="2",port="443",saddr="10.0.0.2",seq="167772163",to="10.0.0.1:80",to6="[::1]:443",wide="258"} 2"#,
        ],
    };
    case.holds();
}

#[test]
#[ignore = "needs root (loads probes)"]
fn sockets_of_every_family_are_shown() {
    let case = Case {
        number: 8,
        types: "struct event_t { union { struct sockaddr_in v4; struct sockaddr_in6 v6; } to; struct sockaddr from; struct __kernel_sockaddr_storage path; };",
        sends: "struct event_t event;
            __builtin_memset(&event, 9, sizeof(event));
            event.to.v4.sin_family = event.from.sa_family = 2; event.to.v4.sin_port = bpf_htons(443); event.to.v4.sin_addr.s_addr = bpf_htonl(0x0a000001);
            event.path.ss_family = 1; __builtin_memcpy(event.path.__data, \"/run/x\", 7); SEND(&event, sizeof(event));
            event.to.v6.sin6_scope_id = 7; event.path.__data[9] = 7; SEND(&event, sizeof(event));
            event.to.v6.sin6_family = 10; event.to.v6.sin6_scope_id = 0; __builtin_memset(&event.to.v6.sin6_addr, 0, 16);
            event.to.v6.sin6_addr.in6_u.u6_addr8[15] = 1; SEND(&event, sizeof(event));",
        events: vec![
            json!({"to": "10.0.0.1:443", "from": "9.9.9.9:2313", "path": "/run/x"}),
            json!({"to": "10.0.0.1:443", "from": "9.9.9.9:2313", "path": "/run/x"}),
            json!({"to": "[::1]:443", "from": "9.9.9.9:2313", "path": "/run/x"}),
        ],
        counts: vec![
            r#"{from="9.9.9.9:2313",path="/run/x",to="10.0.0.1:443"} 2"#,
            r#"{from="9.9.9.9:2313",path="/run/x",to="[::1]:443"} 1"#,
        ],
    };
    case.holds();
}

#[test]
#[ignore = "needs root (loads probes)"]
fn an_address_of_either_version_is_what_the_family_says() {
    let case = Case {
        number: 3,
        types: "struct end_t { union { __u32 v4; __u8 v6[16]; } addr; __u16 port; };
            struct event_t { union { __u32 saddr_v4; __u8 saddr_v6[16]; }; struct end_t to; unsigned __int128 daddr; union { __u32 n; __u8 raw[16]; } other; __u16 family; };",
        sends: "struct event_t event;
            __builtin_memset(&event, 7, sizeof(event)); event.to.port = 80;
            event.family = 2; event.saddr_v4 = event.to.addr.v4 = bpf_htonl(0x0a000001); event.daddr = bpf_htonl(0x0a000002); event.other.n = 7; SEND(&event, sizeof(event));
            event.saddr_v6[9] = event.to.addr.v6[9] = 1; SEND(&event, sizeof(event));
            event.family = 10; event.daddr = 0;
            __builtin_memset(event.saddr_v6, 0, 16); event.saddr_v6[0] = 0xfd; event.saddr_v6[15] = 1; event.to.addr = *(typeof(event.to.addr) *)event.saddr_v6; SEND(&event, sizeof(event));",
        events: vec![
            json!({"saddr": "10.0.0.1", "to": {"addr": "10.0.0.1", "port": 80}, "daddr": "10.0.0.2", "other": {"n": 7, "raw": "07000000070707070707070707070707"}, "family": 2}),
            json!({"saddr": "10.0.0.1", "to": {"addr": "10.0.0.1", "port": 80}, "daddr": "10.0.0.2", "other": {"n": 7, "raw": "07000000070707070707070707070707"}, "family": 2}),
            json!({"saddr": "fd00::1", "to": {"addr": "fd00::1", "port": 80}, "daddr": "::", "other": {"n": 7, "raw": "07000000070707070707070707070707"}, "family": 10}),
        ],
        counts: vec![
            r#"{daddr="10.0.0.2",family="2",other_n="7",other_raw="07000000070707070707070707070707",saddr="10.0.0.1",to_addr="10.0.0.1",to_port="80"} 2"#,
            r#"{daddr="::",family="10",other_n="7",other_raw="07000000070707070707070707070707",saddr="fd00::1",to_addr="fd00::1",to_port="80"} 1"#,
        ],
    };
    case.holds();
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_record_that_is_shorter_than_its_type_is_shown_as_far_as_it_goes() {
    let case = Case {
        number: 4,
        types: "struct event_t { __u32 pid; __u16 code; __u16 list[2]; char args[32]; __u32 after; };",
        sends: "struct event_t event = { .pid = 1, .code = 2, .list = { 3, 4 }, .args = \"ls -l\" };
            event.args[9] = 'x';
            SEND(&event, 4); SEND(&event, 5); SEND(&event, 8); SEND(&event, 12); SEND(&event, 15); SEND(&event, 21); SEND(&event, 42);
            SEND(&event, sizeof(event)); SEND(&event, 3);",
        events: vec![
            json!({"pid": 1}),
            json!({"pid": 1}),
            json!({"pid": 1, "code": 2, "list": [3]}),
            json!({"pid": 1, "code": 2, "list": [3, 4], "args": "ls"}),
            json!({"pid": 1, "code": 2, "list": [3, 4], "args": "ls -l"}),
            json!({"pid": 1, "code": 2, "list": [3, 4], "args": "ls -l"}),
            json!({"pid": 1, "code": 2, "list": [3, 4], "args": "ls -l"}),
            json!({"pid": 1, "code": 2, "list": [3, 4], "args": "ls -l", "after": 0}),
        ],
        counts: vec![
            r#"{after="",args="",code="",list_0="",list_1="",pid="1"} 2"#,
            r#"{after="",args="",code="2",list_0="3",list_1="",pid="1"} 1"#,
            r#"{after="",args="ls -l",code="2",list_0="3",list_1="4",pid="1"} 3"#,
            r#"{after="",args="ls",code="2",list_0="3",list_1="4",pid="1"} 1"#,
            r#"{after="0",args="ls -l",code="2",list_0="3",list_1="4",pid="1"} 1"#,
        ],
    };
    let said = case.holds();
    for map in ["events", "counts"] {
        let words = format!("map {map}: left out a record of 3 bytes, which is too short: its type has 48;");
        assert_eq!(said.matches(&words).count(), 1, "{said}");
    }
}

const VALUES: &str = r#"
struct event_t { __u32 cpu; __u64 value; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } last SEC(".maps.gauge");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } took SEC(".maps.hist") BEE_BUCKETS("100");
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn a_record_that_ends_before_its_value_is_left_out_and_told_once() {
    let case = Case {
        number: 5,
        types: VALUES,
        sends: "struct event_t event = { .cpu = 1, .value = 9 };
            for (int i = 0; i < 3; i++) { bpf_ringbuf_output(&last, &event, 8, 0); bpf_ringbuf_output(&took, &event, 12, 0); }
            bpf_ringbuf_output(&last, &event, 16, 0); bpf_ringbuf_output(&took, &event, 16, 0);",
        events: vec![],
        counts: vec![],
    };
    let folder = tempfile::tempdir().unwrap();
    let watched = format!("--param=watched={}", std::process::id());
    let run = Run::start(bee(), &case.build(folder.path()), &[&watched]);
    // SAFETY: as above.
    unsafe { libc::getpriority(77, case.number) };
    assert!(until(|| run.value("last", &["cpu=\"1\""]) == 9 && run.value("took_count", &["cpu=\"1\""]) == 1));
    for (map, got) in [("last", 8), ("took", 12)] {
        assert_eq!(run.own("bee_records_bad_total", map), 3);
        let words = format!("map {map}: left out a record of {got} bytes, which is too short: its type has 16;");
        assert!(until(|| run.said().matches(&words).count() == 1), "{}", run.said());
    }
}

#[test]
#[ignore = "needs root (loads probes)"]
fn an_array_at_the_end_shows_what_the_record_holds() {
    for (types, fill, events, counts) in [
        (
            "struct event_t { __u32 n; __u16 list[]; };",
            "__u16 *list = (void *)bytes + 4; list[0] = 7; list[1] = 8; list[2] = 9;",
            vec![json!({"n": 1, "list": []}), json!({"n": 1, "list": [7]}), json!({"n": 1, "list": [7, 8]})],
            vec![r#"{list="",n="1"} 1"#, r#"{list="[7,8]",n="1"} 1"#, r#"{list="[7]",n="1"} 1"#],
        ),
        (
            "struct event_t { __u32 n; char text[]; };",
            "__builtin_memcpy(bytes + 4, \"ab\\0cd\", 6);",
            vec![json!({"n": 1, "text": ""}), json!({"n": 1, "text": "ab"}), json!({"n": 1, "text": "ab"})],
            vec![r#"{n="1",text=""} 1"#, r#"{n="1",text="ab"} 2"#],
        ),
    ] {
        let sends = format!(
            "char bytes[16] __attribute__((aligned(8))) = {{ 1 }}; {fill} SEND(bytes, 4); SEND(bytes, 7); SEND(bytes, 8);"
        );
        Case { number: 6, types, sends: sends.leak(), events, counts }.holds();
    }
}

#[test]
#[ignore = "needs root (loads probes)"]
fn arrays_of_every_kind_are_shown() {
    let case = Case {
        number: 7,
        types: "typedef __u8 mac_t[6]; typedef char name_t[4]; typedef unsigned char uchar; typedef __u8 octet; enum col_t { RED, GREEN };
            struct in_t { __u8 a; __u16 b; };
            struct event_t { s8 sc[2]; bool fl[2]; enum col_t c[2]; struct in_t st[2]; char argv[3][8]; mac_t mac; name_t nm; uchar uc[4]; octet oc[2];
                signed char sgn[4]; const char cc[4]; char one; __u8 two[2][2]; __u16 grid[2][2]; };",
        sends: "struct event_t event = { .sc = { -1, 1 }, .fl = { false, true }, .c = { RED, GREEN }, .st = { { 1, 2 }, { 3, 4 } },
                .argv = { \"ls\", \"\", \"x\" }, .mac = { 0x52, 1 }, .nm = \"n\", .uc = \"u\", .oc = { 1, 2 }, .sgn = \"s\", .cc = \"abcd\", .one = 'z',
                .two = { { 0, 1 }, { 9, 0 } }, .grid = { { 1, 2 }, { 3, 4 } } };
            SEND(&event, sizeof(event));",
        events: vec![json!({
            "sc": [-1, 1], "fl": [false, true], "c": ["RED", "GREEN"], "st": [{"a": 1, "b": 2}, {"a": 3, "b": 4}],
            "argv": ["ls", "", "x"], "mac": "520100000000", "nm": "n", "uc": "u", "oc": "0102", "sgn": "s", "cc": "abcd", "one": 122,
            "two": ["0001", "0900"], "grid": [[1, 2], [3, 4]],
        })],
        counts: vec![
            r#"{argv_0="ls",argv_1="",argv_2="x",c_0="RED",c_1="GREEN",cc="abcd",fl_0="false",fl_1="true",grid_0_0="1",grid_0_1="2",grid_1_0="3",grid_1_1="4",mac="520100000000",nm="n",oc="0102",one="122",sc_0="-1",sc_1="1",sgn="s",st_0_a="1",st_0_b="2",st_1_a="3",st_1_b="4",two_0="0001",two_1="0900",uc="u"} 1"#,
        ],
    };
    case.holds();
}

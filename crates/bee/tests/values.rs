//! Values are what is shown, in this machine's kernel: what lies in padding, behind a text's end or in the rest of a bit field makes no
//! series of its own, and no name breaks a scrape.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::process::Command;

use testkit::{
    called::{CalledProbe, shows},
    probe::Run,
};

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

const GARBAGE: &str = r#"
struct text_t { char path[32]; __u64 value; };
struct padded_t { __u32 cpu; __u64 value; };
struct key_t { char path[32]; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); __type(value, struct text_t); } texts SEC(".maps.gauge");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); __type(value, struct padded_t); } padded SEC(".maps.gauge");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); __type(value, struct padded_t); } spread SEC(".maps.hist") BEE_BUCKETS("100");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); __type(value, struct key_t); } opens SEC(".maps.counter");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1000); __type(key, struct key_t); __type(value, __u64); } kept SEC(".maps.counter");
"#;

const MAKE_GARBAGE: &str = r#"
	struct text_t text = { .path = "a", .value = a };
	text.path[5] = a;
	bpf_ringbuf_output(&texts, &text, sizeof(text), 0);
	struct padded_t pad;
	__builtin_memset(&pad, a * 37, sizeof(pad));
	pad.cpu = 0;
	pad.value = a;
	bpf_ringbuf_output(&padded, &pad, sizeof(pad), 0);
	bpf_ringbuf_output(&spread, &pad, sizeof(pad), 0);
	struct key_t key = { .path = "a" };
	key.path[7] = a;
	bpf_ringbuf_output(&opens, &key, sizeof(key), 0);
	__u64 one = 1;
	bpf_map_update_elem(&kept, &key, &one, 0);
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn what_is_not_shown_makes_no_series_of_its_own() {
    let probe = CalledProbe::build(bee, GARBAGE, MAKE_GARBAGE);
    let file = probe.recording();
    // No room for more than one series each.
    let run = probe.run(&["--max-series=1", "--record", file.to_str().unwrap()]);
    probe.call(1..=200);
    let expected = [
        r#"kept{path="a"} 200"#,
        r#"opens{path="a"} 200"#,
        r#"padded{cpu="0"} 200"#,
        r#"spread_bucket{cpu="0",le="+Inf"} 200"#,
        r#"spread_bucket{cpu="0",le="100"} 100"#,
        r#"spread_count{cpu="0"} 200"#,
        r#"spread_sum{cpu="0"} 20100"#,
        r#"texts{path="a"} 200"#,
    ];
    shows(&run, &expected);
    assert_eq!(run.own("bee_series_left_out", "kept") + run.own("bee_series_left_out", "opens"), 0);
    run.stop();
    let replay = Run::replay(bee(), &file, &["--speed=max", "--output=json"]);
    shows(&replay, &expected);
}

const BITS: &str = r#"
struct event_t { __u32 flags : 4; __u32 value : 28; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } last SEC(".maps.gauge");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } took SEC(".maps.hist") BEE_BUCKETS("8");
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn a_value_may_be_a_bit_field() {
    let output =
        "bpf_ringbuf_output(&last, &event, sizeof(event), 0); bpf_ringbuf_output(&took, &event, sizeof(event), 0);";
    let probe =
        CalledProbe::build(bee, BITS, &format!("struct event_t event = {{ .flags = 5, .value = a }}; {output}"));
    let run = probe.run(&[]);
    probe.call([9, 7]);
    let expected = [
        r#"last{flags="5"} 7"#,
        r#"took_bucket{flags="5",le="+Inf"} 2"#,
        r#"took_bucket{flags="5",le="8"} 1"#,
        r#"took_count{flags="5"} 2"#,
        r#"took_sum{flags="5"} 16"#,
    ];
    shows(&run, &expected);
}

const BYTES: &str = r#"
struct mac_t { unsigned char mac[6]; };
struct id_t { char id[8]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct mac_t); __type(value, __u64); } by_mac SEC(".maps.counter");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct id_t); __type(value, __u64); } by_id SEC(".maps.counter");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32[1]); __type(value, __u64); } by_index SEC(".maps.counter");
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn keys_that_differ_are_series_that_differ() {
    let called = "struct mac_t mac = { .mac = { 0, 0x16 } }; mac.mac[5] = a; bpf_map_update_elem(&by_mac, &mac, &a, 0);
        struct id_t who = { .id = \"?x\" }; who.id[0] = 0xf0 + a; bpf_map_update_elem(&by_id, &who, &a, 0);";
    let probe = CalledProbe::build(bee, BYTES, called);
    let run = probe.run(&[]);
    probe.call([1, 2]);
    let expected = [
        r#"by_id{id="\\xf1x"} 1"#,
        r#"by_id{id="\\xf2x"} 2"#,
        r#"by_index{key_0="0"} 0"#,
        r#"by_mac{mac="001600000001"} 1"#,
        r#"by_mac{mac="001600000002"} 2"#,
    ];
    shows(&run, &expected);
}

const TWINS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } calls SEC(".maps.counter");
static __always_inline void count(void)
{
	__u32 first = 0;
	__u64 *value = bpf_map_lookup_elem(&calls, &first);
	if (value)
		__sync_fetch_and_add(value, 1);
}
SEC("raw_tp/sys_enter")
int older(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (void *)ctx->args[0];
	if (ctx->args[1] == GETPRIORITY && PT_REGS_PARM1_CORE_SYSCALL(regs) == 77 && bpf_get_current_pid_tgid() >> 32 == watched)
		count();
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn of_two_programs_that_see_the_same_event_one_runs() {
    let maps = format!("#define GETPRIORITY {}\n{TWINS}", libc::SYS_getpriority);
    let probe = CalledProbe::build(bee, &maps, "a = a; count();");
    let run = probe.run(&[]);
    probe.call(1..=5);
    shows(&run, &[r#"calls{key="0"} 5"#]);
    assert!(
        run.said().contains("older (SEC(\"raw_tp/sys_enter\")) left out, as watch sees the same event"),
        "{}",
        run.said()
    );
}

/// Maps that Prometheus would refuse, and the words that say why; each is refused when it is built.
const REFUSED: [(&str, &str); 6] = [
    (
        "struct inner_t { __u32 port; }; struct key_t { struct inner_t src; __u32 src_port; };
         struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct key_t); __type(value, __u64); } m SEC(\".maps.counter\");",
        "map m can't be exported: two of its fields would be the label src_port",
    ),
    (
        "struct event_t { __u32 le; __u64 value; };
         struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } m SEC(\".maps.hist\");",
        "map m can't be exported: its field le",
    ),
    (
        "struct event_t { __u64 value; };
         struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } took SEC(\".maps.hist\");
         struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } took_count SEC(\".maps.counter\");",
        "its metric ebpf_solo_io_took_count would be map took's as well",
    ),
    (
        "struct key_t { __u16 bucket; };
         struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct key_t); __type(value, __u64); } m SEC(\".maps.hist\") BEE_BUCKETS(\"8\");",
        "has less than 32 bits",
    ),
    (
        "struct key_t { __u32 bucket; };
         struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct key_t); __type(value, __u64); } m SEC(\".maps.hist\");",
        "nothing says what its buckets are",
    ),
    (
        "struct key_t { __u8 bucket; };
         struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct key_t); __type(value, __u64); } m SEC(\".maps.hist\"); BEE_HASH(m);
         SEC(\"raw_tp/sys_enter\") int observe(void *ctx) { struct key_t key = {}; BEE_OBSERVE(m, &key, 1); return 0; }",
        "needs 32 bits",
    ),
];

#[test]
fn what_would_break_a_scrape_or_count_wrongly_is_not_built() {
    for (lines, words) in REFUSED {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("probe.c");
        let begin = "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\n#include \"bee.h\"\n";
        std::fs::write(&source, format!("{begin}char LICENSE[] SEC(\"license\") = \"GPL\";\n{lines}")).unwrap();
        let built = bee().arg("build").arg(&source).arg("--output-file").arg(folder.path().join("o")).output().unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(!built.status.success() && said.contains(words), "{words}: {said}");
    }
}

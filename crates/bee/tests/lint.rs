//! What `bee lint` and `bee build` say of a probe that compiles and is likely wrong.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::path::Path;

use assert_cmd::Command;

const BEGIN: &str = "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\n#include \"solo_types.h\"\n";

/// What is found in a probe of these lines, the fourth of the file being the first, and lint's exit code.
fn found(folder: &Path, lines: &str, arguments: &[&str], code: i32) -> String {
    let source = folder.join("probe.c");
    std::fs::write(&source, format!("{BEGIN}{lines}")).unwrap();
    let mut bee = Command::cargo_bin("bee").unwrap();
    let lint = bee.current_dir(folder).args(["lint", "probe.c"]).args(arguments).assert().code(code);
    String::from_utf8_lossy(&lint.get_output().stdout).into_owned()
}

const LEAKING: &str = r#"struct key_t {
	u32 pid;
	u64 cgroup;
	char comm[8];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, struct key_t);
	__type(value, u64);
} counter_calls SEC(".maps");

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return 2;
}
"#;

#[test]
fn each_finding_stands_where_it_is_declared() {
    let folder = tempfile::tempdir().unwrap();
    let said = found(folder.path(), LEAKING, &[], 3);
    let places: Vec<_> =
        said.lines().map(|line| (line.split(": warning:").next().unwrap(), line.rsplit(' ').next().unwrap())).collect();
    let expected = [
        ("probe.c:16", "[hook]"),
        ("probe.c:5", "[padding]"),
        ("probe.c:7", "[text]"),
        ("probe.c:5", "[labels]"),
        ("probe.c:14", "[memory]"),
    ];
    assert_eq!(places, expected, "{said}");
    assert!(said.contains("4 bytes of padding after pid") && said.contains("takes 96.0 MB"), "{said}");
}

#[test]
fn padding_is_found_wherever_it_is_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let holes = |fields: &str, attributes: &str, code| {
        let event = format!("struct inner_t {{ u8 kind; u32 id; }};\nstruct event_t {{ {fields} }} {attributes};\n");
        let ring = "struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } \
                    events SEC(\".maps.print\");\n";
        let said = found(folder.path(), &(event + ring), &[], code);
        let hole = |line: &str| {
            let (_, words) = line.split_once("warning: ").unwrap();
            words.split(" that nobody sets").next().unwrap().to_owned()
        };
        said.lines().map(hole).collect::<Vec<_>>()
    };
    assert_eq!(holes("u64 a; u16 b;", "", 3), ["event_t has 6 bytes of padding after b"]);
    assert_eq!(holes("struct inner_t to[2];", "", 3), ["inner_t has 3 bytes of padding after kind"]);
    let clean: [&str; 0] = [];
    assert_eq!(holes("u64 a; u16 b;", "__attribute__((packed))", 0), clean);
    assert_eq!(holes("u32 a: 3; u32 b: 29; u8 c[4];", "", 0), clean);
    assert_eq!(holes("union { u32 v4; u8 raw[16]; } to; ipv4_addr from; enum { NO } e;", "", 0), clean);
}

#[test]
fn findings_are_a_json_array_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let said = found(folder.path(), LEAKING, &["--json", "--memory", "1000"], 3);
    let findings: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(findings.as_array().unwrap().len(), 4, "the memory is allowed: {said}");
    assert_eq!((&findings[1]["rule"], &findings[1]["line"]), (&"padding".into(), &5.into()));
}

#[test]
fn build_warns_of_the_same_and_builds() {
    let folder = tempfile::tempdir().unwrap();
    found(folder.path(), LEAKING, &[], 3);
    let mut bee = Command::cargo_bin("bee").unwrap();
    let build =
        bee.current_dir(folder.path()).args(["build", "probe.c", "--output-file", "probe.o"]).assert().success();
    let said = String::from_utf8_lossy(&build.get_output().stderr).into_owned();
    assert_eq!(said.matches(": warning: ").count(), 5, "{said}");
}

#[test]
fn an_object_is_found_fault_with_where_its_source_stands_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let with_source = found(folder.path(), LEAKING, &[], 3);
    let bee = |arguments: &[&str]| {
        let mut bee = Command::cargo_bin("bee").unwrap();
        let output = bee.current_dir(folder.path()).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    bee(&["build", "probe.c", "--output-file", "probe.o"]);
    assert_eq!(bee(&["lint", "probe.o"]), with_source);
    std::fs::remove_file(folder.path().join("probe.c")).unwrap();
    let without: Vec<_> =
        bee(&["lint", "probe.o"]).lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(
        without,
        ["probe.c:19:", "probe.o:", "probe.o:", "probe.o:", "probe.o:"],
        "the object knows its programs' lines"
    );
}

#[test]
fn a_map_that_can_not_be_exported_is_a_finding_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let map = "struct {\n\t__uint(type, BPF_MAP_TYPE_LPM_TRIE);\n\t__type(key, u64);\n\t__type(value, u64);\n} counter_x SEC(\".maps\");\n";
    let said = found(folder.path(), map, &[], 3);
    assert!(said.starts_with("probe.c:8: warning: map counter_x can't be exported: maps of type LpmTrie"), "{said}");
}

#[test]
fn a_map_that_no_kernel_creates_is_a_finding_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let map = "struct {\n\t__uint(type, BPF_MAP_TYPE_STACK_TRACE);\n\t__uint(key_size, 4);\n\t__uint(value_size, 12);\n} stacks SEC(\".maps\");\n\
               struct {\n\t__uint(type, BPF_MAP_TYPE_ARRAY);\n\t__uint(max_entries, 1);\n\t__type(key, u32);\n\t__type(value, u64);\n} counter_n SEC(\".maps\");\n";
    let said = found(folder.path(), map, &[], 3);
    assert!(said.starts_with("probe.c:8: warning: no kernel creates map stacks: a stack trace map needs"), "{said}");
}

/// Clang clears a whole struct for `= {}`.
#[test]
fn a_struct_that_is_set_to_0_has_no_padding_that_nobody_sets_and_a_finding_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let probe = |variable: &str| {
        format!(
            "struct event_t {{ u64 ts; u32 pid; }};\n\
             struct {{ __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); }} first SEC(\".maps.print\");\n\
             struct {{ __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); }} second SEC(\".maps.print\");\n\
             SEC(\"raw_tp/sys_enter\")\nint watch(void *ctx)\n{{\n\t{variable}\n\tevent.pid = 2;\n\
             \tbpf_ringbuf_output(&first, &event, sizeof(event), 0);\n\treturn 0;\n}}\n"
        )
    };
    for set in ["struct event_t event = {};", "struct event_t event = {0};"] {
        assert_eq!(found(folder.path(), &probe(set), &[], 0), "", "{set}");
    }
    let said = found(folder.path(), &probe("struct event_t event; event.ts = 1;"), &[], 3);
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_probe_without_fault_has_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "struct event_t {\n\tu64 cgroup;\n\tu32 pid;\n\tchar comm[16];\n\tu32 unused;\n};\n\
                 struct {\n\t__uint(type, BPF_MAP_TYPE_RINGBUF);\n\t__uint(max_entries, 1 << 20);\n\
                 \t__type(value, struct event_t);\n} events SEC(\".maps.print\");\n";
    assert_eq!(found(folder.path(), lines, &[], 0), "", "the pid is no label of what is printed");
}

#[test]
fn the_workshops_probes_have_no_findings() {
    for probe in ["probe.bpf.c", "tcpconnect.bpf.c"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../probes").join(probe);
        Command::cargo_bin("bee").unwrap().arg("lint").arg(source).assert().success();
    }
}

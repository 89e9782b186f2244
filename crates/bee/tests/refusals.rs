//! What is refused is refused by name: the map, the call or the file that is the cause, every one of them. The exit code says whose fault
//! it is.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::probe::{self, Run};

const COUNTS: &str = "struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } \
                      counter_n SEC(\".maps\");\n";
const HOOK: &str = "SEC(\"raw_tp/sys_enter\")\nint watch(void *ctx)\n";

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

fn source(folder: &Path, lines: &str) -> PathBuf {
    let source = folder.join("probe.c");
    let begin = "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n";
    std::fs::write(&source, format!("{begin}{lines}")).unwrap();
    source
}

/// What bee says when it builds these lines, the fourth of the file being the first, and its exit code.
fn built(lines: &str, options: &[&str]) -> (String, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), lines);
    let output = bee().current_dir(&folder).arg("build").arg(source).args(["-o", "probe.o"]).args(options).output();
    let output = output.unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

/// The same of running them.
fn ran(lines: &str, options: &[&str]) -> (String, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let object = probe::build(bee(), folder.path(), lines);
    let output =
        bee().arg("run").arg(object).args(["--no-tty", "--prom-port=0", "--timeout=100ms"]).args(options).output();
    let output = output.unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[track_caller]
fn refused((said, code): (String, Option<i32>), expected: &[&str], expected_code: i32) {
    for words in expected {
        assert!(said.contains(words), "no {words:?} in: {said}");
    }
    assert_eq!(code, Some(expected_code), "{said}");
}

#[test]
fn a_call_that_nothing_defines_is_named_with_its_line_and_what_to_do() {
    let compares = format!(
        "static char seen[64];\n{HOOK}{{\n\tchar text[32];\n\tbpf_get_current_comm(text, 16);\n\treturn __builtin_memcmp(text, seen, 23) == 0;\n}}\n"
    );
    refused(built(&compares, &[]), &["memcmp at probe.c:10, of which clang", "bpf_strncmp"], 3);
    let other = format!(
        "extern int elsewhere(int);\nextern int nowhere(int);\n{HOOK}{{\n\treturn elsewhere(nowhere(1));\n}}\n"
    );
    refused(built(&other, &[]), &["nowhere at probe.c:9", "elsewhere at probe.c:9", "with --link"], 3);
}

#[test]
fn what_another_source_or_the_kernel_defines_is_no_undefined_call() {
    let folder = tempfile::tempdir().unwrap();
    let more = folder.path().join("more.c");
    std::fs::write(&more, "int elsewhere(int number)\n{\n\treturn number + 1;\n}\n").unwrap();
    let lines = format!(
        "extern int elsewhere(int);\nextern void bpf_rcu_read_lock(void) __ksym;\nextern int CONFIG_HZ __kconfig;\n{HOOK}{{\n\tif (CONFIG_HZ == 7)\n\t\tbpf_rcu_read_lock();\n\treturn elsewhere(1);\n}}\n"
    );
    let (said, code) = built(&lines, &["--link", &more.display().to_string()]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn an_object_of_the_other_byte_order_is_said_to_be_that() {
    refused(
        built(&format!("{HOOK}{{\n\treturn 0;\n}}\n"), &["--cflags=-target bpfeb"]),
        &["other byte order (bpfeb"],
        3,
    );
}

#[test]
fn every_map_that_can_not_be_exported_is_named() {
    let map = |name: &str, value: &str| {
        format!(
            "struct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, {value}); }} {name} SEC(\".maps\");\n"
        )
    };
    let lines = [map("counter_a", "u64"), map("counter_b", "struct task_struct *"), map("counter_c", "struct file *")];
    refused(built(&lines.concat(), &[]), &["map counter_b can't", "map counter_c can't"], 3);
}

#[test]
fn libbpfs_own_sentence_says_what_it_does_not_open() {
    let legacy = "struct old { unsigned type, key_size, value_size, max_entries; };\nstruct old SEC(\"maps\") counter_old = { 1, 4, 8, 9 };\n";
    let uses = format!("{HOOK}{{\n\tu32 key = 1;\n\treturn bpf_map_lookup_elem(&counter_old, &key) != 0;\n}}\n");
    refused(built(&format!("{legacy}{uses}"), &[]), &["legacy map definitions in 'maps' section", "SEC(\".maps\")"], 3);
    let hidden = uses.replace("counter_old", "hidden");
    let map = "static struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } hidden SEC(\".maps\");\n";
    refused(built(&format!("{map}{hidden}"), &[]), &["map 'hidden': unsupported map linkage static: take the word"], 3);
}

#[test]
fn a_perf_buffer_may_say_its_sizes_beside_the_type_of_its_events() {
    let map = |sizes: &str| {
        format!(
            "struct event {{ u32 n; char comm[16]; }};\nstruct {{ __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); {sizes} }} events SEC(\".maps.print\");\n{HOOK}{{\n\tstruct event event = {{}};\n\treturn bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));\n}}\n"
        )
    };
    for sizes in [
        "__uint(key_size, sizeof(u32)); __uint(value_size, sizeof(u32)); __type(value, struct event);",
        "__type(value, struct event); __uint(value_size, 4); __uint(key_size, 4); __uint(max_entries, 128);",
        "__uint(value_size, 4); __type(key, u32); __type(value, struct event);",
    ] {
        let (said, code) = built(&map(sizes), &[]);
        assert_eq!(code, Some(0), "{sizes}: {said}");
    }
    refused(built(&map("__uint(key_size, 4); __uint(value_size, 4);"), &[]), &["which struct its events are"], 3);
}

#[test]
fn a_map_size_is_refused_before_root_is_asked_for() {
    refused(
        ran(&format!("{COUNTS}{HOOK}{{\n\treturn 0;\n}}\n"), &["--map-size=counter_m=5"]),
        &["no probe has a map counter_m; maps: counter_n"],
        2,
    );
    refused(
        ran(&format!("{COUNTS}{HOOK}{{\n\treturn 0;\n}}\n"), &["--map-size=counter_n=many"]),
        &["expected NAME=N"],
        2,
    );
}

#[test]
fn of_several_probes_every_one_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let object = probe::build(
        bee(),
        folder.path(),
        &format!(
            "{COUNTS}SEC(\"xdp\")\nint one(void *ctx)\n{{\n\treturn 0;\n}}\nSEC(\"tc\")\nint two(void *ctx)\n{{\n\treturn 0;\n}}\n"
        ),
    );
    let other = folder.path().join("other.o");
    std::fs::write(&other, "no object").unwrap();
    let output = bee().arg("run").args([&object, &other]).output().unwrap();
    let said = (String::from_utf8(output.stderr).unwrap(), output.status.code());
    refused(said, &["program one can't be attached", "program two can't be attached", "other.o: not an ELF file"], 3);
}

/// Maps that user space is to size, as libbpf-tools has them.
const OPEN: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(key_size, 4); } stacks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, u32); __type(value, u64); } counter_calls SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __type(value, u64); } print_calls SEC(".maps");
SEC("raw_tp/sys_enter")
int watch(void *ctx)
{
	u32 key = bpf_get_stackid(ctx, &stacks, 0);
	u64 one = 1;
	if (bpf_get_current_pid_tgid() == 0)
		bpf_map_update_elem(&counter_calls, &key, &one, BPF_ANY);
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn a_map_that_leaves_its_size_open_gets_one_that_is_said_or_that_is_asked_for() {
    let (said, code) = ran(OPEN, &[]);
    assert_eq!(code, Some(0), "{said}");
    for map in ["map stacks leaves its size", "map counter_calls leaves", "map print_calls leaves"] {
        assert!(said.contains(map), "{map}: {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let object = probe::build(bee(), folder.path(), OPEN);
    let recording = folder.path().join("run.bee");
    let record = format!("--record={}", recording.display());
    let run = Run::start(bee(), &object, &["--map-size=counter_calls=77", "--map-size", "stacks=33", &record]);
    assert_eq!(run.own("bee_map_elements_max", "counter_calls"), 77, "{}", run.metrics());
    assert!(!run.said().contains("map counter_calls leaves"), "{}", run.said());
    run.stop();
    let replayed = Run::replay(bee(), &recording, &["--speed=max"]);
    assert_eq!(replayed.own("bee_map_elements_max", "counter_calls"), 77, "{}", replayed.metrics());
}

#[test]
#[ignore = "needs root (loads probes)"]
fn every_map_that_the_kernel_does_not_create_is_named_with_its_rule_and_no_hook_is_blamed() {
    let bad = "struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(key_size, 4); __uint(value_size, 12); __uint(max_entries, 9); } stacks SEC(\".maps\");\n\
               struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 9); __type(key, u64); __type(value, u64); } trie SEC(\".maps\");\n";
    for hook in ["raw_tp/sys_enter", "perf_event", "tp_btf/sys_enter"] {
        let lines = format!(
            "{bad}{COUNTS}SEC(\"{hook}\")\nint watch(void *ctx)\n{{\n\treturn bpf_get_stackid(ctx, &stacks, 0) > 0;\n}}\n"
        );
        let (said, code) = ran(&lines, &[]);
        assert!(!said.contains(&format!("{hook}: ")), "{said}");
        refused(
            (said, code),
            &[
                "failed to create map stacks: a stack trace map needs a value of 8 bytes",
                "failed to create map trie: an LPM trie needs __uint(map_flags",
            ],
            3,
        );
    }
}

#[test]
#[ignore = "needs root (loads probes)"]
fn what_this_kernel_lacks_is_named() {
    let asks = |declared: &str, used: &str| {
        ran(
            &format!(
                "#include \"bpf/bpf_tracing.h\"\n{COUNTS}{declared}\nSEC(\"tp_btf/sys_enter\")\nint watch(void *ctx)\n{{\n\t{used}\n\treturn 0;\n}}\n"
            ),
            &[],
        )
    };
    refused(
        asks("extern int CONFIG_NO_SUCH_THING __kconfig;", "if (CONFIG_NO_SUCH_THING) return 1;"),
        &["CONFIG_NO_SUCH_THING", "__weak"],
        4,
    );
    refused(
        asks("extern int bpf_no_such_kfunc(void) __ksym;", "bpf_no_such_kfunc();"),
        &["this kernel has no kfunc bpf_no_such_kfunc"],
        4,
    );
    refused(
        asks("extern const void no_such_symbol __ksym;", "if (&no_such_symbol == ctx) return 1;"),
        &["this kernel has no symbol no_such_symbol"],
        4,
    );
    let weak = asks("extern int bpf_no_such_kfunc(void) __ksym __weak;", "if (bpf_no_such_kfunc) bpf_no_such_kfunc();");
    assert_eq!(weak.1, Some(0), "{}", weak.0);
}

fn on(section: &str) -> (String, Option<i32>) {
    ran(&format!("{COUNTS}SEC(\"{section}\")\nint watch(void *ctx)\n{{\n\treturn 0;\n}}\n"), &[])
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_library_is_found_by_its_short_name_and_a_missing_file_is_told_from_a_missing_function() {
    if !Path::new("/sys/bus/event_source/devices/uprobe").exists() {
        refused(on("uprobe/libc:malloc"), &["this kernel has no uprobes"], 4);
        return;
    }
    for section in ["uprobe/libc:malloc", "uretprobe/libc.so.6:malloc", "uprobe/libc:malloc+0"] {
        let (said, code) = on(section);
        assert_eq!(code, Some(0), "{section}: {said}");
    }
    refused(on("uprobe/libno_such_library:malloc"), &["there is no library or program libno_such_library"], 4);
    refused(on("uprobe//no/such/file:main"), &["there is no file /no/such/file"], 4);
    refused(on("uprobe/libc:mallocc"), &["has no function mallocc; did you mean", "libc"], 4);
    refused(on("usdt/libno_such_library:a:b"), &["there is no library or program libno_such_library"], 4);
}

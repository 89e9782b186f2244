//! bee's command line: its help, and what it says to bad input.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::path::Path;

use assert_cmd::Command;

fn bee(folder: &Path) -> Command {
    let mut bee = Command::cargo_bin("bee").unwrap();
    bee.current_dir(folder).arg("--storage").arg(folder.join("store"));
    bee
}

/// What bee says, with its exit code; nothing of it may be a panic.
fn says(folder: &Path, arguments: &[&str], code: i32) -> String {
    let assert = bee(folder).args(arguments).assert().code(code);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn the_help_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        "",
        "init",
        "build",
        "lint",
        "list",
        "tag",
        "rm",
        "describe",
        "inspect",
        "export",
        "import",
        "completion",
        "login",
        "push",
        "pull",
        "package",
        "run",
        "replay",
        "doctor",
        "version",
    ] {
        let mut help = Command::cargo_bin("bee").unwrap();
        let words: Vec<_> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let assert = help.current_dir(folder.path()).args(words).env("COLUMNS", "100").assert().success();
        let name = if command.is_empty() { "bee" } else { command };
        insta::assert_snapshot!(name.to_owned(), String::from_utf8_lossy(&assert.get_output().stdout).into_owned());
    }
}

#[test]
fn a_source_that_does_not_compile_is_shown_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.c"), "#include \"vmlinux.h\"\nint x = y;\n").unwrap();
    let said = says(folder.path(), &["build", "broken.c", "broken:v1"], 3);
    assert!(said.contains("broken.c:2:9: error"), "{said}");
    let list = bee(folder.path()).args(["list", "--json"]).assert().success();
    assert_eq!(String::from_utf8_lossy(&list.get_output().stdout).trim(), "[]", "nothing is stored");
}

#[test]
fn a_map_that_cant_be_exported_is_named_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\nstruct size_key { u32 a; };\nstruct size_value { u64 b; };\n\
                  struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct size_key); __type(value, struct size_value); } \
                  sizes SEC(\".maps.counter\");\n";
    std::fs::write(folder.path().join("probe.c"), source).unwrap();
    let said = says(folder.path(), &["build", "probe.c", "probe:v1"], 3);
    assert!(said.contains("map sizes can't be exported: a metric needs a value that is an integer"), "{said}");
}

#[test]
fn what_is_no_probe_is_refused_before_anything_is_attached() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.o"), "not an object").unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_bee"), folder.path().join("program.o")).unwrap();
    std::fs::write(folder.path().join("cut.o"), &std::fs::read(env!("CARGO_BIN_EXE_bee")).unwrap()[..40]).unwrap();
    for (file, words) in [("text.o", "it is no ELF file"), ("program.o", "not of BPF"), ("cut.o", "cut off or damaged")]
    {
        let said = says(folder.path(), &["run", file, "--no-tty", "--prom-port", "0"], 3);
        assert!(said.contains(words), "{file}: {said}");
    }
}

#[test]
fn a_program_that_bee_does_not_attach_is_refused_before_root_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\nSEC(\"xdp\")\nint drop(struct xdp_md *ctx) { return 1; }\n";
    std::fs::write(folder.path().join("drop.c"), source).unwrap();
    bee(folder.path()).args(["build", "drop.c", "drop:v1"]).assert().success();
    let said = says(folder.path(), &["run", "drop:v1"], 3);
    assert!(said.contains("program drop can't be attached: SEC(\"xdp\") decides about packets"), "{said}");
}

#[test]
fn an_unknown_variant_is_refused_with_those_that_the_probe_has() {
    let folder = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tcpconnect.bpf.c");
    bee(folder.path()).args(["build", source, "tcpconnect:v1"]).assert().success();
    let said = says(folder.path(), &["run", "tcpconnect:v1", "--variant", "fentry"], 2);
    assert_eq!(said.trim_end(), "error: the probe has no variant fentry; it has kprobe, tp_btf");
}

/// A probe without programs, of this map.
fn build_map(folder: &Path, name: &str, map: &str) {
    let source = format!(
        "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\nconst volatile u32 of_{name} = 0;\nstruct {{ __uint(type, BPF_MAP_TYPE_HASH); \
         __uint(max_entries, 8); __type(key, u32); __type(value, u64); }} {map} SEC(\".maps\");\nSEC(\"raw_tp/sys_enter\")\n\
         int watch_{name}(void *ctx) {{ u32 key = of_{name}; return bpf_map_lookup_elem(&{map}, &key) != 0; }}\n"
    );
    std::fs::write(folder.join(format!("{name}.c")), source).unwrap();
    bee(folder).args(["build", &format!("{name}.c"), "--output-file", &format!("{name}.o")]).assert().success();
}

#[test]
fn two_probes_are_refused_whose_metrics_would_be_one_and_a_probe_that_is_named_twice() {
    let folder = tempfile::tempdir().unwrap();
    build_map(folder.path(), "a", "counter_calls");
    build_map(folder.path(), "b", "counter_calls");
    // What is not refused runs, where it may, and then no longer than this.
    let said = says(folder.path(), &["run", "a.o", "b.o", "--timeout=1s"], 2);
    assert!(said.contains("probes a.o and b.o both have a map counter_calls"), "{said}");
    let said = says(folder.path(), &["run", "a.o", "a.o", "--timeout=1s"], 2);
    assert!(said.contains("a.o is named twice"), "{said}");
}

#[test]
fn what_is_asked_of_several_probes_is_refused_if_none_has_it() {
    let folder = tempfile::tempdir().unwrap();
    build_map(folder.path(), "a", "counter_a");
    build_map(folder.path(), "b", "counter_b");
    let refused = |option: &str| says(folder.path(), &["run", "a.o", "b.o", "--timeout=1s", option], 2);
    let said = refused("--param=of_c=1");
    assert!(said.contains("no probe has a parameter of_c; there is of_a, of_b"), "{said}");
    let said = refused("--filter=counter_c:key==1");
    assert!(said.contains("there is counter_a:key, counter_b:key"), "{said}");
    assert!(refused("--variant=kprobe").contains("no variant kprobe"));
    assert!(refused("--hist-buckets=log2:3").contains("no map is a histogram"));
    // What one of them has is no reason to refuse the other.
    let said = refused("--param=of_b=many");
    assert!(said.contains("is no value for parameter of_b"), "{said}");
}

#[test]
fn a_name_that_is_not_stored_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let said = says(folder.path(), &["run", "nothing:v1"], 1);
    assert!(said.contains("nothing:v1"), "{said}");
}

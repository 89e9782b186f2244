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
fn a5_27_every_option_of_an_example_is_one_of_its_command() {
    let help = |words: &[&str]| {
        let assert = Command::cargo_bin("bee").unwrap().args(words).arg("--help").assert().success();
        String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
    };
    let commands = help(&[]);
    let commands: Vec<_> = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let commands = commands.into_iter().filter(|word| word.chars().all(char::is_lowercase) && word.len() > 1);
    let mut seen = 0;
    for command in commands.filter(|it| !["bee", "help"].contains(it)) {
        let text = help(&[command]);
        let examples = text.lines().filter_map(|line| line.trim().strip_prefix("bee "));
        for example in examples.map(|line| line.split(" #").next().unwrap()) {
            let of = help(&[example.split(' ').next().unwrap()]);
            let described = of.lines().filter(|line| line.trim_start().starts_with('-'));
            let known: Vec<_> = described.flat_map(|line| line.split([' ', ',', '['])).collect();
            for option in example.split(' ').filter(|word| word.starts_with("--")) {
                let option = option.split('=').next().unwrap();
                assert!(known.contains(&option), "{example}: no {option}");
                seen += 1;
            }
        }
    }
    assert!(seen > 15, "only {seen} options were seen");
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let lists = |arguments: &[&str]| {
        let mut bee = Command::cargo_bin("bee").unwrap();
        let list = bee.current_dir(folder.path()).env("HOME", folder.path()).args(arguments).assert().success();
        String::from_utf8_lossy(&list.get_output().stderr).into_owned()
    };
    assert_eq!(lists(&["--storage", "mine", "list"]), "nothing is stored in mine yet\n");
    assert_eq!(lists(&["list", "--storage", "mine"]), "nothing is stored in mine yet\n");
    let anywhere = ["-c", "a", "list", "--config-dir", "b", "-u", "c", "-p", "d", "--insecure", "--plain-http", "-v"];
    assert!(lists(&anywhere).starts_with("--verbose is ignored"), "{}", lists(&anywhere));
    let refused = |arguments: &[&str]| says(folder.path(), arguments, 1);
    assert!(refused(&["-u", "me", "pull", "localhost:1/a:v1"]).contains("--username and --password need each other"));
    let both = ["-p", "x", "pull", "localhost:1/a:v1", "-u", "me"];
    assert!(refused(&both).starts_with("warning: --password can be seen"), "{}", refused(&both));
    let twice = ["-p", "x", "login", "localhost:1", "-u", "me", "--password-stdin", "-d"];
    assert!(refused(&twice).contains("the password is given twice"), "{}", refused(&twice));
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
fn a5_10_a_map_that_cant_be_exported_is_named_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\nstruct size_key { u32 a; };\nstruct size_value { char b[8]; };\n\
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
    let program = std::fs::read(env!("CARGO_BIN_EXE_bee")).unwrap();
    for (file, length) in [("program.o", 1 << 20), ("cut.o", 40), ("long.o", program.len())] {
        std::fs::write(folder.path().join(file), &program[..length]).unwrap();
    }
    let refused = [
        ("text.o", "not an ELF file"),
        ("program.o", "not for BPF"),
        ("cut.o", "cut off or damaged"),
        ("long.o", "longer than 16 MiB"),
    ];
    for (file, words) in refused {
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
    assert!(said.contains("program drop can't be attached: SEC(\"xdp\") is a networking program"), "{said}");
}

#[test]
fn an_unknown_variant_is_refused_with_those_that_the_probe_has() {
    let folder = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/tcpconnect.bpf.c");
    bee(folder.path()).args(["build", source, "tcpconnect:v1"]).assert().success();
    let said = says(folder.path(), &["run", "tcpconnect:v1", "--variant", "fentry"], 2);
    assert_eq!(said.trim_end(), "error: the probe has no variant fentry; it has kprobe, sockops, tp_btf");
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
    assert!(said.contains("probes a.o and b.o both have a metric ebpf_solo_io_counter_calls"), "{said}");
    let said = says(folder.path(), &["run", "a.o", "a.o", "--timeout=1s"], 2);
    assert!(said.contains("a.o was given twice"), "{said}");
}

#[test]
fn what_is_asked_of_several_probes_is_refused_if_none_has_it() {
    let folder = tempfile::tempdir().unwrap();
    build_map(folder.path(), "a", "counter_a");
    build_map(folder.path(), "b", "counter_b");
    let refused = |option: &str| says(folder.path(), &["run", "a.o", "b.o", "--timeout=1s", option], 2);
    let said = refused("--param=of_c=1");
    assert!(said.contains("no probe has a parameter of_c; parameters: of_a, of_b"), "{said}");
    let said = refused("--filter=counter_c:key==1");
    assert!(said.contains("fields: counter_a:key, counter_b:key"), "{said}");
    assert!(refused("--variant=kprobe").contains("no variant kprobe"));
    assert!(refused("--hist-buckets=log2:3").contains("need a histogram map"));
    // What one of them has is no reason to refuse the other.
    let said = refused("--param=of_b=many");
    assert!(said.contains("invalid param \"of_b=many\": expected"), "{said}");
}

const MAP: &str = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } \
                   counter_calls SEC(\".maps\");\n";

/// A source with a program of this name, on a hook of this name, which counts nothing.
fn source(name: &str, more: &str) -> String {
    format!(
        "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\n{more}char LICENSE[] SEC(\"license\") = \"GPL\";\n\
         SEC(\"raw_tp/{name}\")\nint {name}(void *ctx) {{ return 0; }}\n"
    )
}

#[test]
fn several_sources_are_linked_into_one_probe() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("first.c", source("sys_enter", MAP));
    write("second.c", source("sys_exit", ""));
    write("same.c", source("sys_exit", MAP));
    bee(folder.path()).args(["build", "first.c", "both:v1", "--link", "second.c"]).assert().success();
    let described = bee(folder.path()).args(["describe", "both:v1"]).assert().success();
    let described = String::from_utf8_lossy(&described.get_output().stdout).into_owned();
    let ends = ["sys_enter, raw_tp/sys_enter", "sys_exit, raw_tp/sys_exit", "counter ebpf_solo_io_counter_calls{key}"];
    assert!(ends.iter().all(|end| described.lines().any(|line| line.ends_with(end))), "{described}");
    let said = says(folder.path(), &["build", "first.c", "twice:v1", "--link", "same.c"], 3);
    assert!(said.contains("do two of them define the same map or function?"), "{said}");
    let several = ["build", "first.c", "--arch", "amd64,arm64", "-o", "first.o"];
    let said = says(folder.path(), &several, 1);
    assert!(said.contains("--output-file takes one object"), "{said}");
}

#[test]
fn a5_20_a_folder_does_not_hide_an_image_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("first")).unwrap();
    std::fs::write(folder.path().join("first.c"), source("sys_enter", MAP)).unwrap();
    bee(folder.path()).args(["build", "first.c", "first", "-l", "-i", "image", "-b", "podman"]).assert().success();
    bee(folder.path()).args(["inspect", "first"]).assert().success();
    let said = says(folder.path(), &["run", "first", "--variant", "none"], 2);
    assert!(said.contains("no variant none"), "the image was not found: {said}");
}

#[test]
fn a5_21_a_build_that_fails_leaves_what_was_built_before_and_no_debris() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.c"), "int x = y;\n").unwrap();
    std::fs::write(folder.path().join("probe.o"), "before").unwrap();
    says(folder.path(), &["build", "broken.c", "-o", "probe.o"], 3);
    assert_eq!(std::fs::read(folder.path().join("probe.o")).unwrap(), b"before");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    // A source need not lie below the current folder.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("first.c"), source("sys_enter", MAP)).unwrap();
    let first = elsewhere.path().join("first.c");
    bee(folder.path()).args(["build", first.to_str().unwrap(), "-o", "probe.o"]).assert().success();
    assert!(std::fs::read(folder.path().join("probe.o")).unwrap().starts_with(b"\x7fELF"));
}

#[test]
fn a5_24_authors_are_described_without_a_description() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("first.c"), source("sys_enter", MAP)).unwrap();
    let author = "the \u{1b}[31mclass";
    bee(folder.path()).args(["build", "first.c", "first:v1", "--authors", author]).assert().success();
    let described = bee(folder.path()).args(["describe", "first:v1"]).assert().success();
    let described = String::from_utf8_lossy(&described.get_output().stdout).into_owned();
    assert!(described.contains("authors      the \\u{1b}[31mclass\n"), "{described}");
}

#[test]
fn a5_27_a_name_that_is_not_stored_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let said = says(folder.path(), &["run", "nothing:v1"], 1);
    assert!(said.contains("nothing:v1"), "{said}");
    assert!(said.starts_with("error: ") && said.lines().count() == 2, "an error and a hint, no trace: {said}");
}

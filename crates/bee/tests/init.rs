//! Every probe that `bee init` writes builds unchanged; loading them needs root. BumbleBee's have an empty event (A5 #22), do not
//! compile or take 1.3 GB (A5 #23).

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use assert_cmd::Command;
use testkit::{
    connections::Pair,
    probe::{Run, until},
};

fn bee() -> Command {
    Command::cargo_bin("bee").unwrap()
}

/// Calls `test` with each combination of choices and the path of the probe that `init` wrote for it.
fn each_combination(test: impl Fn(&str, &std::path::Path)) {
    let folder = tempfile::tempdir().unwrap();
    for program_type in ["Network", "FileSystem"] {
        for map in ["RingBuffer", "HashMap"] {
            for output in ["print", "counter", "gauge"] {
                let name = format!("{program_type}-{map}-{output}");
                let file = folder.path().join(format!("{name}.c"));
                let options = ["init", "--program-type", program_type, "--map", map, "--output-type", output, "--file"];
                bee().args(options).arg(&file).assert().success();
                test(&name, &file);
            }
        }
    }
}

#[test]
fn every_combination_builds_without_a_warning_of_clangs_or_ours() {
    each_combination(|name, file| {
        let object = file.with_extension("o");
        let build = bee().arg("build").arg(file).arg("--output-file").arg(&object).arg("--cflags=-Werror").assert();
        assert!(build.try_success().is_ok() && object.is_file(), "{name}");
        bee().arg("lint").arg(file).assert().success();
    });
}

#[test]
fn a_file_that_exists_is_never_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.c");
    std::fs::write(&file, "mine").unwrap();
    let options = ["init", "--program-type", "Network", "--map", "HashMap", "--output-type", "counter", "--file"];
    bee().args(options).arg(&file).assert().failure();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn without_a_terminal_every_missing_option_is_named() {
    let assert = bee().args(["init", "--map", "HashMap"]).assert().failure();
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("--program-type, --output-type, --file"), "{said}");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn every_combination_loads_and_exports() {
    each_combination(|name, file| {
        let object = file.with_extension("o");
        bee().arg("build").arg(file).arg("--output-file").arg(&object).assert().success();
        let probe = Run::start(std::process::Command::new(env!("CARGO_BIN_EXE_bee")), &object, &[]);
        Pair::of(0).connect(1, 3);
        std::fs::read("/etc/hostname").unwrap();
        let exports =
            |metrics: String| metrics.lines().any(|line| line.starts_with("ebpf_solo_io_") && line.contains('{'));
        let prints = name.ends_with("print");
        let seen = until(|| if prints { !probe.printed().is_empty() } else { exports(probe.metrics()) });
        assert!(seen, "{name} shows nothing:\n{}", probe.metrics());
    });
}

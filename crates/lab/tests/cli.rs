//! What `lab` says to bad input: one clear error, what to do, an exit code, and nothing half-done.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

mod support;

use assert_cmd::Command;
use support::lab;

#[track_caller]
fn refuses(arguments: &[&str], code: i32, words: &[&str]) {
    let world = tempfile::tempdir().unwrap();
    let kubeconfig = "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], \
                      users: [{name: u, user: {}}], contexts: [{name: mine, context: {cluster: c, user: u}}]}";
    std::fs::write(world.path().join("kubeconfig"), kubeconfig).unwrap();
    let assert = lab(world.path()).args(arguments).assert().code(code);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say {word:?}:\n{said}");
    }
    assert!(!said.contains("panicked") && !said.contains("stack backtrace"), "{said}");
}

#[test]
fn a_lab_that_does_not_exist() {
    refuses(&["lab", "7"], 2, &["the labs are 1 to 6"]);
    refuses(&["check", "4-2"], 2, &["the labs are 1 to 6"]);
}

#[test]
fn a_cluster_that_does_not_exist() {
    refuses(&["lab", "2", "--on", "mars"], 2, &["expected host, kind or context:NAME"]);
    refuses(&["lab", "2", "--number", "100"], 2, &["expected a number from 1 to 99, or auto"]);
}

#[test]
fn a_context_that_does_not_exist_or_does_not_answer() {
    refuses(&["check", "3", "--on", "context:nowhere"], 4, &["no context nowhere", "hint: it has mine"]);
    refuses(&["lab", "3", "--on", "context:mine", "--profile", "offline"], 1, &["lab 3"]);
}

#[test]
fn commands_of_a_cluster_that_is_not_there() {
    refuses(&["kubeconfig", "--number", "98"], 4, &["there is no cluster", "cargo xtask lab 2"]);
    refuses(&["query", "up", "--number", "98"], 1, &["run `cargo xtask lab 2` first"]);
    refuses(&["check", "2", "--wait", "0", "--number", "98"], 3, &["can't be reached", "fix: "]);
}

#[test]
fn programs_that_nobody_builds() {
    refuses(&["lab", "2", "--number", "98"], 1, &["nobody builds them"]);
}

#[test]
fn a_registry_that_is_none_or_is_not_there() {
    let push = |registry: &'static str| ["images", "push", registry];
    refuses(&push("http://127.0.0.1:1"), 2, &["without http://"]);
    refuses(&push("registry"), 2, &["neither a dot nor a port"]);
    refuses(&["lab", "3", "--registry", "r.example/Upper"], 2, &["is not a path in a registry"]);
    refuses(&["images", "push"], 4, &["no registry is named", "hint: cargo xtask images push HOST:PORT"]);
    refuses(&push("127.0.0.1:1"), 4, &["the registry 127.0.0.1:1 can't be reached", "refused", "hint: is it running"]);
    refuses(&["images", "push", "127.0.0.1:1", "--registry-ca", "nowhere"], 1, &["read nowhere"]);
}

#[test]
fn started_without_xtask() {
    let assert = Command::cargo_bin("lab").unwrap().arg("status").env_remove("EBPF_LAB_CHECKOUT").assert().code(1);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("start with `cargo xtask`"), "{said}");
}

#[test]
fn explain_prints_steps_and_runs_nothing() {
    let world = tempfile::tempdir().unwrap();
    let assert = lab(world.path()).args(["lab", "5", "--explain"]).assert().success();
    insta::assert_snapshot!(String::from_utf8_lossy(&assert.get_output().stdout));
    assert!(!world.path().join("state").exists(), "nothing was made");
}

#[test]
fn explained_commands_run_nothing() {
    for arguments in [&["clean"][..], &["reset", "1"], &["reset", "5"], &["traffic"], &["status"], &["images", "load"]]
    {
        let world = tempfile::tempdir().unwrap();
        let assert = lab(world.path()).args(arguments).args(["--explain", "--number", "98"]).assert().success();
        assert!(!assert.get_output().stdout.is_empty(), "{arguments:?} explains nothing");
        assert!(std::fs::read_dir(world.path()).unwrap().next().is_none(), "{arguments:?} made a file");
    }
}

//! What `lab` prints: no word of a stranger's reaches the terminal as it is, a reader may go, and a disk may be full.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

mod support;

use std::{
    fs::File,
    io::pipe,
    process::{Output, Stdio},
};

use support::lab;
use testkit::api::{ApiServer, NASTY, nasty};

/// Every command that prints what a cluster says.
const COMMANDS: [&[&str]; 10] = [
    &["lab", "3"],
    &["check", "2", "--wait", "0"],
    &["check", "3", "--wait", "0"],
    &["check", "4-6", "--wait", "0"],
    &["check", "3", "--wait", "0", "--json"],
    &["status"],
    &["status", "--json"],
    &["query", "up"],
    &["query", "up", "--json"],
    &["open"],
];
/// Those that say something on standard output.
const TELLING: [&[&str]; 9] = [
    &["check", "3", "--wait", "0", "--json"],
    &["status"],
    &["status", "--json"],
    &["query", "up"],
    &["query", "up", "--json"],
    &["open"],
    &["kubeconfig"],
    &["lab", "2-6", "--explain"],
    &["clean", "--explain"],
];

fn run(arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let (world, server) = (tempfile::tempdir().unwrap(), ApiServer::answering(nasty));
    server.kubeconfig(world.path());
    let lab = lab(world.path());
    let mut command = std::process::Command::new(lab.get_program());
    command.envs(lab.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["--on", "context:mine", "--profile", "offline", "--timeout", "2s"]).args(arguments);
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap().wait_with_output().unwrap()
}

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    pipe().unwrap().1.into()
}

#[test]
fn no_word_of_a_clusters_reaches_the_terminal_as_it_is() {
    for command in COMMANDS {
        let output = run(command, Stdio::piped(), Stdio::piped());
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let obeyed: Vec<_> = NASTY.chars().filter(|c| !c.is_ascii_graphic() && text.contains(*c)).collect();
        assert!(obeyed.is_empty(), "{command:?} passes on {obeyed:?}: {text:?}");
        assert!(text.contains("evil"), "{command:?} says nothing of the cluster's: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn a_context_is_named_without_what_a_terminal_obeys() {
    let world = tempfile::tempdir().unwrap();
    ApiServer::answering(nasty).kubeconfig(world.path());
    let output = lab(world.path()).args(["status", "--on", &format!("context:{NASTY}")]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(r"no context \u{1b}[2J") && !said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn a_reader_who_has_gone_changes_nothing() {
    for command in TELLING.iter().chain(&COMMANDS) {
        let code = run(command, Stdio::null(), Stdio::null()).status.code();
        let output = run(command, closed(), Stdio::piped());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), code, "{command:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{command:?}: {said}");
        assert_eq!(run(command, Stdio::null(), closed()).status.code(), code, "{command:?} without ears");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    for command in TELLING {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run(command, full.into(), Stdio::piped());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 3)), "{command:?}: {:?}", output.status);
        let is_told = said.contains("failed to write to standard output") || output.status.code() == Some(3);
        assert!(is_told && !said.contains("panicked"), "{command:?}: {said}");
    }
}

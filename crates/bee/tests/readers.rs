//! Whoever reads what bee prints may have seen enough, and the disk that it goes to may be full. Neither is a panic: what was asked for is
//! done all the same, and a full disk is said.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::fs::File;
use std::io::pipe;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/probe.bpf.c");

/// Each command that prints, in an order in which each finds what it needs.
const COMMANDS: [&[&str]; 18] = [
    &["--help"],
    &["run", "--help"],
    &["version"],
    &["build", SOURCE, "probe:v1", "--output-file", "probe.o"],
    &["tag", "probe:v1", "probe:v2"],
    &["list"],
    &["list", "--json"],
    &["describe", "probe:v1"],
    &["describe", "probe:v1", "--json"],
    &["inspect", "probe:v1"],
    &["inspect", "probe:v1", "--json"],
    &["inspect", "probe.o", "--mermaid"],
    &["lint", SOURCE, "--memory", "0"],
    &["lint", SOURCE, "--memory", "0", "--json"],
    &["package", "probe:v1", "runner:v1", "--output", "image.tar"],
    &["completion", "bash"],
    &["doctor"],
    &["doctor", "--json"],
];

/// The same for what there must be something to take away or to bring.
const LAST: [&[&str]; 2] = [&["import", "probes.tar"], &["rm", "probe:v1"]];

struct World(TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        world.prints(&["build", SOURCE, "probe:v1", "--output-file", "probe.o"], Stdio::piped(), Stdio::piped());
        world.prints(&["export", "probe:v1", "--output", "probes.tar"], Stdio::piped(), Stdio::piped());
        world
    }

    fn prints(&self, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
        let mut bee = Command::new(env!("CARGO_BIN_EXE_bee"));
        bee.current_dir(&self.0).env("HOME", self.0.path()).env("SOURCE_DATE_EPOCH", "86400");
        bee.args(["--storage", "store"]).args(arguments);
        bee.stdin(Stdio::null()).stdout(stdout).stderr(stderr).output().unwrap()
    }
}

fn nobody() -> Stdio {
    pipe().unwrap().1.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Every command in turn, each in the world that those before it made.
fn each(check: impl Fn(&[&str], &World)) {
    let world = World::new();
    COMMANDS.iter().chain(&LAST).for_each(|arguments| check(arguments, &world));
}

#[test]
fn a_reader_who_has_gone_changes_nothing() {
    let heard = World::new();
    each(|arguments, world| {
        let usual = heard.prints(arguments, Stdio::piped(), Stdio::piped());
        assert!(!usual.stdout.is_empty(), "{arguments:?} prints nothing");
        let output = world.prints(arguments, nobody(), Stdio::piped());
        assert_eq!((output.status, text(&output.stderr)), (usual.status, text(&usual.stderr)), "{arguments:?}");
    });
}

#[test]
fn a_full_disk_is_said() {
    each(|arguments, world| {
        let output = world.prints(arguments, full(), Stdio::piped());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert_eq!(
            last, "error: failed to write to standard output: No space left on device (os error 28)",
            "{arguments:?}"
        );
    });
}

#[test]
fn talk_that_nobody_can_hear_is_no_reason_to_end() {
    let heard = World::new();
    let deaf: [fn() -> Stdio; 2] = [nobody, full];
    for stderr in deaf {
        each(|arguments, world| {
            let usual = heard.prints(arguments, Stdio::piped(), Stdio::piped());
            let output = world.prints(arguments, Stdio::piped(), stderr());
            assert_eq!((output.status, text(&output.stdout)), (usual.status, text(&usual.stdout)), "{arguments:?}");
        });
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! README's two commands, from a fresh clone, on bare distributions: nothing is there but what README names first.
//!
//! They take as long as a newcomer's first hour, so that they run by name only: `cargo xtask test distributions`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use testkit::root::Root;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Root's own home, as rustup and git would have left it.
fn bare(suite: &str) -> Root {
    let root = Root::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("roots"), suite, &[]).with_rust();
    root.clone(&checkout(), "root/workshop");
    root
}

/// README's commands to their ends, each with what it took.
#[track_caller]
fn end_well(suite: &str, commands: &[&str]) {
    let root = bare(suite);
    let mut minutes = Vec::new();
    for command in commands {
        let started = Instant::now();
        // What the first started is there for the second, as on a machine, and goes with its process 1.
        let script = format!("cd /root/workshop && {command} && cargo xtask clean");
        let status = root.command("sh").args(["-c", &script]).status().unwrap();
        assert!(status.success(), "`{command}` on {suite}: {status}");
        minutes.push(format!("{command}: {:.1} min", started.elapsed().as_secs_f64() / 60.0));
    }
    println!("{suite}: {}", minutes.join("; "));
}

const LABS: &str = "cargo xtask lab all --install";
const TESTS: &str = "cargo xtask test --install";

#[test]
#[ignore = "needs root, Debian's archive and half an hour"]
fn the_labs_end_well_on_debian_11() {
    end_well("bullseye", &[LABS]);
}

#[test]
#[ignore = "needs root, Debian's archive and half an hour"]
fn the_labs_end_well_on_debian_12() {
    end_well("bookworm", &[LABS]);
}

#[test]
#[ignore = "needs root, Debian's archive and half an hour"]
fn the_labs_end_well_on_debian_13() {
    end_well("trixie", &[LABS]);
}

#[test]
#[ignore = "needs root, Debian's archive and an hour"]
fn both_commands_end_well_on_debian_11() {
    end_well("bullseye", &[LABS, TESTS]);
}

#[test]
#[ignore = "needs root, Debian's archive and an hour"]
fn both_commands_end_well_on_debian_12() {
    end_well("bookworm", &[LABS, TESTS]);
}

#[test]
#[ignore = "needs root, Debian's archive and an hour"]
fn both_commands_end_well_on_debian_13() {
    end_well("trixie", &[LABS, TESTS]);
}

//! An API server that takes connections and says nothing: every command ends soon, and says so.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use lab_cli::patience::stretched;
use support::lab;
use testkit::api::ApiServer;

/// For one look at the cluster, and one more for what a failed lab leaves, of 5 s each, while eight commands start side by side.
const LIMIT: Duration = Duration::from_secs(30);

const COMMANDS: [(&[&str], i32); 8] = [
    (&["check", "2", "--wait", "0s"], 3),
    (&["check", "2-6", "--wait", "0s"], 3),
    (&["check", "3", "--wait", "1s"], 3),
    (&["status"], 0),
    (&["query", "up"], 1),
    (&["traffic"], 1),
    (&["open"], 1),
    (&["reset", "5"], 1),
];

#[test]
fn a_cluster_that_hangs_is_asked_once() {
    thread::scope(|scope| {
        for (command, code) in COMMANDS {
            scope.spawn(move || ends_soon(command, code));
        }
    });
}

#[track_caller]
fn ends_soon(command: &[&str], code: i32) {
    let (server, world, started) = (ApiServer::silent(), tempfile::tempdir().unwrap(), Instant::now());
    server.kubeconfig(world.path());
    let mut lab = lab(world.path());
    let output = lab.args(["--on", "context:mine", "--profile", "offline"]).args(command).output().unwrap();
    let (took, said) = (started.elapsed(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    assert!(code == 0 || said.contains("the API server does not answer"), "{command:?}: {said}");
    assert!(stretched(LIMIT) > took, "{command:?} took {took:?}: {said}");
}

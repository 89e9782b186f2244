//! The workshop's probes in this machine's kernel: every connection counts once, in every map.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

#[path = "support/probe.rs"]
mod probe;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use probe::{Run, connect_pair, pair, until};

/// A probe of the workshop, built into a folder of the test's.
fn build(folder: &Path, source: &str) -> PathBuf {
    let object = folder.join(source).with_extension("o");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(source);
    let mut bee = Command::cargo_bin("bee").unwrap();
    bee.arg("build").arg(source).arg("--output-file").arg(&object).assert().success();
    object
}

#[test]
fn the_workshops_probes_build_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    for source in ["probe.bpf.c", "tcpconnect.bpf.c"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(source);
        let mut bee = Command::cargo_bin("bee").unwrap();
        bee.arg("build")
            .arg(file)
            .arg("--output-file")
            .arg(folder.path().join("x.o"))
            .arg("--cflags=-Werror")
            .assert()
            .success();
    }
}

#[test]
#[ignore = "needs root (loads probes)"]
fn n_connections_are_n_in_the_hash_and_n_in_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(&build(folder.path(), "tcpconnect.bpf.c"));
    for (number, threads, each) in [(1, 1, 1), (2, 1, 100), (3, 8, 625)] {
        let (source, target) = pair(number);
        connect_pair(source, target, threads, each);
        let labels = [format!("saddr=\"{source}\""), format!("daddr=\"{target}\"")];
        let labels = labels.each_ref().map(String::as_str);
        let made = (threads * each) as u64;
        let seen = || (run.value("events_hash", &labels), run.value("events_ring", &labels));
        until(|| seen() == (made, made));
        // Nothing comes after: more than was made would be as wrong as less.
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(seen(), (made, made));
    }
    assert!(run.metrics().contains("bee_events_lost_total{map=\"events_ring\"} 0"));
}

#[test]
#[ignore = "needs root (loads probes)"]
fn n_connections_are_n_printed_events() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(&build(folder.path(), "probe.bpf.c"));
    let (source, target) = pair(4);
    connect_pair(source, target, 8, 625);
    let label = format!("daddr=\"{target}\"");
    assert!(until(|| run.value("connections", &[&label]) == 5000));
    let ends = [format!("\"saddr\":\"{source}\""), format!("\"daddr\":\"{target}\"")];
    let output = run.stop();
    assert_eq!(output.lines().filter(|line| ends.iter().all(|end| line.contains(end))).count(), 5000);
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_connect_that_fails_before_its_syn_counts_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(&build(folder.path(), "tcpconnect.bpf.c"));
    let (source, target) = pair(5);
    let listener = std::net::TcpListener::bind((target, 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The second of two connects from one address and port to one other finds its ports in use, after the kernel has said SYN_SENT.
    let results = runtime.block_on(async {
        let socket = || {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(std::net::SocketAddrV4::new(source, 41_999).into()).unwrap();
            socket
        };
        let (first, second) = (socket(), socket());
        let first = first.connect(to).await;
        (first, second.connect(to).await)
    });
    assert!(results.0.is_ok() && results.1.is_err(), "{results:?}");
    let labels = [format!("saddr=\"{source}\""), format!("daddr=\"{target}\"")];
    let labels = labels.each_ref().map(String::as_str);
    assert!(until(|| run.value("events_hash", &labels) == 1));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!((run.value("events_hash", &labels), run.value("events_ring", &labels)), (1, 1));
}

#[test]
#[ignore = "needs root (loads probes)"]
fn what_was_shown_is_detached_when_bee_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(folder.path(), "tcpconnect.bpf.c");
    drop(Run::start(&object));
    // A second run finds nothing in its way: no port, no pin, no program.
    let run = Run::start(&object);
    assert!(run.stop().is_empty(), "counted maps are not printed");
}

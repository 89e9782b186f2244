//! The workshop's probes in this machine's kernel: every connection counts once, in every map.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionKind};
use testkit::{
    connections::{OVER_IPV6, Pair, connect_over_ipv6},
    probe::{Run, until},
};

/// A probe of the workshop, built into a folder of the test's.
fn build(folder: &Path, source: &str) -> PathBuf {
    let object = folder.join(source).with_extension("o");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../probes").join(source);
    let mut bee = Command::cargo_bin("bee").unwrap();
    bee.arg("build").arg(source).arg("--output-file").arg(&object).assert().success();
    object
}

/// `bee run` of an object.
fn run(object: &Path) -> Run {
    Run::start(std::process::Command::new(env!("CARGO_BIN_EXE_bee")), object, &[])
}

#[test]
fn the_workshops_probes_build_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    for source in ["probe.bpf.c", "tcpconnect.bpf.c"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../probes").join(source);
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

/// Of cilium/ebpf 0.10, which BumbleBee loads with: it takes no other section of variables, and no weak symbol.
#[test]
fn what_the_workshops_probes_refer_to_is_what_bumblebees_loader_knows() {
    let folder = tempfile::tempdir().unwrap();
    for source in ["probe.bpf.c", "tcpconnect.bpf.c"] {
        let bytes = std::fs::read(build(folder.path(), source)).unwrap();
        let elf = object::File::parse(bytes.as_slice()).unwrap();
        let programs = elf.sections().filter(|section| section.kind() == SectionKind::Text);
        let targets = programs.flat_map(|program| program.relocations().map(|(_, relocation)| relocation.target()));
        let symbols = targets.filter_map(|target| match target {
            RelocationTarget::Symbol(index) => elf.symbol_by_index(index).ok(),
            _ => None,
        });
        let sections: BTreeSet<_> = symbols
            .map(|symbol| {
                assert!(!symbol.is_weak(), "{source}: {:?}", symbol.name());
                elf.section_by_index(symbol.section_index().unwrap()).unwrap().name().unwrap().to_owned()
            })
            .collect();
        let known =
            |name: &String| [".bss", ".data", ".rodata", ".text"].contains(&name.as_str()) || name.starts_with(".maps");
        assert!(sections.len() > 1 && sections.iter().all(known), "{source}: {sections:?}");
    }
}

#[test]
#[ignore = "needs root (loads probes)"]
fn n_connections_are_n_in_the_hash_and_n_in_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&build(folder.path(), "tcpconnect.bpf.c"));
    for (number, threads, each) in [(1, 1, 1), (2, 1, 100), (3, 8, 625)] {
        let (pair, made) = (Pair::of(number), (threads * each) as u64);
        pair.connect(threads, each);
        let counts = run.counts(pair);
        assert!(counts.are(made), "{made} connections: {counts:?}");
    }
    assert!(run.metrics().contains("bee_events_lost_total{map=\"events_ring\"} 0"));
}

#[test]
#[ignore = "needs root (loads probes)"]
fn n_connections_are_n_printed_events() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&build(folder.path(), "probe.bpf.c"));
    let pair = Pair::of(4);
    let Pair { source, target } = pair;
    pair.connect(8, 625);
    let label = format!("daddr=\"{target}\"");
    let counted = || run.value("connections", &[&label]);
    assert!(until(|| counted() >= 5000), "{} counted", counted());
    let ends = [format!("\"saddr\":\"{source}\""), format!("\"daddr\":\"{target}\"")];
    let output = run.stop();
    assert_eq!(output.lines().filter(|line| ends.iter().all(|end| line.contains(end))).count(), 5000);
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a5_30_a_connect_that_fails_before_its_syn_counts_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&build(folder.path(), "tcpconnect.bpf.c"));
    let pair = Pair::of(5);
    pair.connect_twice_from_one_port();
    let counts = run.counts(pair);
    assert!(counts.are(1), "1 connection and 1 that fails: {counts:?}");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn what_goes_over_ipv4_counts_whatever_the_socket_and_what_goes_over_ipv6_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&build(folder.path(), "tcpconnect.bpf.c"));
    let pair = Pair::of(6);
    pair.connect_mapped();
    let counts = run.counts(pair);
    assert!(counts.are(1), "1 connection of an IPv6 socket over IPv4: {counts:?}");
    connect_over_ipv6();
    let counts = run.counts(OVER_IPV6);
    assert!(counts.are(0), "1 connection over IPv6: {counts:?}");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn series_beyond_the_most_are_added_up_in_one_and_the_sum_stays_right() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(folder.path(), "tcpconnect.bpf.c");
    let run = Run::start(std::process::Command::new(env!("CARGO_BIN_EXE_bee")), &object, &["--max-series", "3"]);
    (10..30).for_each(|number| Pair::of(number).connect(1, 2));
    for map in ["events_hash", "events_ring"] {
        let metrics = run.metrics();
        let ours: Vec<_> = metrics.lines().filter(|line| line.starts_with(&format!("ebpf_solo_io_{map}{{"))).collect();
        assert_eq!(ours.len(), 4, "{ours:?}");
        // The scrapes of other tests may be among them.
        assert!(until(|| run.sum(map) >= 40), "{}", run.sum(map));
        assert!(run.value(map, &["daddr=\"overflow\"", "saddr=\"overflow\""]) >= 32);
    }
    assert!(run.own("bee_series_left_out", "events_hash") >= 17, "elements");
    assert!(run.own("bee_series_left_out", "events_ring") >= 32, "events");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn what_was_shown_is_detached_when_bee_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let object = build(folder.path(), "tcpconnect.bpf.c");
    drop(run(&object));
    // A second run finds nothing in its way: no port, no pin, no program.
    let run = run(&object);
    assert!(run.stop().is_empty(), "counted maps are not printed");
}

/// Waking a reader costs whoever made the event more than all that the probe does besides.
#[test]
#[ignore = "needs root (loads probes)"]
fn who_connects_wakes_bee_only_where_it_waits() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&build(folder.path(), "tcpconnect.bpf.c"));
    assert!(until(|| rests(run.id()) == Some(0)), "nothing has come for a while: it waits to be woken");
    let busy = || {
        Pair::of(7).connect(1, 1);
        rests(run.id()) == Some(1)
    };
    assert!(until(busy), "events come: it looks by itself");
    assert!(until(|| rests(run.id()) == Some(0)), "nothing comes any more");
}

/// What a running bee tells its probe.
fn rests(process: u32) -> Option<u32> {
    let entries = std::fs::read_dir(format!("/proc/{process}/fdinfo")).unwrap().flatten();
    let info = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let ids = info.filter_map(|info| info.lines().find_map(|line| line.strip_prefix("map_id:")?.trim().parse().ok()));
    let map = ids.filter_map(|id| MapHandle::from_map_id(id).ok()).find(|map| map.name() == "bee.data")?;
    let value = map.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok()??;
    Some(u32::from_ne_bytes(value.try_into().ok()?))
}

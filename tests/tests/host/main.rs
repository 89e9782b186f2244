//! The labs on real clusters of this machine, in order: the six labs, each check with its lab broken on purpose, what a
//! good neighbour leaves alone, recovery, a cluster that is not ours, the upstream profile, and nodes that pull our images.
//!
//! The trials of a group share a cluster and stand in an order that makes sense to a reader; so they run one at a time
//! (`--test-threads=1`), and a group's cluster goes when its last trial is done.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

mod broken;
mod context;
mod labs;
mod neighbour;
mod recovery;
mod registry;
mod upstream;

use std::panic::AssertUnwindSafe;

use end_to_end::TestCluster;
use libtest_mimic::{Arguments, Failed, Trial};

/// A trial on a group's cluster.
type Scene = fn(&TestCluster);

fn main() {
    let arguments = Arguments::from_args();
    let groups = [
        group("labs", 21, labs::SCENES),
        group("broken", 21, broken::SCENES),
        group("context", 21, context::SCENES),
        group("recovery", 22, recovery::SCENES),
        group("neighbour", 23, neighbour::SCENES),
        group("upstream", 51, upstream::SCENES),
        group("registry", 61, registry::SCENES),
    ];
    let conclusion = libtest_mimic::run(&arguments, groups.into_iter().flatten().collect());
    if arguments.ignored && std::env::var_os("EBPF_LAB_KEEP").is_none() {
        for number in [21, 22, 23, 51, 61] {
            TestCluster::of(number).lab(&["clean"]);
        }
    }
    conclusion.exit();
}

/// The trials of one group, marked as needing root.
fn group(name: &'static str, number: u8, scenes: &'static [(&'static str, Scene)]) -> Vec<Trial> {
    let trial = |&(title, scene): &(&'static str, Scene)| {
        let run = move || run(number, scene);
        Trial::test(format!("{name}::{title}"), run).with_kind("needs root (starts clusters)").with_ignored_flag(true)
    };
    scenes.iter().map(trial).collect()
}

fn run(number: u8, scene: Scene) -> Result<(), Failed> {
    let cluster = TestCluster::of(number);
    std::panic::catch_unwind(AssertUnwindSafe(|| scene(&cluster))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Failed::from(text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default())
    })
}

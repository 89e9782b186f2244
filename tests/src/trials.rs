//! Scenes as trials of a harness: named, marked as needing root, run one after the other on a cluster that they share.

use std::panic::AssertUnwindSafe;

use libtest_mimic::{Failed, Trial};

use crate::TestCluster;

/// A trial on a group's cluster.
pub type Scene = fn(&TestCluster);

/// The trials of one group.
pub fn group(name: &str, cluster: fn() -> TestCluster, scenes: &'static [(&'static str, Scene)]) -> Vec<Trial> {
    let trial = |&(title, scene): &(&'static str, Scene)| {
        let run = move || run(cluster, scene);
        Trial::test(format!("{name}::{title}"), run).with_kind("needs root (starts clusters)").with_ignored_flag(true)
    };
    scenes.iter().map(trial).collect()
}

fn run(cluster: fn() -> TestCluster, scene: Scene) -> Result<(), Failed> {
    std::panic::catch_unwind(AssertUnwindSafe(|| scene(&cluster()))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Failed::from(text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default())
    })
}

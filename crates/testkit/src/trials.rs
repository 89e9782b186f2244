//! Scenes as trials of a harness: named, marked as needing root, run one after the other on a cluster that they share.

use std::{env, panic::AssertUnwindSafe, time::Instant};

use libtest_mimic::{Failed, Trial};

use crate::TestCluster;

/// A trial on a group's cluster.
pub type Scene = fn(&TestCluster);

/// The trials of one group.
pub fn group(name: &str, cluster: fn() -> TestCluster, scenes: &'static [(&'static str, Scene)]) -> Vec<Trial> {
    let trial = |&(title, scene): &(&'static str, Scene)| {
        let name = format!("{name}::{title}");
        let timed = name.clone();
        let run = move || {
            let start = Instant::now();
            let outcome = run(cluster, scene);
            // Where a suite's minutes go.
            eprintln!("{timed}: {:.1} s", start.elapsed().as_secs_f64());
            outcome
        };
        Trial::test(name, run).with_kind("needs root (starts clusters)").with_ignored_flag(true)
    };
    scenes.iter().map(trial).collect()
}

/// A last group of one: its cluster goes, so that a suite holds few at a time. Of memory and inotify instances, a machine has not enough
/// for all of them.
pub fn end(name: &str, cluster: fn() -> TestCluster) -> Vec<Trial> {
    group(name, cluster, &[("clean_removes_the_cluster", clean)])
}

fn clean(cluster: &TestCluster) {
    if env::var_os("EBPF_LAB_KEEP").is_none() {
        cluster.lab(&["clean"]).succeeds();
    }
}

fn run(cluster: fn() -> TestCluster, scene: Scene) -> Result<(), Failed> {
    std::panic::catch_unwind(AssertUnwindSafe(|| scene(&cluster()))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Failed::from(text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default())
    })
}

//! The labs on real clusters of this machine, in order: the six labs, each check with its lab broken on purpose, what a good
//! neighbour leaves alone, recovery, a machine like NixOS, one behind a proxy, odd umasks, two users, a cluster that is not ours, the upstream profile, and
//! nodes that pull our images.
//!
//! The trials of a group share a cluster and stand in an order that makes sense to a reader; so they run one at a time
//! (`--test-threads=1`), and a group's cluster goes when its last trial is done.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

mod answers;
mod context;
mod inotify;
mod modes;
mod neighbour;
mod nixos;
mod owners;
mod pods;
mod proxies;
mod recovery;
mod registry;
mod strangers;
mod upstream;

use libtest_mimic::Arguments;
use testkit::{
    Scene, TestCluster,
    scenes::{broken, labs},
    trials::{end, group},
};

fn main() {
    let arguments = Arguments::from_args();
    let groups = [
        group("labs", || TestCluster::of(21), labs::FIRST),
        group("labs", || TestCluster::of(21), labs::SCENES),
        group("labs", || TestCluster::of(21), pods::SCENES),
        group("labs", || TestCluster::of(21), inotify::FIRST),
        group("broken", || TestCluster::of(21), broken::SCENES),
        group("context", || TestCluster::of(21), context::SCENES),
        end("labs", || TestCluster::of(21)),
        group("recovery", || TestCluster::of(22), recovery::SCENES),
        end("recovery", || TestCluster::of(22)),
        group("neighbour", || TestCluster::of(23), neighbour::SCENES),
        end("neighbour", || TestCluster::of(23)),
        group("nixos", || TestCluster::of(24), nixos::SCENES),
        end("nixos", || TestCluster::of(24)),
        group("modes", || TestCluster::of(32), modes::SCENES),
        group("inotify", || TestCluster::of(32), inotify::SCENES),
        group("answers", || TestCluster::of(32), answers::SCENES),
        end("answers", || TestCluster::of(32)),
        group("owners", || TestCluster::of(33), owners::SCENES),
        group("strangers", || TestCluster::of(33), strangers::SCENES),
        end("strangers", || TestCluster::of(33)),
        group("proxies", || TestCluster::of(31), proxies::SCENES),
        end("proxies", || TestCluster::of(31)),
        group("upstream", || TestCluster::of(51), upstream::SCENES),
        end("upstream", || TestCluster::of(51)),
        group("registry", || TestCluster::of(61), registry::SCENES),
    ];
    let conclusion = libtest_mimic::run(&arguments, groups.into_iter().flatten().collect());
    if arguments.ignored && std::env::var_os("EBPF_LAB_KEEP").is_none() {
        for number in [21, 22, 23, 24, 31, 32, 33, 51, 61] {
            TestCluster::of(number).lab(&["clean"]);
        }
    }
    conclusion.exit();
}

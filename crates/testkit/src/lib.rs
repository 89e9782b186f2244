//! What tests of several packages share: a workshop on a cluster of its own, driven through the programs a user would call; a
//! probe that runs and connections for it to see; what a virtual machine reports.
//!
//! The labs' tests need what `cargo xtask test` builds and hands on in `EBPF_LAB_*`; each file takes a cluster number of its own,
//! none of them 1, so that a student's cluster on the same machine is left alone.
//!
//! A slow machine makes them slow, never red. To see it, take most of the processors away:
//! `systemd-run --scope -p CPUQuota=50% cargo xtask test`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

pub mod api;
pub mod called;
pub mod chart;
pub mod cluster;
pub mod connections;
pub mod debootstrap;
pub mod exhibits;
pub mod figures;
pub mod findings;
pub mod forged;
pub mod forward;
pub mod kind;
pub mod machine;
pub mod measured;
pub mod pins;
pub mod pods;
pub mod probe;
pub mod program;
pub mod recorded;
pub mod registry;
pub mod root;
pub mod scenes;
pub mod tokens;
pub mod trials;

pub use cluster::{Run, TestCluster};
pub use program::program;
pub use registry::TestRegistry;
pub use trials::Scene;

use std::{thread, time::Duration};

use lab_cli::Patience;

/// Between two looks.
const REST: Duration = Duration::from_millis(50);

/// Whether a condition comes to hold within this time of a quick machine; on a slow one it has longer. No test has another deadline.
pub fn until(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let mut patience = Patience::of(time);
    loop {
        // What holds only when the time is up is seen, too.
        let is_last = patience.is_over();
        if holds() {
            return true;
        }
        if is_last {
            return false;
        }
        thread::sleep(REST);
    }
}

/// Lets so much time of a quick machine pass: for what must not come.
pub fn rest(time: Duration) {
    until(time, || false);
}

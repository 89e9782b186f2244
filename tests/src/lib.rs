//! What tests of several packages share: a workshop on a cluster of its own, driven through the programs a user would call; a
//! probe that runs and connections for it to see; what a virtual machine reports.
//!
//! The labs' tests need what `cargo xtask test` builds and hands on in `EBPF_LAB_*`; each file takes a cluster number of its own,
//! none of them 1, so that a student's cluster on the same machine is left alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

pub mod chart;
pub mod cluster;
pub mod connections;
pub mod exhibits;
pub mod figures;
pub mod findings;
pub mod kind;
pub mod machine;
pub mod probe;
pub mod program;
pub mod registry;
pub mod root;
pub mod scenes;
pub mod tokens;
pub mod trials;

pub use cluster::{Run, TestCluster};
pub use program::program;
pub use registry::TestRegistry;
pub use trials::Scene;

use std::time::{Duration, Instant};

/// Whether a condition comes to hold within this time.
pub fn until(timeout: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    false
}

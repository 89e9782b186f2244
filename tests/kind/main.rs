//! The labs on real kind, in order: the same scenes as on the host cluster, and what is kind's own.
//!
//! They bring a Docker engine and an image of nodes of their own, without any registry; `cargo xtask test` skips all of it where what
//! makes them is absent. Every image of ours comes into the nodes by `kind load image-archive`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

mod compare;
mod mirror;
mod ownership;
mod recovery;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libtest_mimic::Arguments;
use testkit::{
    TestCluster,
    kind::KindNode,
    scenes::{broken, labs},
    trials::group,
};

/// The numbers of this file's clusters, one on kind, one on the host to compare with.
const KIND: u8 = 41;
const HOST: u8 = 42;

static NODE: OnceLock<Mutex<Option<KindNode>>> = OnceLock::new();

/// The engine and the image of nodes, started when they are first asked for.
fn node() -> MutexGuard<'static, Option<KindNode>> {
    let mut node = NODE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if node.is_none() {
        let started = KindNode::start(TestCluster::of(KIND).paths());
        // A run that was killed left its cluster.
        TestCluster::on_kind(KIND, &started).lab(&["clean"]);
        *node = Some(started);
    }
    node
}

/// Asks docker of the tests' own engine.
fn docker(args: &[&str]) -> String {
    node().as_ref().expect("the engine is started").docker(args)
}

fn kind() -> TestCluster {
    TestCluster::on_kind(KIND, node().as_ref().expect("the engine is started"))
}

/// It running: only then its network has an address by which the nodes find this machine.
fn running() -> TestCluster {
    kind().lab(&["lab", "2"]).succeeds();
    kind()
}

fn host() -> TestCluster {
    TestCluster::of(HOST)
}

fn main() {
    let arguments = Arguments::from_args();
    let groups = [
        group("compare", host, compare::HOST),
        group("ownership", kind, ownership::FIRST),
        group("labs", kind, recovery::FIRST),
        group("labs", kind, labs::SCENES),
        group("broken", kind, broken::SCENES),
        group("mirror", running, mirror::SCENES),
        group("recovery", kind, recovery::SCENES),
        group("compare", kind, compare::SCENES),
        group("ownership", kind, ownership::LAST),
    ];
    let conclusion = libtest_mimic::run(&arguments, groups.into_iter().flatten().collect());
    let started = NODE.get().and_then(|node| node.lock().unwrap_or_else(PoisonError::into_inner).take());
    if let Some(node) = started {
        if std::env::var_os("EBPF_LAB_KEEP").is_some() {
            std::mem::forget(node);
        } else {
            TestCluster::on_kind(KIND, &node).lab(&["clean"]);
            host().lab(&["clean"]);
        }
    }
    conclusion.exit();
}

//! `lab 2` and `clean` killed at moments that a seed chooses: between two writes, not only between two calls.
//!
//! `EBPF_LAB_SEED=N` repeats a run.

use std::{
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use testkit::{Scene, TestCluster, rest};

use crate::killed::left;

pub const SCENES: &[(&str, Scene)] = &[("killed_at_moments_of_a_seed_it_finishes_when_run_again", seeded)];

/// How often, and within which time of a cluster's start or end.
const TRIES: usize = 20;
const START: u64 = 9_000;
const END: u64 = 1_500;

fn seeded(cluster: &TestCluster) {
    let mut random = Random(seed());
    for _ in 0..TRIES {
        kill(cluster, &["lab", "2"], random.below(START));
        if random.below(2) == 0 {
            kill(cluster, &["lab", "2"], random.below(START));
        }
        if random.below(3) == 0 {
            kill(cluster, &["clean"], random.below(END));
            cluster.lab(&["clean"]).succeeds();
            assert!(left(cluster.number).is_empty(), "{:?}", left(cluster.number));
        }
        cluster.lab(&["lab", "2"]).succeeds();
        cluster.passes("2", "30s");
    }
    cluster.lab(&["clean"]).succeeds();
    assert!(left(cluster.number).is_empty(), "{:?}", left(cluster.number));
}

fn kill(cluster: &TestCluster, args: &[&str], after: u64) {
    eprintln!("{args:?}, killed after {after} ms");
    let mut lab = cluster.command(args).stderr(Stdio::null()).spawn().unwrap();
    rest(Duration::from_millis(after));
    lab.kill().unwrap();
    lab.wait().unwrap();
}

fn seed() -> u64 {
    let given = std::env::var("EBPF_LAB_SEED").ok().map(|seed| seed.parse().expect("EBPF_LAB_SEED is a number"));
    let seed = given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
    eprintln!("EBPF_LAB_SEED={seed}");
    seed
}

/// Numbers that a seed fixes: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

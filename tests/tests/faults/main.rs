//! What can go wrong is made to go wrong, one thing at a time, on clusters of this suite's own (`cargo xtask test faults`): a
//! command is killed at each call of another program, links and addresses are changed, components end and are damaged. After each:
//! `lab 2` finishes, its checks are green, and `clean` leaves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

mod killed;
mod moments;

use end_to_end::{TestCluster, trials::group};
use libtest_mimic::Arguments;

fn main() {
    let arguments = Arguments::from_args();
    let groups = [
        group("killed", || TestCluster::of(26), killed::SCENES),
        group("moments", || TestCluster::of(26), moments::SCENES),
    ];
    let conclusion = libtest_mimic::run(&arguments, groups.into_iter().flatten().collect());
    if arguments.ignored && std::env::var_os("EBPF_LAB_KEEP").is_none() {
        TestCluster::of(26).lab(&["clean"]);
    }
    conclusion.exit();
}

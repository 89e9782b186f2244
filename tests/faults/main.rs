//! `lab 2` and `clean`, killed: at each call of `ip`, and at moments that a seed chooses (`cargo xtask test faults`). Run again, each
//! must finish; then `lab 2`'s checks are green, or `clean` has left nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

mod killed;
mod moments;

use libtest_mimic::Arguments;
use testkit::{TestCluster, trials::group};

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

//! What the workshop's probe costs whoever connects, by the kernel's own account of run times.

use std::{fs, process::Command};

use end_to_end::{connections::Pair, probe::Run};
use libbpf_rs::query::ProgInfoIter;

use crate::{
    Setup,
    figure::{Asked, Figure},
};

const THREADS: usize = 2;
const EACH: usize = 5000;
const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

pub fn measure(setup: &Setup) -> Vec<Figure> {
    let before = fs::read_to_string(SWITCH).expect("read whether the kernel takes times");
    fs::write(SWITCH, "1").expect("let the kernel take times");
    let run = Run::start(Command::new(&setup.bee), &setup.tcpconnect, &[]);
    Pair::of(90).connect(THREADS, EACH);
    let (nanoseconds, runs) = used();
    drop(run);
    fs::write(SWITCH, before).expect("leave it as it was");
    let connections = (THREADS * EACH) as f64;
    vec![
        Figure::new("tcpconnect, a connection", nanoseconds as f64 / connections, "ns", Asked::AtMost(300.0)),
        Figure::new("tcpconnect, runs a connection", runs as f64 / connections, "", Asked::Nothing),
    ]
}

/// Of the probe's programs: their run time, and how often they ran.
fn used() -> (u64, u64) {
    let ours = ProgInfoIter::default().filter(|program| program.name.to_string_lossy().starts_with("connect___"));
    ours.fold((0, 0), |(time, runs), program| (time + program.run_time_ns, runs + program.run_cnt))
}

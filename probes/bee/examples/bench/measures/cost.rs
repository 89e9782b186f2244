//! What the workshop's probe costs whoever connects, by the kernel's own account of run times, in each variant that this kernel has.
//! With it comes what the kernel takes to call a program and to take its time, also when there is nothing to count: an empty program
//! beside it says how much that is.

use std::{fs, process::Command};

use end_to_end::{
    connections::Pair,
    probe::{Run, until},
};
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
    let variants = ["kprobe", "sockops", "tp_btf"];
    let figures: Vec<_> = variants.iter().filter_map(|variant| cost_of(setup, variant)).collect();
    fs::write(SWITCH, before).expect("leave it as it was");
    let [taken, ..] = figures.as_slice() else { panic!("no variant of the probe runs here") };
    let asked = Figure::new("tcpconnect as it runs here, a connection", taken.own, "ns", Asked::AtMost(300.0));
    figures.iter().flat_map(Cost::figures).chain([asked]).collect()
}

/// What one variant costs, in nanoseconds and runs a connection; both its ends are on this machine.
struct Cost {
    variant: &'static str,
    floor: f64,
    runs: f64,
    whole: f64,
    own: f64,
}

impl Cost {
    fn figures(&self) -> [Figure; 4] {
        let figure =
            |what: &str, value, unit| Figure::new(format!("{} {what}", self.variant), value, unit, Asked::Nothing);
        [
            figure("an empty program, a run", self.floor, "ns"),
            figure("tcpconnect, runs a connection", self.runs, ""),
            figure("tcpconnect, a connection", self.whole, "ns"),
            figure("tcpconnect, a connection, beyond empty programs", self.own, "ns"),
        ]
    }
}

/// `None` if this kernel does not have the variant.
fn cost_of(setup: &Setup, variant: &'static str) -> Option<Cost> {
    let run = |object| Run::try_start(Command::new(&setup.bee), object, &["--variant", variant]).ok();
    let running = (run(&setup.empty)?, run(&setup.tcpconnect)?);
    Pair::of(90).connect(THREADS, EACH);
    let (probe, empty) = (Used::of("connect___"), Used::of("empty___"));
    drop(running);
    assert!(until(|| Used::of("connect___").runs == 0.0), "the probe is still there");
    let connections = (THREADS * EACH) as f64;
    let floor = empty.nanoseconds / empty.runs;
    let own = (probe.nanoseconds - floor * probe.runs) / connections;
    Some(Cost { variant, floor, runs: probe.runs / connections, whole: probe.nanoseconds / connections, own })
}

/// By the kernel's account of the programs whose names begin so.
struct Used {
    nanoseconds: f64,
    runs: f64,
}

impl Used {
    fn of(begin: &str) -> Self {
        let ours = ProgInfoIter::default().filter(|program| program.name.to_string_lossy().starts_with(begin));
        let (nanoseconds, runs) =
            ours.fold((0, 0), |(time, runs), program| (time + program.run_time_ns, runs + program.run_cnt));
        Self { nanoseconds: nanoseconds as f64, runs: runs as f64 }
    }
}

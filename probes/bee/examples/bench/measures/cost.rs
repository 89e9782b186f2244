//! What the workshop's probe costs whoever connects, by the kernel's own account of run times. With it comes what the kernel takes to
//! call a program and to take its time, at every change of a connection's state: an empty program beside it says how much that is.

use std::{fs, process::Command};

use end_to_end::{connections::Pair, probe::Run};
use libbpf_rs::{ObjectBuilder, query::ProgInfoIter};

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
    let run = Run::start(Command::new(&setup.bee), &setup.tcpconnect, &["--variant", "tp_btf"]);
    let empty = ObjectBuilder::default().open_file(&setup.empty).and_then(|open| open.load()).unwrap();
    let link = empty.progs_mut().next().unwrap().attach().unwrap();
    Pair::of(90).connect(THREADS, EACH);
    let (probe, empty) = (Used::of("connect___"), Used::of("empty"));
    drop((run, link));
    fs::write(SWITCH, before).expect("leave it as it was");
    let connections = (THREADS * EACH) as f64;
    let floor = empty.nanoseconds / empty.runs;
    let own = (probe.nanoseconds - floor * probe.runs) / connections;
    vec![
        Figure::new("an empty program, a run", floor, "ns", Asked::Nothing),
        Figure::new("tcpconnect, runs a connection (both ends are here)", probe.runs / connections, "", Asked::Nothing),
        Figure::new("tcpconnect, a connection", probe.nanoseconds / connections, "ns", Asked::Nothing),
        Figure::new("tcpconnect, a connection, beyond empty programs", own, "ns", Asked::AtMost(300.0)),
    ]
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

//! What the workshop's probe costs whoever connects, by the kernel's own account of run times, in each variant that this kernel has.
//! With it comes what the kernel takes to call a program and to take its time, also when there is nothing to count: an empty program
//! beside it says how much that is.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use testkit::{
    connections::Pair,
    probe::{Run, until},
};

use crate::{
    Setup,
    figure::{Asked, Figure},
};

const THREADS: usize = 2;
const EACH: usize = 5000;
const CONNECTIONS: f64 = (THREADS * EACH) as f64;
/// Connections that come one by one, each with time enough for a reader to have taken the one before.
const SPARSE: usize = 500;
const PAUSE: Duration = Duration::from_millis(2);
/// The connections that are opened, by the addresses of their ends.
const COUNT: &str = "tracepoint:sock:inet_sock_set_state /args->oldstate == 2 && args->family == 2/ \
                     { @[ntop(args->saddr), ntop(args->daddr)] = count(); }";
const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

pub fn measure(setup: &Setup) -> Vec<Figure> {
    let before = fs::read_to_string(SWITCH).expect("read whether the kernel takes times");
    fs::write(SWITCH, "1").expect("let the kernel take times");
    let variants = ["kprobe", "sockops", "tp_btf"];
    let figures: Vec<_> = variants.iter().filter_map(|variant| cost_of(setup, variant)).collect();
    let theirs = bpftrace();
    fs::write(SWITCH, before).expect("leave it as it was");
    let [taken, ..] = figures.as_slice() else { panic!("no variant of the probe runs here") };
    let asked = Figure::new("tcpconnect as it runs here, a connection", taken.own, "ns", Asked::AtMost(300.0));
    figures.iter().flat_map(Cost::figures).chain([asked]).chain(theirs).collect()
}

/// What one variant costs, in nanoseconds and runs a connection; both its ends are on this machine.
struct Cost {
    variant: &'static str,
    floor: f64,
    runs: f64,
    whole: f64,
    own: f64,
    own_if_sparse: f64,
}

impl Cost {
    fn figures(&self) -> [Figure; 5] {
        let figure =
            |what: &str, value, unit| Figure::new(format!("{} {what}", self.variant), value, unit, Asked::Nothing);
        [
            figure("an empty program, a run", self.floor, "ns"),
            figure("tcpconnect, runs a connection", self.runs, ""),
            figure("tcpconnect, a connection", self.whole, "ns"),
            figure("tcpconnect, a connection, beyond empty programs", self.own, "ns"),
            figure("tcpconnect, one of 500 a second, beyond empty programs", self.own_if_sparse, "ns"),
        ]
    }
}

/// `None` if this kernel does not have the variant.
fn cost_of(setup: &Setup, variant: &'static str) -> Option<Cost> {
    let run = |object| Run::try_start(Command::new(&setup.bee), object, &["--variant", variant]).ok();
    let (empty, probe) = (run(&setup.empty)?, run(&setup.tcpconnect)?);
    Pair::of(90).connect(THREADS, EACH);
    let (floor, many) = (Used::by(empty.id()).a_run(), Used::by(probe.id()));
    for _ in 0..SPARSE {
        Pair::of(90).connect(1, 1);
        thread::sleep(PAUSE);
    }
    let sparse = Used::by(probe.id()).since(&many);
    Some(Cost {
        variant,
        floor,
        runs: many.runs / CONNECTIONS,
        whole: many.nanoseconds / CONNECTIONS,
        own: many.beyond(floor) / CONNECTIONS,
        own_if_sparse: sparse.beyond(floor) / SPARSE as f64,
    })
}

/// The same count by bpftrace, where it is installed. Debian's looks for tracepoints below debugfs alone: it gets that in a mount
/// namespace of its own.
fn bpftrace() -> Option<Figure> {
    let script = format!(
        "mount -t debugfs none /sys/kernel/debug && mount -t tracefs none /sys/kernel/debug/tracing; exec bpftrace -e '{COUNT}'"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let runs = until(|| child.try_wait().is_ok_and(|ended| ended.is_some()) || Used::by(child.id()).programs > 0);
    let counts = runs && child.try_wait().is_ok_and(|ended| ended.is_none());
    Pair::of(91).connect(THREADS, EACH);
    let used = Used::by(child.id());
    let _ = child.kill();
    let _ = child.wait();
    let figure = || Figure::new("bpftrace, a connection", used.nanoseconds / CONNECTIONS, "ns", Asked::Nothing);
    (counts && used.runs >= CONNECTIONS).then(figure)
}

/// By the kernel's account of the programs that a process has open.
struct Used {
    programs: usize,
    nanoseconds: f64,
    runs: f64,
}

impl Used {
    fn by(process: u32) -> Self {
        let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).into_iter().flatten().flatten();
        let infos: Vec<_> = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect();
        let programs = infos.iter().filter(|info| info.contains("prog_type:"));
        // Each program once, however often it is open.
        let programs: BTreeMap<_, _> = programs.map(|info| (number(info, "prog_id:"), info)).collect();
        let sum = |name| programs.values().map(|info| number(info, name) as f64).sum();
        Self { programs: programs.len(), nanoseconds: sum("run_time_ns:"), runs: sum("run_cnt:") }
    }

    fn a_run(&self) -> f64 {
        self.nanoseconds / self.runs
    }

    fn since(&self, before: &Self) -> Self {
        let (nanoseconds, runs) = (self.nanoseconds - before.nanoseconds, self.runs - before.runs);
        Self { programs: self.programs, nanoseconds, runs }
    }

    /// The time that empty programs would not have taken.
    fn beyond(&self, floor: f64) -> f64 {
        self.nanoseconds - floor * self.runs
    }
}

fn number(info: &str, name: &str) -> u64 {
    let value = info.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

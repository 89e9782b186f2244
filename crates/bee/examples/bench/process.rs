//! What a process has used.

use std::{fs, time::Duration};

/// The CPU time that a process has taken so far: in its own code, and in the kernel for it.
pub fn cpu(process: u32) -> (Duration, Duration) {
    let stat = procfs::process::Process::new(process as i32).and_then(|process| process.stat()).expect("it runs");
    let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64);
    (time(stat.utime), time(stat.stime))
}

/// Its anonymous memory in MB.
pub fn anonymous_memory(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("Linux 5.3 has this line");
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kilobytes * 1024.0 / 1e6
}

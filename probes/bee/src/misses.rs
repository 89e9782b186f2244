//! Runs of a probe's programs that the kernel left out.
//!
//! A program of kind tracing (`tp_btf`, `fentry`, `raw_tp`) does not run on a processor on which it is running already: interrupted,
//! or, in kernels that preempt, with another task in its place. Only the kernel knows how often that was. kprobes run undisturbed.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::probe::Probe;

/// What the kernel says of a program that is open, one `name:\tvalue` a line; this one from Linux 5.12 on.
const FIELD: &str = "recursion_misses:";

/// The programs of a probe that runs.
pub struct Misses {
    programs: Vec<(String, OwnedFd)>,
}

impl Misses {
    pub fn new(probe: &Probe) -> Self {
        Self { programs: probe.programs() }
    }

    /// How many runs each program missed; programs of which this kernel does not say so are left out.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let count = |(name, program): &(String, OwnedFd)| {
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()?;
            Some((name.clone(), parse(&info)?))
        };
        self.programs.iter().filter_map(count).collect()
    }
}

fn parse(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix(FIELD))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_are_read_from_what_the_kernel_says_of_the_program() {
        let info =
            "pos:\t0\nflags:\t02000002\nprog_type:\t26\nrun_cnt:\t0\nrecursion_misses:\t131\nverified_insns:\t57\n";
        assert_eq!(parse(info), Some(131));
        assert_eq!(parse("pos:\t0\nprog_type:\t26\n"), None, "before Linux 5.12");
    }
}

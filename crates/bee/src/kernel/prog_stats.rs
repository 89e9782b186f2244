//! The kernel's own account of a probe's programs: how often they ran, how long that took, and how often it left a run out.
//!
//! A program of kind tracing (`tp_btf`, `fentry`, `raw_tp`) does not run on a processor on which it is running already: interrupted,
//! or, in kernels that preempt, with another task in its place. Only the kernel knows how often that was. kprobes run undisturbed.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kernel::probe::Probe;

/// The programs of a probe that runs, or of a recording.
pub enum Programs {
    Open(Vec<(String, OwnedFd)>),
    /// What the recording said last, by name.
    Recorded(Mutex<Vec<(String, Account)>>),
}

/// One program's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How often it ran, and how long that took together; the kernel counts only while somebody asks for the time of runs.
    pub runs: u64,
    pub run_time: Duration,
    /// Before Linux 5.12 nobody knows.
    pub missed: Option<u64>,
}

impl Programs {
    pub fn new(probe: &Probe) -> Self {
        Self::Open(probe.programs())
    }

    pub fn recorded() -> Self {
        Self::Recorded(Mutex::default())
    }

    /// Takes what a recording says.
    pub fn set(&self, accounts: Vec<(String, Account)>) {
        if let Self::Recorded(recorded) = self {
            *recorded.lock().unwrap_or_else(PoisonError::into_inner) = accounts;
        }
    }

    /// Each program's account, by its name.
    pub fn accounts(&self) -> Vec<(String, Account)> {
        match self {
            Self::Open(open) => {
                open.iter().filter_map(|(name, program)| Some((name.clone(), Account::read(program)?))).collect()
            }
            Self::Recorded(recorded) => recorded.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Account {
    fn read(program: &OwnedFd) -> Option<Self> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()?;
        Some(Self::parse(&info))
    }
    /// From what the kernel says of a program that is open, one `name:\tvalue` a line.
    fn parse(info: &str) -> Self {
        Self {
            runs: number(info, "run_cnt").unwrap_or(0),
            run_time: Duration::from_nanos(number(info, "run_time_ns").unwrap_or(0)),
            missed: number(info, "recursion_misses"),
        }
    }
}

/// The kernel's number of a program that is open.
pub fn id(program: &OwnedFd) -> Option<u64> {
    number(&fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()?, "prog_id")
}

fn number(info: &str, name: &str) -> Option<u64> {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_what_the_kernel_says_of_the_program() {
        let info = "pos:\t0\nflags:\t02000002\nprog_type:\t26\nrun_time_ns:\t2500\nrun_cnt:\t10\nrecursion_misses:\t131\nverified_insns:\t57\n";
        let account = Account { runs: 10, run_time: Duration::from_nanos(2500), missed: Some(131) };
        assert_eq!(Account::parse(info), account);
        assert_eq!(Account::parse("pos:\t0\nprog_type:\t26\n").missed, None, "before Linux 5.12");
    }
}

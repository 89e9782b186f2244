//! A probe that sees calls of the test's own, and what bee shows of them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tempfile::TempDir;

use crate::probe::{self, Run, until};

/// A probe that is called with `a` for each getpriority(77, a) of this process.
pub struct CalledProbe {
    bee: fn() -> Command,
    directory: TempDir,
    object: PathBuf,
    /// The calls are the process': no other test may make any while one counts.
    _alone: MutexGuard<'static, ()>,
}

impl CalledProbe {
    /// Of these maps and of what is done when it is called, in C. `bee` is the program.
    pub fn build(bee: fn() -> Command, maps: &str, called: &str) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().unwrap();
        let lines = format!(
            "#include \"bpf/bpf_core_read.h\"\n#include \"bpf/bpf_tracing.h\"\n#include \"bee.h\"\n\
             const volatile __u32 watched = 0;\n{maps}\n\
             SEC(\"tp_btf/sys_enter\")\nint BPF_PROG(watch, struct pt_regs *regs, long id)\n{{\n\
             \tif (id != {} || PT_REGS_PARM1_CORE_SYSCALL(regs) != 77 || bpf_get_current_pid_tgid() >> 32 != watched)\n\
             \t\treturn 0;\n\
             \t__u64 a = PT_REGS_PARM2_CORE_SYSCALL(regs);\n{called}\n\treturn 0;\n}}\n",
            libc::SYS_getpriority
        );
        let object = probe::build(bee(), directory.path(), &lines);
        Self { bee, directory, object, _alone: alone }
    }

    pub fn run(&self, options: &[&str]) -> Run {
        let watched = format!("--param=watched={}", std::process::id());
        Run::start((self.bee)(), &self.object, &[&[watched.as_str()], options].concat())
    }

    pub fn object(&self) -> &Path {
        &self.object
    }

    /// Where a run may be recorded; it goes with the probe.
    pub fn recording(&self) -> PathBuf {
        self.directory.path().join("run.bee")
    }

    pub fn call(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            // SAFETY: it takes two numbers, and the first is one that it refuses.
            unsafe { libc::getpriority(77, number) };
        }
    }
}

/// Waits until the samples of the probe's own metrics are these, which are sorted.
#[track_caller]
pub fn shows(run: &Run, expected: &[&str]) {
    assert!(until(|| samples(run) == expected), "{:#?}\n{expected:#?}", samples(run));
}

fn samples(run: &Run) -> Vec<String> {
    let metrics = run.metrics();
    let own = metrics.lines().filter_map(|line| line.strip_prefix("ebpf_solo_io_"));
    let mut samples: Vec<_> = own.map(str::to_owned).collect();
    samples.sort();
    samples
}

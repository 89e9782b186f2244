//! Where the code of programs lies in the kernel's memory, which tells them apart on a stack.

use std::collections::HashMap;

use libbpf_rs::query::{ProgInfoIter, ProgInfoQueryOptions};

use crate::kernel::probe::Probe;
use crate::kernel::prog_stats;

/// A program's code.
pub struct Code {
    /// Which of the run's probes it is of.
    pub probe: usize,
    pub program: String,
    /// First and last address, of each of its functions; none without the right to see addresses.
    pub ranges: Vec<(u64, u64)>,
}

/// That of a probe's programs.
pub fn of(number: usize, probe: &Probe) -> Vec<Code> {
    let mut by_id = HashMap::new();
    let options = ProgInfoQueryOptions::default().include_jited_ksyms(true).include_jited_func_lens(true);
    for info in ProgInfoIter::with_query_opts(options) {
        let begins = info.jited_ksyms.iter().map(|begin| *begin as u64).filter(|begin| *begin != 0);
        let ranges = begins.zip(info.jited_func_lens.iter().map(|length| u64::from(*length)));
        by_id.insert(u64::from(info.id), ranges.map(|(begin, length)| (begin, begin + length)).collect());
    }
    let mut all = vec![];
    for (program, descriptor) in probe.programs() {
        let ranges: Vec<_> = prog_stats::id(&descriptor).and_then(|id| by_id.remove(&id)).unwrap_or_default();
        all.push(Code { probe: number, program, ranges });
    }
    all
}

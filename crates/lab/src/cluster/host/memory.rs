//! Who uses how much memory: by node and component, pods by their program.

use std::fs;

use super::cgroups;
use crate::cluster::memory;

/// Component (such as `ebpf-worker kubelet`) and bytes, the largest first.
pub fn by_component(number: u8) -> Vec<(String, u64)> {
    memory::by_component(cgroups::processes(number).into_iter().filter_map(|(pid, group)| {
        let bytes = memory::proportional(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?)?;
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let node = group.split('/').next().unwrap_or_default();
        Some((memory::component(node, group.contains("/kubepods"), &command_line), bytes))
    }))
}

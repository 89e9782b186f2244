//! Who uses how much memory: by node and component, pods by their program.

use std::{collections::BTreeMap, fs};

use super::cgroups;

/// Component (such as `ebpf-worker kubelet`) and bytes, the largest first. Memory that processes share is split among them.
pub fn by_component(number: u8) -> Vec<(String, u64)> {
    let mut users: BTreeMap<String, u64> = BTreeMap::new();
    for (pid, group) in cgroups::processes(number) {
        let Some(bytes) = proportional(pid) else { continue };
        *users.entry(component(pid, &group)).or_default() += bytes;
    }
    let mut users: Vec<_> = users.into_iter().collect();
    users.sort_by_key(|(name, bytes)| (std::cmp::Reverse(*bytes), name.clone()));
    users
}

fn component(pid: i32, group: &str) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    // CoreDNS is a component of the one Go program, named by its first argument.
    let program = if program == "hyperkube" { words.next().unwrap_or_default().into_owned() } else { program };
    let node = group.split('/').next().unwrap_or_default();
    let place = if group.contains("/kubepods") { "pods" } else { node };
    format!("{place} {program}")
}

fn proportional(pid: i32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

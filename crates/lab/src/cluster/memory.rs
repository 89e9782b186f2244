//! Who uses how much memory: processes named by the component that they are, and summed up.
//!
//! All clusters are measured alike: memory that processes share is split among them.

use std::{cmp::Reverse, collections::BTreeMap};

/// Sums up by component, the largest first.
pub fn by_component(processes: impl IntoIterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut users: BTreeMap<String, u64> = BTreeMap::new();
    for (component, bytes) in processes {
        *users.entry(component).or_default() += bytes;
    }
    let mut users: Vec<_> = users.into_iter().collect();
    users.sort_by_key(|(name, bytes)| (Reverse(*bytes), name.clone()));
    users
}

/// Such as `ebpf-worker kubelet` for a node's own process and `pods prometheus` for one of a pod's, wherever it runs.
pub fn component(node: &str, in_a_pod: bool, command_line: &[u8]) -> String {
    let mut words = command_line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    // CoreDNS is a component of the one Go program, named by its first argument.
    let program = if program == "hyperkube" { words.next().unwrap_or_default().into_owned() } else { program };
    format!("{} {program}", if in_a_pod { "pods" } else { node })
}

/// Reads the share of shared and own memory from a `/proc/PID/smaps_rollup` or one line of it.
pub fn proportional(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_summed_up_by_component() {
        let line = |words: &str| words.replace(' ', "\0").into_bytes();
        let processes = [
            (component("ebpf-worker", false, &line("/usr/bin/kubelet --config=x")), 5),
            (component("ebpf-worker", true, &line("/bin/bee run")), 7),
            (component("ebpf-worker2", true, &line("/bin/bee run")), 7),
            (component("ebpf-worker", true, &line("/bin/hyperkube coredns")), 1),
        ];
        let expected = [("pods bee", 14), ("ebpf-worker kubelet", 5), ("pods coredns", 1)];
        assert_eq!(by_component(processes), expected.map(|(name, bytes)| (name.to_owned(), bytes)));
        assert_eq!(proportional("00400000-7ffd r--p [rollup]\nRss: 9 kB\nPss:    7 kB\n"), Some(7168));
    }
}

//! Who uses how much memory in the nodes: read inside each of them, where root sees every process.

use std::collections::BTreeMap;

use super::engine::{Container, Engine};
use crate::cluster::memory;

/// One line a file: a process's share of memory, its command line, and its pod's cgroup if it has one.
const LOOK: &str = "grep --with-filename --text --max-count=1 --regexp=^Pss: /proc/[0-9]*/smaps_rollup; \
                    grep --with-filename --text --max-count=1 '' /proc/[0-9]*/cmdline; \
                    grep --with-filename --text --max-count=1 kubepods /proc/[0-9]*/cgroup; true";

/// Component and bytes, the largest first; of nodes that do not answer nothing.
pub fn by_component(engine: &Engine, nodes: &[Container]) -> Vec<(String, u64)> {
    let look = |node: &Container| {
        let output = engine.command(&["exec", &node.name, "sh", "-c", LOOK]).output();
        processes(&node.name, &output.map(|output| output.stdout).unwrap_or_default())
    };
    memory::by_component(nodes.iter().filter(|node| node.running).flat_map(look))
}

#[derive(Default)]
struct Process<'a> {
    bytes: u64,
    command_line: &'a [u8],
    in_a_pod: bool,
}

fn processes(node: &str, said: &[u8]) -> Vec<(String, u64)> {
    let mut processes: BTreeMap<&[u8], Process<'_>> = BTreeMap::new();
    for line in said.split(|byte| *byte == b'\n') {
        let Some((pid, file, text)) = split(line) else { continue };
        let process = processes.entry(pid).or_default();
        match file {
            b"smaps_rollup" => {
                process.bytes = memory::proportional(&String::from_utf8_lossy(text)).unwrap_or_default();
            }
            b"cmdline" => process.command_line = text,
            _ => process.in_a_pod = true,
        }
    }
    let named = |process: &Process<'_>| memory::component(node, process.in_a_pod, process.command_line);
    processes.values().filter(|process| process.bytes > 0).map(|process| (named(process), process.bytes)).collect()
}

/// `/proc/PID/FILE:TEXT`
fn split(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let rest = line.strip_prefix(b"/proc/")?;
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    let colon = rest.iter().position(|byte| *byte == b':')?;
    Some((&rest[..slash], rest.get(slash + 1..colon)?, &rest[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grep_prints_becomes_processes() {
        let said = b"/proc/1/smaps_rollup:Pss:             100 kB\n/proc/77/smaps_rollup:Pss:  9 kB\n/proc/1/cmdline:/sbin/init\0\n\
                     /proc/77/cmdline:/bin/bee\0run\0/probes/tcpconnect.o\0\n/proc/77/cgroup:12:pids:/kubelet.slice/kubepods.slice/x\n\
                     grep: /proc/self/x: No such process\n";
        let expected = [("ebpf-worker init", 102_400), ("pods bee", 9216)];
        assert_eq!(processes("ebpf-worker", said), expected.map(|(name, bytes)| (name.to_owned(), bytes)));
    }
}

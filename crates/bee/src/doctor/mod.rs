//! What this machine can run, found out by trying, and how to fix what it can't.

mod machine;
mod trial;

use libbpf_rs::MapType;
use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub works: bool,
    /// What was found.
    pub found: String,
    /// How to fix it, if it does not work.
    pub fix: Option<String>,
}

/// All that was looked at.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether the workshop's probes can run here.
    pub workshop: bool,
    pub checks: Vec<Check>,
}

/// A program for each kind of hook. Control groups let through what gets a 1.
const HOOKS: [(&str, &str, i32); 15] = [
    ("kprobe", "kprobe/tcp_connect", 0),
    ("kretprobe", "kretprobe/tcp_connect", 0),
    ("kprobe.multi", "kprobe.multi/tcp_connect", 0),
    ("tracepoint", "tracepoint/sock/inet_sock_set_state", 0),
    ("raw_tp", "raw_tp/inet_sock_set_state", 0),
    ("tp_btf", "tp_btf/inet_sock_set_state", 0),
    ("fentry", "fentry/tcp_connect", 0),
    ("fexit", "fexit/tcp_connect", 0),
    ("uprobe", "uprobe/libc.so.6:getppid", 0),
    ("uretprobe", "uretprobe/libc.so.6:getppid", 0),
    ("perf_event", "perf_event", 0),
    ("iter", "iter/task", 0),
    ("cgroup", "cgroup/connect4", 1),
    ("sockops", "sockops", 1),
    ("lsm", "lsm/file_open", 0),
];

const MAPS: [(&str, MapType); 5] = [
    ("hash", MapType::Hash),
    ("LRU hash", MapType::LruHash),
    ("per-CPU hash", MapType::PercpuHash),
    ("ring buffer", MapType::RingBuf),
    ("perf buffer", MapType::PerfEventArray),
];

/// Looks at everything.
pub fn examine() -> Report {
    let mut checks = machine::checks();
    for (name, section, answer) in HOOKS {
        let tried = trial::hook(section, answer);
        checks.push(check(
            name,
            &format!("SEC(\"{section}\") is attached"),
            tried,
            "write the probe for another hook as well",
        ));
    }
    for (name, kind) in MAPS {
        checks.push(check(name, "is made", trial::map(kind), "use a newer kernel (ring buffers: Linux 5.8)"));
    }
    Report { workshop: runs_the_workshop(&checks), checks }
}

/// What a refusal says after its colon is how to fix it.
fn check(name: &'static str, success: &str, tried: Result<(), String>, otherwise: &str) -> Check {
    match tried {
        Ok(()) => Check { name, works: true, found: success.to_owned(), fix: None },
        Err(why) => {
            let (found, fix) = why.split_once(": ").unwrap_or((&why, otherwise));
            Check { name, works: false, found: found.to_owned(), fix: Some(fix.to_owned()) }
        }
    }
}

/// The workshop's probes are written for three hooks, one of which is needed, and use hashes and ring buffers.
fn runs_the_workshop(checks: &[Check]) -> bool {
    let needed = ["BTF", "capabilities", "hash", "ring buffer"];
    ["kprobe", "sockops", "tp_btf"].iter().any(|hook| works(checks, hook))
        && needed.iter().all(|name| works(checks, name))
}

fn works(checks: &[Check], name: &str) -> bool {
    checks.iter().any(|check| check.name == name && check.works)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_working_but(lacking: &[&str]) -> bool {
        let names = ["BTF", "capabilities", "kprobe", "sockops", "tp_btf", "hash", "ring buffer", "lsm"];
        let check = |name| Check { name, works: !lacking.contains(&name), found: String::new(), fix: None };
        runs_the_workshop(&names.map(check))
    }

    #[test]
    fn the_workshop_needs_one_of_its_three_hooks_and_its_maps() {
        assert!(all_working_but(&["kprobe", "lsm"]) && all_working_but(&["tp_btf", "sockops"]));
        for lacking in [&["kprobe", "sockops", "tp_btf"][..], &["ring buffer"], &["BTF"], &["capabilities"]] {
            assert!(!all_working_but(lacking), "{lacking:?}");
        }
    }

    #[test]
    fn a_refusal_is_split_into_what_was_found_and_how_to_fix_it() {
        let failed = check("cgroup", "", Err("none are mounted: mount -t cgroup2 none /sys/fs/cgroup".into()), "…");
        assert_eq!(failed.fix.as_deref(), Some("mount -t cgroup2 none /sys/fs/cgroup"));
    }
}

//! What the machine and its settings say of themselves, without loading anything.

use std::fs;
use std::path::Path;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::utsname::uname;

use crate::doctor::Check;
use crate::kernel::capabilities;
use crate::kernel::hooks;

/// Ring buffers and CAP_BPF came with it.
const OLDEST: (u32, u32) = (5, 8);
/// From this one on, maps do not count as locked memory.
const NO_MEMLOCK: (u32, u32) = (5, 11);

pub fn checks() -> Vec<Check> {
    let version = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    vec![
        kernel(&version),
        btf(),
        capabilities(),
        memlock(parse(&version)),
        lockdown(&read("/sys/kernel/security/lockdown")),
        paranoid(&read("/proc/sys/kernel/perf_event_paranoid")),
        mounted("tracefs", hooks::tracefs(), "mount -t tracefs tracefs /sys/kernel/tracing"),
        mounted("cgroup v2", hooks::cgroup_root(), "mount -t cgroup2 none /sys/fs/cgroup"),
    ]
}

fn check(name: &'static str, works: bool, found: impl Into<String>, fix: &str) -> Check {
    Check { name, works, found: found.into(), fix: (!works).then(|| fix.to_owned()) }
}

fn kernel(version: &str) -> Check {
    let works = parse(version).is_none_or(|version| version >= OLDEST);
    check("kernel", works, format!("Linux {version}"), "use Linux 5.8 or newer")
}

fn btf() -> Check {
    let works = Path::new("/sys/kernel/btf/vmlinux").exists();
    let found = if works { "/sys/kernel/btf/vmlinux" } else { "the kernel shows no types" };
    check("BTF", works, found, "use a kernel that was built with CONFIG_DEBUG_INFO_BTF=y")
}

fn capabilities() -> Check {
    let missing: Vec<_> = capabilities::missing().iter().map(ToString::to_string).collect();
    let found =
        if missing.is_empty() { "may load probes".to_owned() } else { format!("lacks {}", missing.join(" and ")) };
    check("capabilities", missing.is_empty(), found, "run it through sudo; in a container, add BPF and PERFMON")
}

fn memlock(version: Option<(u32, u32)>) -> Check {
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft);
    let counts = version.is_some_and(|version| version < NO_MEMLOCK);
    // libbpf does so by itself.
    let may_raise = capabilities::has(caps::Capability::CAP_SYS_RESOURCE);
    let found = match limit {
        _ if !counts => "maps do not count as locked memory".to_owned(),
        RLIM_INFINITY => "no limit".to_owned(),
        _ if may_raise => "may be raised".to_owned(),
        bytes => format!("at most {} kB", bytes / 1024),
    };
    check("memlock", !counts || may_raise || limit == RLIM_INFINITY, found, "ulimit -l unlimited")
}

/// `none [integrity] confidentiality`; the last takes kernel memory from probes.
fn lockdown(states: &str) -> Check {
    let state = states.split(['[', ']']).nth(1).unwrap_or("none");
    check("lockdown", state != "confidentiality", state, "start the kernel without lockdown=confidentiality")
}

fn paranoid(level: &str) -> Check {
    let works = level.trim().parse().is_ok_and(|level: i32| level <= 2) || capabilities::is_admin();
    check("perf_event_paranoid", works, level.trim(), "sysctl kernel.perf_event_paranoid=2, or run as root")
}

fn mounted(name: &'static str, at: Option<std::path::PathBuf>, fix: &str) -> Check {
    let found = at.as_ref().map_or("not mounted, or not readable".to_owned(), |path| path.display().to_string());
    check(name, at.is_some(), found, fix)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first two numbers of "6.1.0-50-amd64".
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart_by_number_not_by_text() {
        assert_eq!(parse("5.10.0-32-cloud-amd64"), Some((5, 10)));
        assert!(kernel("5.10.0").works && kernel("6.1.0-50-amd64").works && kernel("unheard-of").works);
        assert!(!kernel("5.4.0-generic").works);
    }

    #[test]
    fn lockdown_is_the_state_in_brackets() {
        assert!(lockdown("none [integrity] confidentiality\n").works && lockdown("").works);
        let locked = lockdown("none integrity [confidentiality]\n");
        assert!(!locked.works && locked.fix.is_some());
    }
}

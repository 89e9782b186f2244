//! Why this kernel does not take a program, in words that name what is missing and how to fix it. Looked for only after it has
//! refused: what works needs no permission of ours.

use std::fs;
use std::path::Path;

use libbpf_rs::ErrorKind;

use crate::kernel::hooks::attach::cgroup_root;
use crate::kernel::hooks::suggest;
use crate::kernel::hooks::{Hook, Kind, binaries};

/// Why a program was not loaded; `said` is libbpf's own sentence, which counts where nobody knows better.
pub fn why_not_loaded(hook: &Hook, error: &libbpf_rs::Error, said: Option<String>) -> String {
    // Of a number that is out of range neither rates nor functions are the cause yet: they come when it is attached.
    let is_invalid = error.kind() == ErrorKind::InvalidInput;
    let by_number = if is_invalid { None } else { by_error(hook, error) };
    why_not(hook, error, by_number, said)
}

/// Why a program was not attached.
pub fn why_not_attached(hook: &Hook, error: &libbpf_rs::Error, said: Option<String>) -> String {
    why_not(hook, error, by_error(hook, error), said)
}

fn why_not(hook: &Hook, error: &libbpf_rs::Error, by_number: Option<String>, said: Option<String>) -> String {
    let reason = lacking(hook).or_else(|| no_such_target(hook)).or(by_number).or(said);
    format!("{}: {}", hook.section, reason.unwrap_or_else(|| format!("{error:#}")))
}

/// A security hook of a kernel that does not ask BPF: it would load, attach and never be called.
pub fn would_never_run(hook: &Hook) -> Option<String> {
    if hook.kind != Kind::Lsm {
        return None;
    }
    let list = fs::read_to_string("/sys/kernel/security/lsm").ok()?;
    let list = list.trim();
    if list.split(',').any(|module| module == "bpf") {
        return None;
    }
    Some(format!("{}: BPF is no security module here: start the kernel with lsm={list},bpf", hook.section))
}

/// What the whole kind of hook needs and is not here.
fn lacking(hook: &Hook) -> Option<String> {
    match hook.kind {
        Kind::Kprobe if !has_event_source("kprobe") => {
            Some("this kernel has no kprobes (CONFIG_KPROBES): a tp_btf or tracepoint program runs here".to_owned())
        }
        Kind::Uprobe | Kind::Usdt if !has_event_source("uprobe") => {
            Some("this kernel has no uprobes (CONFIG_UPROBE_EVENTS)".to_owned())
        }
        Kind::Uprobe | Kind::Usdt => binaries::find(hook.file()).is_empty().then(|| binaries::looked_in(hook.file())),
        Kind::Tracepoint if suggest::tracefs().is_none() => {
            Some("tracefs can't be read: mount -t tracefs tracefs /sys/kernel/tracing, or run as root".to_owned())
        }
        Kind::Cgroup if cgroup_root().is_none() => {
            Some("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup".to_owned())
        }
        _ => None,
    }
}

fn has_event_source(device: &str) -> bool {
    Path::new("/sys/bus/event_source/devices").join(device).exists()
}

/// A target that this kernel does not have, and the one that was probably meant.
fn no_such_target(hook: &Hook) -> Option<String> {
    let target = hook.target.split('+').next().unwrap_or_default();
    let target = if hook.kind == Kind::Uprobe { target.rsplit(':').next().unwrap_or_default() } else { target };
    // A pattern, or a system call's name without what the processor's code puts before it.
    if target.contains(['*', '?']) || hook.section.contains("syscall") && hook.kind == Kind::Kprobe {
        return None;
    }
    let search = suggest::search(hook, target).filter(|search| !search.is_there())?;
    let what = match hook.kind {
        Kind::Kprobe | Kind::Trampoline | Kind::Uprobe => "function",
        Kind::Iterator => "iterator",
        Kind::Lsm => "security hook",
        _ => "tracepoint",
    };
    let meant = search.nearest().map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    let files = if hook.kind == Kind::Uprobe { binaries::find(hook.file()) } else { vec![] };
    let who = files.first().map_or_else(|| "this kernel".to_owned(), |file| file.display().to_string());
    Some(format!("{who} has no {what} {target}{meant}"))
}

/// What the error itself tells, for a kind of hook that is there and a target that exists.
fn by_error(hook: &Hook, error: &libbpf_rs::Error) -> Option<String> {
    if hook.kind == Kind::Kprobe
        && let Some(words) = by_kprobe_error(&hook.section, error.kind())
    {
        return Some(words.to_owned());
    }
    let words = match (hook.kind, error.kind()) {
        (Kind::Trampoline | Kind::Lsm, ErrorKind::PermissionDenied | ErrorKind::Other | ErrorKind::Unsupported) => {
            "this kernel lets no program into its functions (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, CONFIG_BPF_LSM): \
             a kprobe, tp_btf or tracepoint program may run here"
        }

        (Kind::Uprobe, ErrorKind::NotFound) => {
            "the file names no such function; one that is stripped names none but those that others call (a library's)"
        }
        (Kind::Usdt, ErrorKind::NotFound) => "the file has no such static probe (list them with `readelf -n`)",
        (Kind::Usdt, ErrorKind::Unsupported) => {
            "before Linux 5.15 static probes of libraries and position-independent programs can't be told apart"
        }
        (Kind::Cgroup, ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::Other) => {
            "this kernel can't attach programs to control groups here (CONFIG_CGROUP_BPF)"
        }
        (Kind::Sampling, ErrorKind::InvalidInput) => {
            "this kernel takes no such rate: sysctl kernel.perf_event_max_sample_rate says how much it takes"
        }
        (Kind::Kprobe | Kind::Tracepoint | Kind::Uprobe | Kind::Usdt | Kind::Sampling, ErrorKind::PermissionDenied) => {
            "not permitted: sysctl kernel.perf_event_paranoid may be above 2, or tracefs readable by root alone"
        }
        (Kind::Cgroup, ErrorKind::PermissionDenied) => {
            "not permitted: programs of control groups take CAP_NET_ADMIN besides CAP_BPF"
        }
        (_, ErrorKind::PermissionDenied) => {
            "the kernel does not let it load (EPERM): it lacks this kind of program, or we lack CAP_BPF and CAP_PERFMON, \
             or, before Linux 5.11, the memory that a process may lock is too little (ulimit -l)"
        }
        _ => return None,
    };
    Some(words.to_owned())
}

fn by_kprobe_error(section: &str, error: ErrorKind) -> Option<&'static str> {
    match error {
        ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::Other if section.contains(".multi") => Some(
            "this kernel can't put a program on several functions at once (Linux 5.18, CONFIG_FPROBE): name one with kprobe/",
        ),
        ErrorKind::NotFound if section.contains("syscall") => Some("this kernel has no such system call"),
        ErrorKind::NotFound | ErrorKind::InvalidInput => Some(
            "this kernel lets no kprobe into that function: it is inlined, or on /sys/kernel/debug/kprobes/blacklist",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(section: &str, errno: i32) -> String {
        let error = libbpf_rs::Error::from_raw_os_error(errno);
        why_not_attached(&Hook::parse("watch", section).unwrap(), &error, None)
    }

    #[test]
    fn a_tracepoint_that_there_is_not_is_named_with_the_one_that_was_meant() {
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return;
        }
        let said = why("tp_btf/inet_sock_set_stat", libc::ESRCH);
        assert!(said.ends_with("has no tracepoint inet_sock_set_stat; did you mean inet_sock_set_state?"), "{said}");
    }

    #[test]
    fn a_file_that_there_is_not_is_named() {
        let said = why("uprobe//no/such/file:main", libc::ENOENT);
        assert!(said.contains("there is no file /no/such/file") || said.contains("no uprobes"), "{said}");
    }

    #[test]
    fn what_nobody_knows_more_about_is_said_as_libbpf_or_the_kernel_says_it() {
        let said = why("perf_event", libc::ENOSPC);
        assert!(said.starts_with("perf_event: ") && said.contains("No space left"), "{said}");
        let (hook, full) =
            (Hook::parse("watch", "perf_event").unwrap(), libbpf_rs::Error::from_raw_os_error(libc::ENOSPC));
        let said = why_not_attached(&hook, &full, Some("prog 'watch': no room".into()));
        assert_eq!(said, "perf_event: prog 'watch': no room");
    }

    #[test]
    fn a_program_that_does_not_load_is_not_blamed_for_its_rate() {
        let invalid = libbpf_rs::Error::from_raw_os_error(libc::EINVAL);
        let hook = Hook::parse("watch", "perf_event").unwrap();
        assert!(why_not_attached(&hook, &invalid, None).contains("takes no such rate"));
        assert!(why_not_loaded(&hook, &invalid, None).contains("Invalid argument"));
    }
}

//! What calls a program: the hook that its section names, whether bee can put it there, and if this kernel can't, why.

mod attach;
mod binaries;
mod diagnose;
mod ld_cache;
mod nearest;
mod perf_event;
mod suggest;
pub mod twins;
mod user_probe;

pub use attach::{Attached, attach, cgroup_root};
pub use diagnose::{why_not_attached, why_not_loaded, would_never_run};
pub use suggest::tracefs;

/// Kinds of hooks; one kind needs one thing of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `kprobe/FUNCTION`, `kretprobe/…`, `ksyscall/SYSCALL` and their `.multi` forms.
    Kprobe,
    /// `tracepoint/CATEGORY/NAME` or `tp/…`.
    Tracepoint,
    /// `raw_tp/NAME`.
    RawTracepoint,
    /// `tp_btf/NAME`.
    BtfTracepoint,
    /// `fentry/FUNCTION`, `fexit/…`, `fmod_ret/…`.
    Trampoline,
    /// `uprobe/FILE:FUNCTION`, `uretprobe/…`.
    Uprobe,
    /// `usdt/FILE:PROVIDER:NAME`.
    Usdt,
    /// `perf_event` or `perf_event/HERTZ`: at regular times, on every processor.
    Sampling,
    /// `iter/WHAT`: once for each object of the kernel's, whenever bee looks.
    Iterator,
    /// `cgroup/…`, `cgroup_skb/…`, `sockops`: at the root of the control groups, for every process.
    Cgroup,
    /// `lsm/NAME`: where security modules are asked.
    Lsm,
}

/// A hook that bee can put a program on, if the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub kind: Kind,
    /// As the program has it.
    pub section: String,
    /// What stands behind the first slash: a function, an event.
    pub target: String,
}

/// A section names no hook of bee's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("program {program} can't be attached: SEC(\"{section}\") {why}")]
pub struct UnsupportedHook {
    pub program: String,
    pub section: String,
    pub why: String,
}

/// Every word that a section may begin with, its kind, and the form that is needed behind the slash, if any.
const FORMS: [(&str, Kind, Option<&str>); 19] = [
    ("kprobe", Kind::Kprobe, Some("FUNCTION")),
    ("kretprobe", Kind::Kprobe, Some("FUNCTION")),
    ("ksyscall", Kind::Kprobe, Some("SYSCALL")),
    ("kretsyscall", Kind::Kprobe, Some("SYSCALL")),
    ("tracepoint", Kind::Tracepoint, Some("CATEGORY/NAME")),
    ("tp", Kind::Tracepoint, Some("CATEGORY/NAME")),
    ("raw_tracepoint", Kind::RawTracepoint, Some("NAME")),
    ("raw_tp", Kind::RawTracepoint, Some("NAME")),
    ("tp_btf", Kind::BtfTracepoint, Some("NAME")),
    ("fentry", Kind::Trampoline, Some("FUNCTION")),
    ("fexit", Kind::Trampoline, Some("FUNCTION")),
    ("fmod_ret", Kind::Trampoline, Some("FUNCTION")),
    ("uprobe", Kind::Uprobe, Some("FILE:FUNCTION")),
    ("uretprobe", Kind::Uprobe, Some("FILE:FUNCTION")),
    ("usdt", Kind::Usdt, Some("FILE:PROVIDER:NAME")),
    ("perf_event", Kind::Sampling, None),
    ("iter", Kind::Iterator, Some("WHAT")),
    ("cgroup", Kind::Cgroup, Some("EVENT")),
    ("lsm", Kind::Lsm, Some("NAME")),
];

/// Sections without a target of their own that belong to control groups.
const CGROUP_WORDS: [&str; 2] = ["cgroup_skb", "sockops"];

/// Programs that the kernel asks about packets: bee watches, it does not steer.
const PACKETS: [&str; 18] = [
    "xdp",
    "tc",
    "tcx",
    "classifier",
    "action",
    "netkit",
    "netfilter",
    "socket",
    "sk_skb",
    "sk_msg",
    "sk_lookup",
    "sk_reuseport",
    "flow_dissector",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "lwt_seg6local",
    "lirc_mode2",
];

/// Programs that nothing calls by itself, or that take the place of the kernel's own.
const PARTS: [&str; 4] = ["freplace", "struct_ops", "syscall", "lsm_cgroup"];

impl Hook {
    /// The hook that a program's section names.
    ///
    /// # Errors
    /// There is no such hook, bee does not attach to it, or its target is missing.
    pub fn parse(program: &str, section: &str) -> Result<Self, UnsupportedHook> {
        // "?" is libbpf's mark for a program that does not load unasked.
        let section = section.strip_prefix('?').unwrap_or(section);
        Self::from_section(section).map_err(|why| UnsupportedHook {
            program: program.to_owned(),
            section: section.to_owned(),
            why,
        })
    }

    fn from_section(section: &str) -> Result<Self, String> {
        let (word, target) = section.split_once('/').unwrap_or((section, ""));
        // ".s" may sleep, ".multi" has several targets, ".w" may write.
        let word = word.split('.').next().unwrap_or(word);
        let hook = Self { kind: kind_of(word, target)?, section: section.to_owned(), target: target.to_owned() };
        if hook.kind == Kind::Sampling && hook.hertz().is_none() {
            return Err(format!("has no rate of 1 to {MOST_HERTZ} hertz: write SEC(\"perf_event/{HERTZ}\")"));
        }
        Ok(hook)
    }

    /// The program or library that a uprobe's target begins with.
    pub fn file(&self) -> &str {
        self.target.split(':').next().unwrap_or_default()
    }

    /// How often a sampling program is called on each processor, in a second.
    pub fn hertz(&self) -> Option<u64> {
        match self.target.as_str() {
            "" => Some(HERTZ),
            target => target.parse().ok().filter(|hertz| (1..=MOST_HERTZ).contains(hertz)),
        }
    }
}

/// No multiple of what a program does at round rates, so that it does not keep step with it.
const HERTZ: u64 = 99;
const MOST_HERTZ: u64 = 10_000;

fn kind_of(word: &str, target: &str) -> Result<Kind, String> {
    if CGROUP_WORDS.contains(&word) {
        return Ok(Kind::Cgroup);
    }
    let Some((_, kind, form)) = FORMS.iter().find(|(known, ..)| *known == word) else {
        return Err(unknown(word));
    };
    match form {
        Some(form) if !fits(target, form) => Err(format!("has no target: expected SEC(\"{word}/{form}\")")),
        _ => Ok(*kind),
    }
}

/// Whether a target has as many parts as its form, none of them empty.
fn fits(target: &str, form: &str) -> bool {
    let separator = if form.contains(':') { ':' } else { '/' };
    let parts = form.split(separator).count();
    !target.is_empty() && target.split(separator).filter(|part| !part.is_empty()).count() >= parts
}

fn unknown(word: &str) -> String {
    if PACKETS.contains(&word) {
        return "is a networking program type; bee attaches tracing programs only".to_owned();
    }
    if PARTS.contains(&word) {
        return "is a part of another program or of the kernel, which nothing calls by itself".to_owned();
    }
    let mut search = nearest::Search::new(word);
    for known in FORMS.iter().map(|(known, ..)| *known).chain(CGROUP_WORDS) {
        search.look_at(known);
    }
    match search.nearest() {
        Some(nearest) => format!("is not a hook; did you mean {nearest}?"),
        None => "is not a hook".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(section: &str) -> String {
        Hook::parse("watch", section).unwrap_err().to_string()
    }

    #[test]
    fn a_section_names_its_hook_in_every_form_that_libbpf_knows() {
        let kinds = [
            ("kprobe/tcp_connect", Kind::Kprobe),
            ("kprobe.multi/tcp_*", Kind::Kprobe),
            ("ksyscall/openat", Kind::Kprobe),
            ("tracepoint/syscalls/sys_enter_openat", Kind::Tracepoint),
            // A5 #7: BumbleBee ended at this form.
            ("tp/syscalls/sys_enter_openat", Kind::Tracepoint),
            ("raw_tp/sys_enter", Kind::RawTracepoint),
            ("tp_btf/sys_enter", Kind::BtfTracepoint),
            ("fentry.s/do_unlinkat", Kind::Trampoline),
            ("uprobe//usr/lib/libc.so.6:malloc", Kind::Uprobe),
            ("usdt//usr/bin/python3:python:gc__start", Kind::Usdt),
            ("perf_event", Kind::Sampling),
            ("iter/task", Kind::Iterator),
            ("cgroup/connect4", Kind::Cgroup),
            ("sockops", Kind::Cgroup),
            ("lsm.s/file_open", Kind::Lsm),
            ("?kprobe/tcp_connect", Kind::Kprobe),
        ];
        for (section, kind) in kinds {
            assert_eq!(Hook::parse("watch", section).map(|hook| hook.kind), Ok(kind), "{section}");
        }
    }

    #[test]
    fn what_bee_does_not_attach_is_refused_with_program_and_section() {
        assert!(refusal("xdp").starts_with("program watch can't be attached: SEC(\"xdp\") is a networking program"));
        assert!(refusal("freplace/other").contains("is a part of another program"));
        assert!(refusal("kprob/tcp_connect").ends_with("is not a hook; did you mean kprobe?"));
    }

    #[test]
    fn a_hook_without_its_target_is_refused_with_the_form_that_it_needs() {
        assert!(refusal("kprobe").ends_with("expected SEC(\"kprobe/FUNCTION\")"));
        assert!(refusal("tracepoint/sys_enter_openat").ends_with("expected SEC(\"tracepoint/CATEGORY/NAME\")"));
        assert!(refusal("uprobe/malloc").ends_with("expected SEC(\"uprobe/FILE:FUNCTION\")"));
    }

    #[test]
    fn the_rate_of_a_sampling_program_stands_behind_the_slash() {
        let hertz = |section| Hook::parse("watch", section).map(|hook| hook.hertz());
        assert_eq!((hertz("perf_event"), hertz("perf_event/49")), (Ok(Some(99)), Ok(Some(49))));
        assert!(refusal("perf_event/fast").contains("no rate of 1 to 10000 hertz"));
    }
}

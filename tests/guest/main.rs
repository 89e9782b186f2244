//! Process 1 of a virtual machine: runs bee there as a user would, and reports on the console what it found.
//!
//! The machine has this program as its `/init`, `bee` and probes, and ends when this program does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

mod doctor;
mod hooks;
mod machine;
mod maps;
mod unprivileged;
mod variants;

use std::process::Command;

use testkit::findings::Findings;

fn main() {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some((program, arguments)) = arguments.split_first() {
        unprivileged::become_it(program, arguments);
    }
    machine::prepare();
    let mut findings = Findings::begin(&machine::release());
    let root = || Command::new("/bin/bee");
    let variants = ["kprobe", "sockops", "tp_btf"];
    findings.of("as root", |findings| variants::count_the_same(findings, "as root", &variants, &root));
    findings.of("hooks", hooks::are_called_or_refused_by_name);
    findings.of("misspelt hooks", hooks::are_suggested);
    findings.of("maps", maps::are_exported);
    // Debian's kernels have 3, which keeps kprobes for root; everybody else's have 2 at most.
    machine::sysctl("kernel/perf_event_paranoid", "2");
    let who = "as uid 65534 with CAP_BPF and CAP_PERFMON";
    let unprivileged = || unprivileged::command("/bin/bee");
    findings.of(who, |findings| variants::count_the_same(findings, who, &["kprobe", "tp_btf"], &unprivileged));
    findings.of("doctor", doctor::tells_the_truth);
    findings.conclude();
    machine::power_off();
}

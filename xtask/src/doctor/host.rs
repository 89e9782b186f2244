//! What a cluster straight on this machine needs.

use std::path::Path;

use lab_cli::{Machine, Number, base, kube_proxy, places, range::Range, taken::taken};

use super::{
    kernel,
    machine::{memory, no_programs},
};
use crate::finding::{Finding, Verdict};

/// Three nodes with all labs take under 2 GB; a compiler beside them takes the rest.
const MEMORY_GB: f64 = 3.0;
pub fn findings(machine: &dyn Machine, number: Number) -> Vec<Finding> {
    let mut findings =
        vec![memory(machine, MEMORY_GB), cgroup(machine), kernel::features(machine), kube_proxy(machine)];
    findings.extend(no_programs(machine, Path::new(places::DATA), "mount that disk without noexec"));
    findings.extend(selinux(machine));
    // With `auto`, `lab` looks for a number whose addresses are free.
    if let Number::Of(number) = number {
        findings.push(addresses(machine, number));
    }
    findings
}

fn cgroup(machine: &dyn Machine) -> Finding {
    let Some(controllers) = machine.read("/sys/fs/cgroup/cgroup.controllers") else {
        return match machine.exists("/sys/fs/cgroup/memory") {
            true => Finding::ok("cgroups", "version 1"),
            false => Finding::bad(
                "cgroups",
                Verdict::Refusal,
                "not mounted",
                "mount them at /sys/fs/cgroup, as systemd does",
            ),
        };
    };
    // A kubelet does not start without these.
    let missing = ["cpu", "cpuset", "memory", "pids"]
        .into_iter()
        .find(|name| !controllers.split_whitespace().any(|c| c == *name));
    match missing {
        None => Finding::ok("cgroups", "version 2"),
        Some(name) => Finding::bad(
            "cgroups",
            Verdict::Refusal,
            format!("version 2 without its controller `{name}`"),
            &format!(
                "add cgroup_enable={name} to the kernel's command line (cmdline.txt on a Raspberry Pi) and reboot"
            ),
        ),
    }
}

fn kube_proxy(machine: &dyn Machine) -> Finding {
    match kube_proxy::choose(machine) {
        Ok(choice) => Finding::ok("kube-proxy", choice.to_string()),
        Err(obstacle) => Finding::refusal("kube-proxy", obstacle),
    }
}

/// Nodes run as their starter does: SELinux confines only who is confined already.
fn selinux(machine: &dyn Machine) -> Option<Finding> {
    if machine.read("/sys/fs/selinux/enforce")?.trim() != "1" {
        return None;
    }
    let context = machine.read("/proc/self/attr/current").unwrap_or_default();
    let context = context.trim_end_matches(['\0', '\n']);
    Some(match context.contains(":unconfined_t:") {
        true => Finding::ok("SELinux", "enforcing; the nodes run unconfined, as this shell does"),
        false => Finding::bad(
            "SELinux",
            Verdict::Warning,
            format!("enforcing, and this shell runs as {context}"),
            "log in as an unconfined user (`semanage login --list`), if the nodes don't start",
        ),
    })
}

/// This machine gets a route to the nodes and one to the LoadBalancer addresses; one that is there already would swallow them.
fn addresses(machine: &dyn Machine, number: u8) -> Finding {
    let taken = match taken(machine) {
        Ok(taken) => taken,
        // Then `ip` is among the tools that are missing.
        Err(obstacle) => return Finding::bad("addresses", Verdict::Warning, obstacle.what, &obstacle.fix),
    };
    // A cluster that is up has a link, whose address tells.
    if let Some(own) = taken.iter().find(|taken| taken.by == base::link(number)) {
        return Finding::ok("addresses", format!("{}: cluster {number} is up", Range::around(own.range.base, 16)));
    }
    match base::choose(number, &taken) {
        Ok(choice) => Finding::ok("addresses", choice.to_string()),
        Err(taken) => Finding::bad(
            "addresses",
            Verdict::Refusal,
            format!("{taken}, and so is every other range that a cluster could have"),
            "end the VPN that takes them while the cluster is up, or let it leave local networks alone",
        ),
    }
}

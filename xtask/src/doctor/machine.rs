//! What the labs need wherever the cluster runs: a kernel that loads probes, root, room, and programs that may start.

use std::path::Path;

use lab_cli::{Machine, Paths, inotify, machine::release};

use crate::finding::{Finding, Verdict};

/// Go's and cargo's caches, the programs, the images and three nodes' copies of them.
const DISK_GB: f64 = 12.0;
/// Bits of the kernel's capability sets.
const CAPABILITIES: [(u64, &str); 2] = [(1 << 21, "CAP_SYS_ADMIN"), (1 << 12, "CAP_NET_ADMIN")];

pub fn findings(machine: &dyn Machine, paths: &Paths) -> Vec<Finding> {
    let fix = format!("free up to {DISK_GB} GB, or set XDG_CACHE_HOME to a larger disk");
    let mut findings = vec![kernel(machine), btf(machine)];
    findings.extend(lockdown(machine));
    findings.push(room(machine, "disk", &paths.cache, DISK_GB, &fix));
    findings.extend(no_programs(machine, &paths.cache, "set XDG_CACHE_HOME to a folder on another disk"));
    findings.extend(no_programs(machine, &paths.bin, "move the checkout to another disk"));
    findings.push(inotify(machine));
    findings.push(root(machine));
    findings
}

/// What a first run costs, so that nobody starts it five minutes before the room fills.
pub fn costs(paths: &Paths) -> Vec<Finding> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Measured on two cores with cold caches: 18 minutes, all of which compiles in parallel.
    let minutes = 36_usize.div_ceil(cores);
    let built = paths.programs.is_dir();
    let say =
        if built { "built already".to_owned() } else { format!("about {minutes} minutes on {cores} cores, once") };
    vec![
        Finding::ok("building the programs", say),
        Finding::ok(
            "downloads",
            if built { "none" } else { "about 1.5 GB from the Go, Rust and npm package registries" },
        ),
    ]
}

fn kernel(machine: &dyn Machine) -> Finding {
    let text = machine.kernel();
    // CAP_BPF and ring buffers came with 5.8, 5.10 is the oldest kernel that is looked after.
    if release(&text) >= (5, 10) {
        return Finding::ok("kernel", text);
    }
    let fix = match text.to_lowercase().contains("microsoft") {
        // WSL1 says 4.4.0-…-Microsoft and has no Linux behind it.
        true => "in PowerShell: `wsl --update`, then `wsl --set-version DISTRIBUTION 2` (`wsl --list` names it)",
        false => "use a distribution with Linux 5.10 or newer",
    };
    Finding::bad("kernel", Verdict::Refusal, text, fix)
}

fn btf(machine: &dyn Machine) -> Finding {
    match machine.exists("/sys/kernel/btf/vmlinux") {
        true => Finding::ok("kernel types (BTF)", "/sys/kernel/btf/vmlinux"),
        false => Finding::bad(
            "kernel types (BTF)",
            Verdict::Refusal,
            "absent",
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y",
        ),
    }
}

/// In its mode `confidentiality` not even root may read the kernel's memory, which every probe does.
fn lockdown(machine: &dyn Machine) -> Option<Finding> {
    let modes = machine.read("/sys/kernel/security/lockdown")?;
    modes.contains("[confidentiality]").then(|| {
        Finding::bad(
            "kernel lockdown",
            Verdict::Refusal,
            "confidentiality: no program may read the kernel's memory, and so no probe",
            "boot without lockdown=confidentiality; lockdown=integrity, as Secure Boot has it, will do",
        )
    })
}

/// Whether a cluster that takes this much fits.
pub fn memory(machine: &dyn Machine, needed: f64) -> Finding {
    let text = machine.read("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0);
    let gigabytes = kilobytes / 1e6;
    let measured = format!("{gigabytes:.1} GB available, {needed} needed for each cluster");
    if gigabytes >= needed {
        return Finding::ok("memory", measured);
    }
    let fix = match is_wsl(machine) {
        true => "in %UserProfile%\\.wslconfig: [wsl2] memory=8GB; then `wsl --shutdown`",
        false => "end programs that take memory, or give the machine more",
    };
    Finding::bad("memory", Verdict::Refusal, measured, fix)
}

fn is_wsl(machine: &dyn Machine) -> bool {
    machine.kernel().to_lowercase().contains("microsoft")
}

/// Whether the disk that holds a folder has this much free; a quarter of it is enough for what was built or pulled before.
pub fn room(machine: &dyn Machine, what: &str, folder: &Path, needed: f64, fix: &str) -> Finding {
    let existing = folder.ancestors().find(|folder| machine.exists(&folder.to_string_lossy()));
    let existing = existing.unwrap_or(Path::new("/")).display().to_string();
    let table = machine.output("df", &["-P", "-k", &existing]).unwrap_or_default();
    let kilobytes = table.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<f64>().ok());
    let free = kilobytes.unwrap_or(0.0) * 1024.0 / 1e9;
    let measured = format!("{free:.0} GB free at {existing}, {needed} needed the first time");
    match free {
        free if free >= needed => Finding::ok(what, measured),
        free if free >= needed / 4.0 => Finding::bad(what, Verdict::Warning, measured, fix),
        _ => Finding::bad(what, Verdict::Refusal, measured, fix),
    }
}

/// A disk from which the kernel starts no programs, where programs will lie.
pub fn no_programs(machine: &dyn Machine, folder: &Path, fix: &str) -> Option<Finding> {
    let mounts = machine.read("/proc/self/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.nth(1)?))
    });
    let (point, options) =
        mounts.filter(|(point, _)| folder.starts_with(point)).max_by_key(|(point, _)| point.len())?;
    options.split(',').any(|option| option == "noexec").then(|| {
        let measured = format!("{} is on {point}, from which no program starts (noexec)", folder.display());
        Finding::bad("programs", Verdict::Refusal, measured, fix)
    })
}

/// Each kubelet and containerd takes some; three nodes come near the kernel's default of 128.
fn inotify(machine: &dyn Machine) -> Finding {
    let Some(limit) = inotify::limit(machine) else { return Finding::ok("inotify", "no limit") };
    let measured = format!("{limit} instances a user");
    match limit {
        256.. => Finding::ok("inotify", measured),
        128.. => {
            let clusters = limit / inotify::OF_A_CLUSTER;
            let fix = format!("enough for {clusters} clusters; for more: {}", inotify::FIX);
            Finding::bad("inotify", Verdict::Warning, measured, &fix)
        }
        _ => Finding::bad("inotify", Verdict::Refusal, measured, inotify::FIX),
    }
}

fn root(machine: &dyn Machine) -> Finding {
    let status = machine.read("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    if !machine.is_root() {
        return match (field("NoNewPrivs:"), machine.has("sudo")) {
            ("1", _) => Finding::bad(
                "root",
                Verdict::Refusal,
                "no, and sudo can't give it: this shell runs with no_new_privs",
                "use a shell outside of the sandbox or container that started this one",
            ),
            (_, true) => Finding::ok("root", "by sudo, asked for when needed"),
            (_, false) => Finding::bad("root", Verdict::Refusal, "no, and no sudo", "run as root, or install sudo"),
        };
    }
    let held = u64::from_str_radix(field("CapEff:"), 16).unwrap_or(u64::MAX);
    let users = machine.read("/proc/self/uid_map").unwrap_or_default();
    let outside = "use the machine itself, or a container that was started with --privileged";
    // The first namespace maps every user to itself.
    if users.split_whitespace().nth(2).is_some_and(|count| count != u32::MAX.to_string()) {
        return Finding::bad("root", Verdict::Refusal, "of a user namespace only, where nobody loads a probe", outside);
    }
    match CAPABILITIES.iter().find(|(bit, _)| held & bit == 0) {
        Some((_, name)) => {
            Finding::bad("root", Verdict::Refusal, format!("without {name}, as in a container"), outside)
        }
        None => Finding::ok("root", "yes"),
    }
}

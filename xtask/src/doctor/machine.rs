//! What the kernel, the memory, the disk and the network of this machine say.

use std::{fs, net::Ipv4Addr, path::Path};

use interface::{
    Number, Paths,
    range::{self, Range, Route},
};
use nix::sys::{statvfs::statvfs, utsname::uname};

use super::{Finding, Verdict};

/// Three nodes with all labs take under 2 GB; a compiler beside them takes the rest.
const MEMORY_GB: f64 = 3.0;
/// Go's and cargo's caches, the programs, the images and three nodes' copies of them.
const DISK_GB: f64 = 12.0;

/// What the labs need wherever the cluster runs.
pub fn findings(paths: &Paths) -> Vec<Finding> {
    let mending = format!("free up to {DISK_GB} GB, or set XDG_CACHE_HOME to a larger disk");
    vec![kernel(), btf(), room("disk", &paths.cache, DISK_GB, &mending), inotify(), root()]
}

/// What a cluster straight on this machine needs.
pub fn host(number: Number) -> Vec<Finding> {
    let mut findings = vec![memory(MEMORY_GB), cgroup()];
    findings.extend(filesystems());
    // With `auto`, `lab` looks for a number whose addresses are free.
    if let Number::Of(number) = number {
        findings.push(addresses(number, &range::routes()));
    }
    findings
}

/// What a first run costs, so that nobody starts it five minutes before the room fills.
pub fn costs(paths: &Paths) -> Vec<Finding> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Measured on two cores with cold caches: Go 10 minutes beside 6 of Rust; all of it compiles in parallel.
    let minutes = 2 * 16 / (cores + 1).max(2);
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

fn kernel() -> Finding {
    let release = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    match (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) {
        // CAP_BPF and ring buffers came with 5.8, 5.10 is the oldest kernel that is looked after.
        (major, minor) if (major, minor) >= (5, 10) => Finding::ok("kernel", release),
        _ => Finding::bad("kernel", Verdict::Refusal, release, "use a distribution with Linux 5.10 or newer"),
    }
}

fn btf() -> Finding {
    match Path::new("/sys/kernel/btf/vmlinux").exists() {
        true => Finding::ok("kernel types (BTF)", "/sys/kernel/btf/vmlinux"),
        false => Finding::bad(
            "kernel types (BTF)",
            Verdict::Refusal,
            "absent",
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y",
        ),
    }
}

/// Whether a cluster that takes this much fits.
pub fn memory(needed: f64) -> Finding {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0);
    let gigabytes = kilobytes / 1e6;
    let measured = format!("{gigabytes:.1} GB available, {needed} needed for each cluster");
    match gigabytes >= needed {
        true => Finding::ok("memory", measured),
        false => Finding::bad(
            "memory",
            Verdict::Refusal,
            measured,
            "end programs that take memory, or give the machine more",
        ),
    }
}

/// Whether the disk that holds a folder has this much free; a quarter of it is enough for what was built or pulled before.
pub fn room(what: &str, folder: &Path, needed: f64, mending: &str) -> Finding {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let free =
        statvfs(existing).map(|stat| stat.blocks_available() as f64 * stat.fragment_size() as f64 / 1e9).unwrap_or(0.0);
    let measured = format!("{free:.0} GB free at {}, {needed} needed the first time", existing.display());
    match free {
        free if free >= needed => Finding::ok(what, measured),
        free if free >= needed / 4.0 => Finding::bad(what, Verdict::Warning, measured, mending),
        _ => Finding::bad(what, Verdict::Refusal, measured, mending),
    }
}

/// Each kubelet and containerd takes some; three nodes come near the kernel's default of 128.
fn inotify() -> Finding {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse::<u32>().ok();
    let instances = read("max_user_instances").unwrap_or(0);
    let measured = format!("{instances} instances a user");
    match instances {
        256.. => Finding::ok("inotify", measured),
        128.. => Finding::bad(
            "inotify",
            Verdict::Warning,
            measured,
            "enough for one cluster; for more: sudo sysctl fs.inotify.max_user_instances=512",
        ),
        _ => Finding::bad("inotify", Verdict::Refusal, measured, "sudo sysctl fs.inotify.max_user_instances=512"),
    }
}

fn cgroup() -> Finding {
    match Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        true => Finding::ok("cgroups", "version 2"),
        false if Path::new("/sys/fs/cgroup/memory").exists() => {
            Finding::ok("cgroups", "version 1 (works up to Kubernetes 1.34)")
        }
        false => {
            Finding::bad("cgroups", Verdict::Refusal, "not mounted", "mount them at /sys/fs/cgroup, as systemd does")
        }
    }
}

fn filesystems() -> Option<Finding> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    // A module that is not loaded yet is not listed: only a kernel that can't load any is refused.
    let missing = !known.lines().any(|line| line.ends_with("\toverlay")) && !Path::new("/proc/modules").exists();
    missing.then(|| {
        Finding::bad("overlayfs", Verdict::Refusal, "unknown to this kernel", "use a kernel with CONFIG_OVERLAY_FS")
    })
}

fn root() -> Finding {
    match nix::unistd::geteuid().is_root() {
        true => Finding::ok("root", "yes"),
        false if crate::found::find("sudo").is_some() => Finding::ok("root", "by sudo, asked for when needed"),
        false => Finding::bad("root", Verdict::Refusal, "no, and no sudo", "run as root, or install sudo"),
    }
}

/// The host gets a route to the nodes and one to the LoadBalancer addresses; one that is there already would swallow them.
fn addresses(number: u8, routes: &[Route]) -> Finding {
    let range = |third: u8| Range { base: Ipv4Addr::new(172, 18, third, 0), bits: 24 };
    let ours = [range(100 + number), range(number)];
    let overlaps =
        |route: &&Route| ours.iter().any(|ours| ours.overlaps(route.to)) && !route.link.starts_with("ebpf-lab");
    if let Some(route) = routes.iter().find(overlaps) {
        let mending = "choose another cluster with --number N, or remove that route (a VPN's, Docker's or kind's)";
        return Finding::bad("addresses", Verdict::Refusal, format!("the route {route} overlaps the lab's"), mending);
    }
    Finding::ok("addresses", format!("{} and {} are free", ours[0], ours[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(to: &str, link: &str) -> Route {
        Route { to: Range::parse(to).unwrap(), link: link.to_owned() }
    }

    #[test]
    fn a_route_that_overlaps_is_refused_and_named() {
        let finding = addresses(1, &[route("172.18.0.0/16", "br-kind")]);
        assert_eq!(finding.verdict, Verdict::Refusal);
        assert!(finding.measured.contains("172.18.0.0/16 via br-kind"), "{finding:?}");
    }

    #[test]
    fn our_own_routes_and_others_are_no_overlap() {
        let routes = [route("172.17.0.0/16", "docker0"), route("172.18.101.0/24", "ebpf-lab-1")];
        assert_eq!(addresses(1, &routes).verdict, Verdict::Ok);
    }
}

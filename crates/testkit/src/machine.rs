//! This machine: what addresses a cluster gets on it, and what one could leave behind, to compare before and after.

use std::{collections::BTreeSet, fs, net::Ipv4Addr, path::Path, process::Command};

use lab_cli::{
    Machine,
    base::{self, Base},
    machine::Said,
    taken::taken,
};

/// The first two numbers of the addresses that host cluster `number` has or, if there is none, will have.
pub fn base(number: u8) -> Base {
    let kept = fs::read_to_string(format!("/var/lib/ebpf-lab/{number}/addresses"));
    kept.ok().and_then(|text| Base::parse(&text)).unwrap_or_else(|| {
        let taken = taken(&Here).unwrap_or_else(|obstacle| panic!("{}", obstacle.what));
        base::choose(number, &taken).unwrap_or_else(|taken| panic!("{taken}")).base
    })
}

/// This machine's address among the nodes of host cluster `number`.
pub fn among_nodes(number: u8) -> Ipv4Addr {
    let [a, b, c, _] = base(number).nodes(number).base.octets();
    Ipv4Addr::new(a, b, c, 254)
}

struct Here;

impl Machine for Here {
    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(path).ok()
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn has(&self, program: &str) -> bool {
        self.run(program, &[]).is_some()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Option<Said> {
        let output = Command::new(program).args(arguments).output().ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Said { ok: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Everything that `clean` must give back, one line each.
pub fn traces() -> BTreeSet<String> {
    let mut traces = BTreeSet::new();
    let mut add =
        |kind: &str, lines: Vec<String>| traces.extend(lines.into_iter().map(|line| format!("{kind}: {line}")));
    add("link", command("ip", &["-brief", "link"], 1));
    add("route", command("ip", &["route", "show", "table", "all"], usize::MAX));
    add("namespace", command("ip", &["netns", "list"], 1));
    add("nft table", command("nft", &["list", "tables"], usize::MAX));
    add("mount", mounts());
    add("cgroup", cgroups());
    add("process", processes());
    for folder in ["/run", "/var/lib", "/var/log", "/etc", "/opt", "/usr/libexec", "/tmp"] {
        add("file", entries(folder));
    }
    for sysctl in ["net/ipv4/ip_forward", "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"] {
        let value = fs::read_to_string(format!("/proc/sys/{sysctl}")).unwrap_or_default();
        add("sysctl", vec![format!("{sysctl} = {}", value.trim())]);
    }
    traces
}

/// What of `after` was not there before, and what of `before` is gone.
pub fn difference(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<String> {
    let gone = before.difference(after).map(|trace| format!("- {trace}"));
    gone.chain(after.difference(before).map(|trace| format!("+ {trace}"))).collect()
}

/// The first `words` words of each line that a command prints.
fn command(program: &str, args: &[&str], words: usize) -> Vec<String> {
    let output = Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| line.split_whitespace().take(words).collect::<Vec<_>>().join(" ")).collect()
}

fn mounts() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/mounts").expect("read /proc/mounts");
    mounts.lines().map(|line| line.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" ")).collect()
}

/// Those that we, kubelet or containerd make; systemd and other supervisors make and remove theirs all the time.
fn cgroups() -> Vec<String> {
    let find = ["/sys/fs/cgroup", "-mindepth", "1", "-maxdepth", "4", "-type", "d"];
    let names = ["ebpf-lab", "kubepods", "kubelet", "k8s.io", "containerd"];
    let all = command("find", &find, usize::MAX);
    all.into_iter().filter(|path| names.iter().any(|name| path.contains(name))).collect()
}

/// Programs that a cluster consists of; others come and go on a machine by themselves.
fn processes() -> Vec<String> {
    let names = ["hyperkube", "kube-", "kubelet", "etcd", "containerd", "runc", "coredns", "lab"];
    let all = procfs::process::all_processes().expect("list processes").flatten();
    let ours = all.filter(|process| process.pid() != std::process::id() as i32).flat_map(|process| process.stat());
    // One that has ended is only waiting for the machine's process 1.
    ours.filter(|stat| stat.state != 'Z' && names.iter().any(|name| stat.comm.starts_with(name)))
        .map(|stat| format!("{} {}", stat.pid, stat.comm))
        .collect()
}

fn entries(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

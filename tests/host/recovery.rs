//! What is killed comes back: `lab` itself at any step, one of the cluster's processes, all of them as after a reboot.

use std::{
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::{Run, TestCluster, rest, until};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[
    ("lab_killed_at_any_step_finishes_when_run_again", killed_lab),
    ("links_addresses_and_routes_that_were_changed_are_set_again", changed_network),
    ("a_killed_component_is_started_again", killed_component),
    ("a_cluster_that_stood_still_for_a_minute_goes_on", stopped),
    ("after_a_reboot_the_same_cluster_comes_back", reboot),
    ("no_process_of_the_cluster_runs_from_the_target_folder", independent_of_target),
];

/// `lab 2` killed with SIGKILL after these times, the cluster gone before the first: at the keys, the control plane, the
/// nodes, DNS. Then labs 3-6 likewise.
fn killed_lab(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    for (labs, after) in [("2", 300), ("2", 1500), ("2", 4000), ("2", 7000), ("3-6", 1000), ("3-6", 6000)] {
        let mut lab = cluster.command(&["lab", labs]).stderr(Stdio::null()).spawn().unwrap();
        rest(Duration::from_millis(after));
        lab.kill().unwrap();
        lab.wait().unwrap();
    }
    cluster.lab(&["lab", "2-6"]).succeeds();
    cluster.passes("2-6", "1m");
}

/// What NetworkManager, a VPN, a suspended laptop or a curious student does; `LINK` is this machine's, `CP` and `W` the namespaces.
const CHANGES: [&str; 14] = [
    "ip link set LINK down",
    "ip link set LINK down; ip link set LINK up",
    "ip addr flush dev LINK",
    "ip route flush dev LINK",
    "ip link del LINK",
    "ip -n CP link set br0 down",
    "ip -n CP link set port1 nomaster",
    "ip -n CP addr flush dev br0",
    "ip -n CP route flush dev br0",
    "ip -n W link set eth0 down",
    "ip -n W link set eth0 down; ip -n W link set eth0 up",
    "ip -n W addr flush dev eth0",
    "ip -n W link del eth0",
    "ip netns exec W sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward'",
];

fn changed_network(cluster: &TestCluster) {
    cluster.lab(&["lab", "2-6"]).succeeds();
    let n = cluster.number;
    let names = [
        ("LINK", format!("ebpf-lab-{n}")),
        ("CP", format!("ebpf-lab-{n}-control-plane")),
        ("W", format!("ebpf-lab-{n}-worker")),
    ];
    for change in CHANGES {
        let change = names.iter().fold(change.to_owned(), |change, (word, name)| change.replace(word, name));
        std::process::Command::new("sh").args(["-ec", &change]).status().unwrap();
        let run = cluster.lab(&["lab", "2"]).succeeds();
        assert!(!found_all(&run), "after {change}: {}", run.stderr);
        cluster.passes("2", "30s");
        eprintln!("{change}: set again in {:.1} s", run.took.as_secs_f64());
    }
    let run = cluster.lab(&["lab", "2"]).succeeds();
    assert!(found_all(&run), "{}", run.stderr);
    cluster.passes("3-6", "30s");
}

/// Whether `lab 2` had nothing to do for the cluster itself.
fn found_all(run: &Run) -> bool {
    let step =
        run.stderr.lines().find(|line| line.contains("start the cluster")).unwrap_or_else(|| panic!("{}", run.stderr));
    step.contains("nothing to do")
}

fn killed_component(cluster: &TestCluster) {
    cluster.lab(&["lab", "2-6"]).succeeds();
    for component in
        ["kube-apiserver", "etcd", "kube-scheduler", "kube-controller-manager", "kubelet", "containerd", "kube-proxy"]
    {
        let victim = *processes(cluster, component).first().unwrap_or_else(|| panic!("no {component} runs"));
        kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
        let back = until(Duration::from_secs(30), || processes(cluster, component).iter().any(|&pid| pid != victim));
        assert!(back, "{component} did not come back");
    }
    cluster.passes("2-6", "90s");
    let init = nodes_inits(cluster)[1];
    kill(Pid::from_raw(init), Signal::SIGKILL).unwrap();
    assert!(until(Duration::from_secs(30), || nodes_inits(cluster).iter().filter(|&&pid| pid != init).count() >= 3));
    cluster.passes("2-6", "2m");
}

fn stopped(cluster: &TestCluster) {
    cluster.lab(&["lab", "2-6"]).succeeds();
    let all = all_processes(cluster);
    signal(&all, Signal::SIGSTOP);
    sleep(Duration::from_secs(60));
    signal(&all, Signal::SIGCONT);
    let started = Instant::now();
    cluster.passes("2-6", "60s");
    eprintln!("green {:.0} s after a minute's standstill", started.elapsed().as_secs_f64());
}

fn reboot(cluster: &TestCluster) {
    cluster.lab(&["lab", "2-6"]).succeeds();
    let uid =
        |cluster: &TestCluster| cluster.kubectl(&["get", "namespace", "prometheus", "-o", "jsonpath={.metadata.uid}"]);
    let before = uid(cluster);
    power_off(cluster);
    let run = cluster.lab(&["lab", "2"]).succeeds();
    eprintln!("the cluster is back {:.1} s after a reboot", run.took.as_secs_f64());
    assert_eq!(uid(cluster), before, "it is the same cluster");
    cluster.passes("3-6", "3m");
}

/// What a reboot takes away: every process, namespace, mount, link, cgroup, and `/run`.
pub fn power_off(cluster: &TestCluster) {
    let all_are_gone = || {
        let all = all_processes(cluster);
        signal(&all, Signal::SIGKILL);
        all.is_empty()
    };
    assert!(until(Duration::from_secs(30), all_are_gone), "{:?} outlive SIGKILL", all_processes(cluster));
    let n = cluster.number;
    let script = format!(
        "for ns in $(ip netns list | awk '{{print $1}}' | grep '^ebpf-lab-{n}-'); do ip netns del $ns; done; \
         for link in $(ip -brief link | awk '{{print $1}}' | cut -d@ -f1 | grep '^ebpf-lab-{n}'); do ip link del $link; done; \
         for mount in $(awk '{{print $2}}' /proc/mounts | grep -E '/ebpf-lab/{n}(/|$)' | tac); do umount -l $mount; done; \
         find /sys/fs/cgroup -depth -type d -path '*/ebpf-lab/{n}*' -exec rmdir {{}} + 2>/dev/null; rm -rf /run/ebpf-lab/{n}"
    );
    std::process::Command::new("sh").args(["-c", &script]).status().unwrap();
}

/// Signals each; one that ended in the meantime needs none.
pub fn signal(processes: &[i32], signal: Signal) {
    for &pid in processes {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn independent_of_target(cluster: &TestCluster) {
    cluster.lab(&["lab", "2"]).succeeds();
    let target = cluster.paths().checkout.join("target");
    for pid in all_processes(cluster) {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        assert!(!program.starts_with(&target), "{} would break with `cargo clean`", program.display());
    }
}

/// The processes of this cluster that run a component, by their command line.
pub fn processes(cluster: &TestCluster, component: &str) -> Vec<i32> {
    let runs = |process: &procfs::process::Process| {
        let line = process.cmdline().unwrap_or_default();
        let name = line.first().map(|program| program.rsplit('/').next().unwrap_or_default().to_owned());
        name.as_deref() == Some(component)
    };
    let in_cluster = all_processes(cluster);
    let all = procfs::process::all_processes().unwrap().flatten();
    all.filter(|process| in_cluster.contains(&process.pid()) && runs(process)).map(|process| process.pid()).collect()
}

/// Process 1 of each node's pid namespace.
pub fn nodes_inits(cluster: &TestCluster) -> Vec<i32> {
    let init = |&pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default().split_whitespace();
        let ids: Vec<_> = ids.collect();
        ids.len() == 2 && ids[1] == "1"
    };
    all_processes(cluster).into_iter().filter(init).collect()
}

/// Every process in this cluster's cgroups.
pub fn all_processes(cluster: &TestCluster) -> Vec<i32> {
    let part = format!("/ebpf-lab/{}/", cluster.number);
    let all = procfs::process::all_processes().unwrap().flatten();
    let ours = all.filter(|process| {
        // One that nobody has waited for yet can't be killed again.
        let lives = process.stat().is_ok_and(|stat| stat.state != 'Z');
        let groups = process.cgroups();
        lives
            && groups.is_ok_and(|groups| groups.into_iter().any(|group| format!("{}/", group.pathname).contains(&part)))
    });
    ours.map(|process| process.pid()).collect()
}

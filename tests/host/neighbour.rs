//! A good neighbour: two clusters side by side, addresses that are taken, and nothing left behind.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use testkit::{TestCluster, machine, until};

use crate::{Scene, recovery::nodes_inits};

pub const SCENES: &[(&str, Scene)] = &[
    ("beside_a_compose_project_a_cluster_has_other_addresses_for_its_life", compose_project),
    ("a_machine_without_a_free_range_is_refused_before_anything_is_made", no_range_is_free),
    ("nodes_see_no_users_files_and_no_other_clusters", sight),
    ("a_group_of_the_same_name_in_a_container_is_left_alone", namesake),
    ("clean_leaves_nothing_behind_and_harms_no_other_cluster", clean),
];

/// A bridge as Docker's second network has it; goes with the value.
struct Bridge(&'static str);

impl Bridge {
    fn new(name: &'static str, addresses: &[&str]) -> Self {
        ip(&["link", "add", name, "type", "bridge"]);
        let bridge = Self(name);
        addresses.iter().for_each(|address| ip(&["address", "add", address, "dev", name]));
        ip(&["link", "set", name, "up"]);
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", self.0]).status();
    }
}

#[track_caller]
fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

/// The machine is also one of a cloud's, with addresses that the cluster's pods and Services have: those are the cluster's alone.
fn compose_project(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let before = machine::traces();
    let number = cluster.number;
    let [pods, services] = [format!("10.{}.0.2/16", 100 + number), format!("10.{number}.0.2/16")];
    let bridge = Bridge::new("br-0a1b2c3d4e5f", &["172.18.0.1/16", &pods, &services]);
    let run = cluster.lab(&["lab", "2"]).succeeds();
    let said = "addresses: 172.18.0.0/16 is taken by br-0a1b2c3d4e5f (Docker); this cluster has 172.30";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let page = format!("172.30.{number}.");
    assert!(cluster.kubectl(&["get", "ipaddresspools", "-A", "-o", "yaml"]).contains(&page));
    // The project ends: what the cluster has, it keeps.
    drop(bridge);
    let kept = cluster.lab(&["lab", "2"]).succeeds();
    assert!(!kept.stderr.contains("addresses:"), "{}", kept.stderr);
    assert_eq!(machine::base(number).to_string(), "172.30.0.0/16");
    cluster.passes("2", "30s");
    cluster.lab(&["clean"]).succeeds();
    assert_eq!(machine::difference(&before, &machine::traces()), Vec::<String>::new());
}

fn no_range_is_free(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let before = machine::traces();
    // As a VPN that takes every private address; all of 10.0.0.0/8 would take this machine's own ways with it.
    let of_ten = (200..=254).map(|second| format!("10.{second}.{}.1/24", cluster.number));
    let everything: Vec<_> = ["172.18.0.1/12", "198.18.0.1/15"].map(str::to_owned).into_iter().chain(of_ten).collect();
    let everything: Vec<_> = everything.iter().map(String::as_str).collect();
    let during = {
        let _bridge = Bridge::new("tun-everything", &everything);
        let run = cluster.lab(&["lab", "2"]);
        assert_eq!(run.code, 4, "{}", run.stderr);
        let words = "172.16.0.0/12 is taken by tun-everything (a VPN), and so is every other range";
        assert!(run.stderr.contains(words), "{}", run.stderr);
        machine::traces()
    };
    let files = |traces: &BTreeSet<String>| -> BTreeSet<String> {
        traces.iter().filter(|trace| trace.starts_with("file: ")).cloned().collect()
    };
    assert_eq!(machine::difference(&files(&before), &files(&during)), Vec::<String>::new());
    assert_eq!(machine::difference(&before, &machine::traces()), Vec::<String>::new());
}

/// What a pod with `hostPath: /` sees is the node's root, whose every file is asked for here.
fn sight(cluster: &TestCluster) {
    TestCluster::of(21).lab(&["lab", "2"]).succeeds();
    cluster.lab(&["lab", "2"]).succeeds();
    let checkout = cluster.paths().checkout.canonicalize().unwrap();
    let secrets = ["/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh", "/root/.profile", "/var/lib/ebpf-lab/21"];
    let secrets = secrets.map(PathBuf::from).into_iter().chain([checkout, cluster.paths().state.clone()]);
    let there: Vec<_> = secrets.filter(|path| path.exists()).collect();
    assert!(there.len() >= 4, "this machine has too little to hide: {there:?}");
    for (index, init) in nodes_inits(cluster).into_iter().enumerate() {
        let root = PathBuf::from(format!("/proc/{init}/root"));
        let seen = |path: &Path| root.join(path.strip_prefix("/").unwrap());
        for path in &there {
            assert!(!seen(path).exists(), "node {index} sees {}", path.display());
        }
        // The way to the programs, where they were built there.
        for home in fs::read_dir(seen(Path::new("/home"))).into_iter().flatten().flatten() {
            let files: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(files.iter().all(|file| file == ".cache"), "node {index} sees {files:?} of {home:?}");
        }
        let own = seen(&Path::new("/var/lib/ebpf-lab").join(cluster.number.to_string()));
        assert_eq!(own.join("pki/ca.key").exists(), own.join("etcd").exists(), "a worker has no key but its own");
        assert!(seen(Path::new("/etc/ssl/certs")).exists() && own.join("pki/ca.crt").exists());
    }
}

/// As a kit in a container has its groups: somewhere below the container's, under the same name.
fn namesake(cluster: &TestCluster) {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let hierarchies = mounts.lines().filter(|line| line.starts_with("cgroup"));
    let hierarchy = hierarchies.map(|line| line.split(' ').nth(1).unwrap()).find(|mount| !mount.contains("cpuset"));
    let container = Path::new(hierarchy.unwrap()).join("a-container");
    let group = container.join(format!("ebpf-lab/{}/ebpf-worker", cluster.number));
    fs::create_dir_all(&group).unwrap();
    let mut inside = Command::new("sleep").arg("600").spawn().unwrap();
    fs::write(group.join("cgroup.procs"), inside.id().to_string()).unwrap();
    cluster.lab(&["lab", "2"]).succeeds();
    cluster.lab(&["clean"]).succeeds();
    let lives = inside.try_wait().unwrap().is_none();
    inside.kill().unwrap();
    inside.wait().unwrap();
    // From the leaf upwards; the kernel lets a group go a moment after its last process.
    for folder in group.ancestors().take_while(|folder| folder.starts_with(&container)) {
        assert!(until(Duration::from_secs(5), || fs::remove_dir(folder).is_ok()), "{}", folder.display());
    }
    assert!(lives, "clean ended a process that is not the cluster's");
}

fn clean(cluster: &TestCluster) {
    let other = TestCluster::of(21);
    other.lab(&["lab", "2"]).succeeds();
    cluster.lab(&["clean"]).succeeds();
    let before = machine::traces();
    cluster.lab(&["lab", "2-3"]).succeeds();
    assert_ne!(
        machine::difference(&before, &machine::traces()),
        Vec::<String>::new(),
        "a cluster leaves traces while it is up"
    );
    cluster.lab(&["clean"]).succeeds();
    assert_eq!(machine::difference(&before, &machine::traces()), Vec::<String>::new());
    other.passes("2", "0");
}

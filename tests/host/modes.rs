//! Shells with odd umasks: a cluster has the same modes under each, so that pods run and nobody else writes.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use testkit::{Run, TestCluster};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[("a_cluster_is_the_same_whatever_the_umask", umasks)];

/// That of the most secretive shell, of the most open one, and the usual one.
const UMASKS: [&str; 3] = ["077", "000", "022"];

fn umasks(cluster: &TestCluster) {
    let mut first = None;
    for umask in UMASKS {
        cluster.lab(&["clean"]).succeeds();
        let cache = empty_cache(cluster);
        run_under(umask, cluster, cache.path(), &["lab", "2"]).succeeds();
        cluster.passes("2", "30s");
        assert_eq!(open_to_others(cluster, cache.path()), Vec::<String>::new(), "others may write under umask {umask}");
        assert_eq!(closed_roots(cluster), Vec::<String>::new(), "pods can't read their roots under umask {umask}");
        let modes = modes(cluster);
        assert_eq!(*first.get_or_insert_with(|| modes.clone()), modes, "under umask {umask}");
    }
}

/// A cache in which only the images are there already: nodes' containers are unpacked anew.
fn empty_cache(cluster: &TestCluster) -> tempfile::TempDir {
    let cache = tempfile::tempdir_in(&cluster.paths().cache).unwrap();
    let images = cluster.paths().images();
    fs::create_dir_all(&images).unwrap();
    symlink(images, cache.path().join("images")).unwrap();
    cache
}

fn run_under(umask: &str, cluster: &TestCluster, cache: &Path, arguments: &[&str]) -> Run {
    let lab = cluster.command(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask \"$0\"; exec \"$@\"", umask]).arg(lab.get_program()).args(lab.get_args());
    shell.envs(lab.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("EBPF_LAB_CACHE", cache);
    Run::of(shell.stdin(Stdio::null()))
}

/// What of the cluster's and the cache's anybody may write. What pods have made for themselves is theirs.
fn open_to_others(cluster: &TestCluster, cache: &Path) -> Vec<String> {
    let n = cluster.number;
    let files = format!(
        "find /run/ebpf-lab/{n} /var/lib/ebpf-lab/{n} /etc/cni /usr/libexec/kubernetes /var/lib/cni {} \\( -path '*/snapshots/*' \
         -o -path '*/kubelet/pods' -o -path '*/io.containerd.runtime.v2.task' -o -type l -o -type s \\) -prune -o -perm /022 \
         ! -perm -1000 -print",
        cache.display()
    );
    // Some files in them everybody may write by the kernel's own word.
    let cgroups = format!("find /sys/fs/cgroup -type d -path '*/ebpf-lab/{n}*' -perm /022");
    [lines(&files), lines(&cgroups)].concat()
}

/// Containers' roots that only root may enter.
fn closed_roots(cluster: &TestCluster) -> Vec<String> {
    let nodes = format!("/var/lib/ebpf-lab/{}/nodes", cluster.number);
    let roots = lines(&format!("find {nodes} -path '*/snapshots/*' -maxdepth 6 -name fs"));
    assert!(roots.len() > 3, "{roots:?}");
    lines(&format!("find {nodes} -path '*/snapshots/*' -maxdepth 6 -name fs ! -perm -555"))
}

/// The mode of each file and folder that every cluster has.
fn modes(cluster: &TestCluster) -> BTreeSet<String> {
    let data = format!("/var/lib/ebpf-lab/{}", cluster.number);
    let all =
        lines(&format!("cd {data} && find . -maxdepth 3 ! -path './logs/*' ! -path './etcd/*' -printf '%M %p\\n'"));
    assert!(all.len() > 40, "{all:?}");
    all.into_iter().collect()
}

fn lines(script: &str) -> Vec<String> {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

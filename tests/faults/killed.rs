//! `lab 2` and `clean`, killed at each call of `ip` in turn: at the even ones before the call is made, at the odd ones when it is done
//! but not yet known to be.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use testkit::{Scene, TestCluster, program};

pub const SCENES: &[(&str, Scene)] = &[
    ("lab_2_killed_at_each_call_finishes_when_run_again", lab_2),
    ("clean_killed_at_each_call_leaves_nothing_when_run_again", clean),
];

/// When the caller is killed, seen from its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
}

fn lab_2(cluster: &TestCluster) {
    cluster.lab(&["clean"]);
    let shim = Shim::new();
    for call in 1.. {
        let when = if call % 2 == 0 { When::Before } else { When::After };
        let was_killed = shim.run(cluster, &["lab", "2"], call, when);
        cluster.lab(&["lab", "2"]).succeeds();
        cluster.passes("2", "30s");
        cluster.lab(&["clean"]).succeeds();
        if !was_killed {
            eprintln!("lab 2 calls `ip` {} times", call - 1);
            assert!(call > 10, "it was never killed in the middle");
            return;
        }
    }
}

fn clean(cluster: &TestCluster) {
    let shim = Shim::new();
    for call in 1.. {
        cluster.lab(&["lab", "2"]).succeeds();
        let when = if call % 2 == 0 { When::Before } else { When::After };
        let was_killed = shim.run(cluster, &["clean"], call, when);
        cluster.lab(&["clean"]).succeeds();
        assert_eq!(left(cluster.number), Vec::<PathBuf>::new(), "after call {call}");
        if !was_killed {
            eprintln!("clean calls `ip` {} times", call - 1);
            return;
        }
    }
}

/// What a cluster has on this machine.
pub fn left(number: u8) -> Vec<PathBuf> {
    let namespaces = fs::read_dir("/run/netns").into_iter().flatten().flatten().map(|entry| entry.path());
    let prefix = format!("ebpf-lab-{number}-");
    let namespaces = namespaces.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&prefix));
    let folders = ["/run/ebpf-lab", "/var/lib/ebpf-lab"].map(|folder| Path::new(folder).join(number.to_string()));
    let link = Path::new("/sys/class/net").join(format!("ebpf-lab-{number}"));
    namespaces.chain(folders.into_iter().chain([link]).filter(|path| path.exists())).collect()
}

/// An `ip` that counts its calls and kills who called it at one of them.
struct Shim(tempfile::TempDir);

impl Shim {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let real = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].into_iter().find(|path| Path::new(path).exists());
        let real = real.expect("this machine has ip");
        program(
            &folder.path().join("ip"),
            &format!(
                "#!/bin/sh\n\
                 count=$(($(cat {count}) + 1)); echo $count > {count}\n\
                 if [ $count = \"$KILL_BEFORE\" ]; then kill -9 $PPID; exit 1; fi\n\
                 {real} \"$@\"; code=$?\n\
                 if [ $count = \"$KILL_AFTER\" ]; then kill -9 $PPID; fi\n\
                 exit $code\n",
                count = folder.path().join("count").display()
            ),
        );
        Self(folder)
    }

    /// Whether `lab ARGS` was killed, rather than ended by itself before it came to this call.
    fn run(&self, cluster: &TestCluster, args: &[&str], call: usize, when: When) -> bool {
        fs::write(self.0.path().join("count"), "0").unwrap();
        let variable = if when == When::Before { "KILL_BEFORE" } else { "KILL_AFTER" };
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap());
        let mut lab = cluster.command(args);
        let status = lab.env("PATH", path).env(variable, call.to_string()).stderr(Stdio::null()).status().unwrap();
        let count: usize = fs::read_to_string(self.0.path().join("count")).unwrap().trim().parse().unwrap();
        eprintln!("{args:?}, killed {when:?} call {call}: {status}");
        count >= call
    }
}

//! Two users of one machine, who both mean cluster N: the second is told whose it is, and can neither use, change nor remove it.
//! Users are real ones, and `lab` is root for them as sudo has it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
    process::Command,
};

use testkit::{Run, TestCluster};

use crate::{Scene, recovery::power_off};

pub const SCENES: &[(&str, Scene)] = &[("a_cluster_is_its_users_alone_also_after_a_reboot", two_users)];

/// All that uses a cluster, changes or removes it.
const COMMANDS: [&[&str]; 13] = [
    &["lab", "2"],
    &["lab", "all"],
    &["check", "2", "--wait", "0"],
    &["status"],
    &["query", "up"],
    &["open"],
    &["traffic"],
    &["kubectl", "get", "nodes"],
    &["kubeconfig"],
    &["shell"],
    &["images", "load"],
    &["reset", "2"],
    &["clean"],
];

fn two_users(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let (alice, bob) = (User::add(cluster, "lab-test-alice"), User::add(cluster, "lab-test-bob"));
    alice.lab(cluster, &["lab", "2"]).succeeds();
    alice.owns_what_was_made();
    alice.lab(cluster, &["kubectl", "get", "nodes"]).succeeds();
    for command in COMMANDS {
        bob.is_refused(cluster, command, "lab-test-alice's");
    }
    let run = cluster.lab(&["clean"]);
    assert!(
        run.code == 4 && run.stderr.contains("to have it nevertheless: rm /var/lib/"),
        "root itself is told how: {}",
        run.stderr
    );
    assert!(!bob.home.path().join("state").join(format!("host-{}/kubeconfig", cluster.number)).exists());
    alice.lab(cluster, &["check", "2", "--wait", "10s"]).succeeds();

    power_off(cluster);
    bob.is_refused(cluster, &["lab", "2"], "lab-test-alice's");
    alice.lab(cluster, &["lab", "2"]).succeeds();
    alice.lab(cluster, &["clean"]).succeeds();
    assert!(bob.lab(cluster, &["status"]).succeeds().stdout.contains("is not running"), "what nobody has is anybody's");
}

/// A user of this machine, with folders of their own; gone when dropped.
struct User {
    name: &'static str,
    ids: (u32, u32),
    home: tempfile::TempDir,
}

impl User {
    fn add(cluster: &TestCluster, name: &'static str) -> Self {
        // One may be left of a test that was killed.
        let _ = Command::new("userdel").arg(name).output();
        run(Command::new("useradd").args(["--no-create-home", "--user-group", name]));
        let home = tempfile::tempdir().unwrap();
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        let number = |field| line.split(':').nth(field).unwrap().parse().unwrap();
        let user = Self { name, ids: (number(2), number(3)), home };
        user.give(user.home.path());
        // Programs where this user sees them, too.
        let programs = user.home.path().join("programs");
        fs::create_dir(&programs).unwrap();
        run(Command::new("mount").arg("--bind").args([&cluster.paths().programs, &programs]));
        user
    }

    fn give(&self, path: &Path) {
        chown(path, Some(self.ids.0), Some(self.ids.1)).unwrap();
    }

    fn lab(&self, cluster: &TestCluster, arguments: &[&str]) -> Run {
        let mut lab = cluster.command(arguments);
        for folder in ["cache", "state", "programs"] {
            lab.env(format!("EBPF_LAB_{}", folder.to_uppercase()), self.home.path().join(folder));
        }
        lab.env("SUDO_UID", self.ids.0.to_string()).env("SUDO_GID", self.ids.1.to_string());
        Run::of(lab.env("HOME", self.home.path()))
    }

    #[track_caller]
    fn is_refused(&self, cluster: &TestCluster, arguments: &[&str], whose: &str) {
        let run = self.lab(cluster, arguments);
        assert!(run.code == 4 && run.stderr.contains(whose), "{arguments:?}: {} {}", run.code, run.stderr);
        assert!(run.stderr.contains("hint: take one of your own: --number "), "{arguments:?}: {}", run.stderr);
    }

    /// But for the nodes' unpacked images, which are root's.
    #[track_caller]
    fn owns_what_was_made(&self) {
        for folder in ["cache/images", "state"] {
            let all = walkdir::WalkDir::new(self.home.path().join(folder));
            let others = all.into_iter().flatten().filter(|entry| entry.metadata().unwrap().uid() != self.ids.0);
            let others: Vec<_> = others.map(|entry| entry.path().to_owned()).collect();
            assert!(others.is_empty(), "{others:?}");
        }
        let kubeconfigs = walkdir::WalkDir::new(self.home.path().join("state")).into_iter().flatten();
        let mut kubeconfigs = kubeconfigs.filter(|entry| entry.file_name() == "kubeconfig");
        assert_eq!(kubeconfigs.next().unwrap().metadata().unwrap().mode() & 0o777, 0o600);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.home.path().join("programs")).status();
        let _ = Command::new("userdel").arg(self.name).output();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

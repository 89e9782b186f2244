//! A machine like NixOS: what nodes call lies in a store of its own, links in `/run` lead there, and the usual folders lack it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use testkit::{Run, TestCluster, until};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[("nodes_find_mount_and_the_like_in_the_store_that_path_leads_to", store)];

/// Where the store is mounted: nodes see it, as they see /nix, and it is nobody's on any machine.
const STORE: &str = "/usr/src";
const TOOLS: [&str; 4] = ["ip", "mount", "nft", "umount"];

fn store(cluster: &TestCluster) {
    let machine = Machine::start();
    machine.lab(cluster, &["clean"]).succeeds();
    machine.lab(cluster, &["lab", "2"]).succeeds();
    // Their tokens are volumes that kubelet mounts, cluster DNS is a Service.
    let check = machine.lab(cluster, &["check", "2", "--wait", "1m"]);
    machine.lab(cluster, &["clean"]).succeeds();
    check.succeeds();

    fs::remove_file(machine.store().join("umount")).unwrap();
    let run = machine.lab(cluster, &["lab", "2"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("`umount`") && run.stderr.contains("util-linux"), "{}", run.stderr);
}

/// A mount namespace in which the machine's own tools are no programs.
struct Machine {
    folder: TempDir,
    links: TempDir,
    holder: Child,
}

impl Machine {
    fn start() -> Self {
        let (folder, links) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/run").unwrap());
        let store = folder.path().join("a0-tools/bin");
        fs::create_dir_all(&store).unwrap();
        let nothing = folder.path().join("nothing");
        fs::write(&nothing, "").unwrap();
        let mut hiding = format!("set -e; mount --bind {} {STORE}; ", folder.path().display());
        for tool in TOOLS {
            let file = find(tool);
            fs::copy(&file, store.join(tool)).unwrap();
            symlink(Path::new(STORE).join("a0-tools/bin").join(tool), links.path().join(tool)).unwrap();
            let mount = store.join("mount");
            hiding.push_str(&format!("{} --bind {} {}; ", mount.display(), nothing.display(), file.display()));
        }
        hiding.push_str("exec cat");
        let mut unshare = Command::new("unshare");
        let holder = unshare.args(["--mount", "sh", "-c", &hiding]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let machine = Self { folder, holder: holder.spawn().unwrap(), links };
        let hidden = || machine.command("/usr/bin/env").args(["mount", "--version"]).output().unwrap();
        assert!(until(Duration::from_secs(10), || !hidden().status.success()), "{:?}", hidden());
        machine
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("a0-tools/bin")
    }

    /// A program in the namespace.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id())).arg(program.as_ref());
        command
    }

    fn lab(&self, cluster: &TestCluster, args: &[&str]) -> Run {
        let started = Instant::now();
        let lab = cluster.command(args);
        let mut inside = self.command(lab.get_program());
        let environment = lab.get_envs().filter_map(|(name, value)| Some((name, value?)));
        inside.args(lab.get_args()).envs(environment);
        inside.env("PATH", format!("{}:{}", self.links.path().display(), std::env::var("PATH").unwrap()));
        Run::new(inside.output().unwrap(), started.elapsed())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // `cat` ends with its stdin.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// The file of a tool of this machine.
fn find(tool: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(|folder| Path::new(folder).join(tool));
    folders.iter().find_map(|file| fs::canonicalize(file).ok()).unwrap_or_else(|| panic!("this machine has no {tool}"))
}

//! The store outlives what happens to its writers: they are killed, there are many of them, the disk is full.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::Value;
use tempfile::TempDir;
use testkit::registry::{TestRegistry, Wants};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/probe.bpf.c");

/// At so many moments of its time a writer is killed, the last of them after its usual end.
const MOMENTS: u32 = 20;

#[test]
fn an_import_that_is_killed_leaves_a_store_that_works() {
    let world = World::new();
    let archive = world.archive(40);
    let import = ["import", &archive];
    world.is_killed_at_many_moments(&import);
    world.works_after(&import, 40);
}

#[test]
fn a_build_that_is_killed_leaves_a_store_that_works() {
    let world = World::new();
    let build = ["build", SOURCE, "probe:v1"];
    // Most of it is clang; the end is what writes.
    world.is_killed_at_many_moments(&build);
    world.works_after(&build, 1);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn a_pull_that_is_killed_leaves_a_store_that_works() {
    let (here, there) = (World::new(), World::new());
    let registry = TestRegistry::start("127.0.0.1:0".parse().unwrap(), Wants::default());
    let name = format!("{}/room/probe:v1", registry.host());
    here.succeeds(&["build", SOURCE, &name]);
    here.succeeds(&["push", &name]);
    let pull = ["pull", &name];
    there.is_killed_at_many_moments(&pull);
    there.works_after(&pull, 1);
}

#[test]
fn what_a_killed_writer_left_is_no_probe_and_goes_with_the_next() {
    let world = World::new();
    world.succeeds(&["build", SOURCE, "probe:v1"]);
    for place in ["store/.tmpAbCdEf", "store/blobs/sha256/.tmpAbCdEf"] {
        fs::write(world.path(place), "half of a pro").unwrap();
    }
    assert_eq!(world.listed().len(), 1);
    world.succeeds(&["tag", "probe:v1", "probe:v2"]);
    assert_eq!((world.listed().len(), world.unfinished()), (2, vec![]));
}

#[test]
fn four_processes_that_write_at_once_lose_nothing() {
    let world = World::new();
    world.succeeds(&["build", SOURCE, "probe:v1"]);
    thread::scope(|scope| {
        for writer in 0..4 {
            let world = &world;
            scope.spawn(move || {
                for number in 0..25 {
                    world.succeeds(&["tag", "probe:v1", &format!("probe{writer}:v{number}")]);
                }
            });
        }
    });
    assert_eq!(world.listed().len(), 101);
}

#[test]
#[ignore = "needs root (mounts a file system)"]
fn a_full_disk_is_said_and_hurts_nothing_that_is_stored() {
    let world = World::new();
    let disk = Disk::mount(world.path("store"));
    world.succeeds(&["build", SOURCE, "probe:v1"]);
    let filler = world.path("store/filler");
    let left = world.path("store/blobs/sha256").join("0".repeat(64));
    fs::write(&left, vec![2; 16 << 10]).unwrap();
    fs::write(&filler, vec![1; 4 << 20]).unwrap_err();
    let output = world.bee(&["build", SOURCE, "more:v1", "--cflags=-DMORE -O1"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("write to the store") && said.contains("No space left"),
        "{said}"
    );
    assert!(said.contains("hint: make room") && !said.contains("panicked"), "{said}");
    assert_eq!((world.listed().len(), world.unfinished()), (1, vec![]));
    world.succeeds(&["inspect", "probe:v1"]);
    world.succeeds(&["rm", "probe:v1"]);
    assert!(!left.exists() && world.listed().is_empty());
    fs::remove_file(&filler).unwrap();
    world.succeeds(&["build", SOURCE, "more:v1", "--cflags=-DMORE -O1"]);
    assert_eq!(world.listed(), ["more:v1"]);
    drop(disk);
}

/// A small file system of its own.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        mount(Some("tmpfs"), &folder, Some("tmpfs"), MsFlags::empty(), Some("size=256k")).unwrap();
        Self(folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Somebody with a store.
struct World(TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bee(&self, arguments: &[&str]) -> Command {
        let mut bee = Command::new(env!("CARGO_BIN_EXE_bee"));
        bee.env("HOME", self.0.path()).env("TMPDIR", self.0.path()).env_remove("DOCKER_CONFIG");
        bee.arg("--storage").arg(self.path("store")).args(arguments);
        bee
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.bee(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The names of what is stored, all of which is whole.
    #[track_caller]
    fn listed(&self) -> Vec<String> {
        let listed: Vec<Value> = serde_json::from_slice(&self.succeeds(&["list", "--json"])).unwrap();
        listed.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Kills it at moments of the time that it takes on this machine, in another's store.
    #[track_caller]
    fn is_killed_at_many_moments(&self, arguments: &[&str]) {
        let started = Instant::now();
        Self::new().succeeds(arguments);
        let whole = started.elapsed();
        let killed = (0..MOMENTS).filter(|moment| self.is_killed(arguments, whole * *moment / (MOMENTS - 5))).count();
        assert!(killed > 2, "it was always faster");
    }

    /// Whether it was killed before its end; the store is readable either way.
    #[track_caller]
    fn is_killed(&self, arguments: &[&str], moment: Duration) -> bool {
        let mut bee = self.bee(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(moment);
        let _ = bee.kill();
        let status = bee.wait().unwrap();
        assert!(status.success() || status.code().is_none(), "it failed where it was not killed: {status}");
        self.listed();
        !status.success()
    }

    /// The next of the kind works, and nothing half-done is left.
    #[track_caller]
    fn works_after(&self, arguments: &[&str], probes: usize) {
        self.succeeds(arguments);
        let names = self.listed();
        assert_eq!((names.len(), self.unfinished()), (probes, vec![]));
        names.iter().for_each(|name| drop(self.succeeds(&["inspect", name])));
    }

    /// Files in the store that are neither its documents nor named by a digest.
    fn unfinished(&self) -> Vec<PathBuf> {
        let files = |folder: &Path| fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let folders = [self.path("store"), self.path("store/blobs/sha256")];
        let unfinished = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with(".tmp");
        folders.iter().flat_map(|folder| files(folder)).filter(unfinished).collect()
    }

    /// An archive of so many probes, from another store.
    fn archive(&self, probes: usize) -> String {
        let (other, archive) = (Self::new(), self.path("probes.tar"));
        other.succeeds(&["build", SOURCE, "probe:v0"]);
        let names: Vec<_> = (0..probes).map(|number| format!("probe:v{number}")).collect();
        names.iter().skip(1).for_each(|name| drop(other.succeeds(&["tag", "probe:v0", name])));
        let archive = archive.to_str().unwrap().to_owned();
        let mut export = other.bee(&["export", "--output", &archive]);
        assert!(export.args(&names).status().unwrap().success());
        archive
    }
}

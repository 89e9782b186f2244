//! bee becomes root to load probes. What it writes in somebody's folders meanwhile is theirs, and no link there leads it elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::probe;

/// Somebody who is not root.
const SOMEBODY: u32 = 65534;

const PROBE: &str = "SEC(\"raw_tp/sys_enter\") int watch(void *ctx) { return 0; }\n";

/// A folder of somebody's, and root in it.
struct World(TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        probe::build(Command::new(env!("CARGO_BIN_EXE_bee")), world.0.path(), PROBE);
        chown(world.0.path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bee(&self, arguments: &[&str]) -> Output {
        let mut bee = Command::new(env!("CARGO_BIN_EXE_bee"));
        bee.current_dir(&self.0).env("HOME", self.0.path()).env_remove("DOCKER_CONFIG");
        bee.args(arguments).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) {
        let output = self.bee(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Everything below a folder.
fn all(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { [vec![path.clone()], all(&path)].concat() } else { vec![path] };
    entries.flat_map(below).collect()
}

#[test]
#[ignore = "needs root (loads probes)"]
fn what_root_writes_in_somebodys_folders_is_theirs() {
    let world = World::new();
    let before = all(world.0.path());
    world.succeeds(&["run", "probe.o", "--prom-port=0", "--timeout=50ms", "--record", "run.bee", "--debug"]);
    world.succeeds(&["build", "probe.c", "probe:v1", "--output-file", "built.o"]);
    world.succeeds(&["tag", "probe:v1", "probe:v2"]);
    world.succeeds(&["export", "probe:v1", "--output", "probes.tar"]);
    world.succeeds(&["package", "probe:v1", "runner:v1", "--output", "image.tar"]);
    world.succeeds(&["init", "--program-type=Network", "--map=HashMap", "--output-type=print", "--file=new.c"]);
    let made: Vec<_> = all(world.0.path()).into_iter().filter(|path| !before.contains(path)).collect();
    for name in ["run.bee", "debug.log", "built.o", ".bumblebee/store/index.json", "probes.tar", "image.tar", "new.c"] {
        assert!(made.contains(&world.path(name)), "{name} is not there: {made:?}");
    }
    let of_others: Vec<_> = made.iter().filter(|path| fs::symlink_metadata(path).unwrap().uid() != SOMEBODY).collect();
    assert!(of_others.is_empty(), "{of_others:?}");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn root_writes_through_no_link_of_somebodys() {
    let (world, roots) = (World::new(), tempfile::tempdir().unwrap());
    let (file, folder) = (roots.path().join("file"), roots.path().join("folder"));
    fs::write(&file, "").unwrap();
    fs::create_dir(&folder).unwrap();
    symlink(&file, world.path("debug.log")).unwrap();
    symlink(&file, world.path("run.bee")).unwrap();
    symlink(&folder, world.path("link")).unwrap();
    std::os::unix::fs::lchown(world.path("link"), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let run = ["run", "probe.o", "--prom-port=0", "--timeout=50ms"];
    world.succeeds(&[&run[..], &["--debug"]].concat());
    assert!(fs::symlink_metadata(world.path("debug.log")).unwrap().is_file(), "it took the link's place");
    assert!(!world.bee(&[&run[..], &["--record", "run.bee"]].concat()).status.success());
    for option in [&["--record", "link/run.bee"][..], &["--record", "link/deep/run.bee"]] {
        assert!(!world.bee(&[&run[..], option].concat()).status.success(), "{option:?}");
    }
    assert!(!world.bee(&["--storage", "link", "build", "probe.c", "probe:v1"]).status.success());
    assert_eq!(fs::read(&file).unwrap(), b"", "what is root's was written");
    assert_eq!(all(&folder), Vec::<PathBuf>::new());
}

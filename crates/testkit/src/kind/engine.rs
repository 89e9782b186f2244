//! A Docker engine of the tests' own: its data, its socket and its containers stand in one folder and go with it.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use lab_cli::Paths;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use procfs::process::Process;
use serde_json::json;

use crate::until;

/// What the engine calls in place of runc; it says why itself.
const RUNTIME: &str = "tests/kind/node-image/runc-nosysres";
/// The interfaces that were there before the engine, by a name each line.
const LINKS: &str = "links";

/// A Docker engine of the tests' own; it ends with the value.
pub struct Engine {
    folder: PathBuf,
    /// None if a killed run left it.
    daemon: Option<Child>,
}

impl Engine {
    /// Starts it, or goes on with what a killed run left.
    pub fn start(paths: &Paths) -> Self {
        let mut engine = Self { folder: paths.cache.join("kind-node/engine"), daemon: None };
        if engine.answers() {
            return engine;
        }
        engine.clear();
        fs::create_dir_all(&engine.folder).unwrap();
        fs::write(engine.folder.join(LINKS), Vec::from_iter(links()).join("\n")).unwrap();
        let runtime = paths.checkout.join(RUNTIME);
        fs::write(engine.configuration(), configuration(&engine.folder, &runtime)).unwrap();
        let log = File::create(engine.log()).unwrap();
        let mut daemon = Command::new("dockerd");
        daemon.arg("--config-file").arg(engine.configuration());
        // Of a group of its own: an interrupt at a terminal is for the tests, which end it in order.
        daemon.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        engine.daemon = Some(daemon.spawn().unwrap_or_else(|error| panic!("start dockerd: {error}")));
        let started = until(Duration::from_secs(30), || engine.answers() || engine.has_ended());
        assert!(started && engine.answers(), "dockerd does not answer:\n{}", engine.last_words());
        engine
    }

    /// `docker` on this engine.
    pub fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_HOST", self.docker_host());
        docker
    }

    /// Where it listens, as `DOCKER_HOST` says it.
    pub fn docker_host(&self) -> OsString {
        let mut url = OsString::from("unix://");
        url.push(self.folder.join("docker.sock"));
        url
    }

    fn answers(&self) -> bool {
        self.docker().arg("version").output().is_ok_and(|output| output.status.success())
    }

    /// What `docker ARGS…` lists, a word each; nothing if the engine can't be asked.
    fn list(&self, args: &[&str]) -> Vec<String> {
        let output = self.docker().args(args).output().ok().filter(|output| output.status.success());
        let words = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        words.split_whitespace().map(str::to_owned).collect()
    }

    /// Ends the daemon with its containers and takes away whatever it made on this machine.
    fn clear(&mut self) {
        // Each is asked for what the next does alone if need be: of a daemon that died nobody can ask anything.
        let containers = self.list(&["ps", "--all", "--quiet", "--no-trunc"]);
        if !containers.is_empty() {
            let _ = self.docker().args(["rm", "--force", "--volumes"]).args(containers).output();
        }
        // With a network go the engine's rules for it in the packet filter.
        let networks = self.list(&["network", "ls", "--quiet", "--filter", "driver=bridge", "--filter", "type=custom"]);
        if !networks.is_empty() {
            let _ = self.docker().args(["network", "rm"]).args(&networks).output();
        }
        self.end();
        let before = fs::read_to_string(self.folder.join(LINKS)).unwrap_or_default();
        // Without that list nothing is known to be ours.
        if !before.is_empty() {
            let before: BTreeSet<_> = before.lines().map(str::to_owned).collect();
            let bridges: BTreeSet<_> = networks.iter().map(|id| format!("br-{id}")).collect();
            for link in links().difference(&before).filter(|link| *link == "docker0" || bridges.contains(*link)) {
                let _ = Command::new("ip").args(["link", "delete", link]).output();
            }
        }
        for point in mounts(&self.folder).iter().rev() {
            let _ = Command::new("umount").arg("--lazy").arg(point).output();
        }
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("remove {}: {error}", self.folder.display());
        }
    }

    /// Ends the daemon, in order if it can.
    fn end(&mut self) {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let Some(process) = self.process() else { return };
            // It may just have ended.
            let _ = kill(process, signal);
            until(Duration::from_secs(30), || self.has_ended());
        }
    }

    fn has_ended(&mut self) -> bool {
        self.process().is_none()
    }

    /// The daemon as long as there is one.
    fn process(&mut self) -> Option<Pid> {
        if let Some(daemon) = &mut self.daemon {
            // It is gone only when it was waited for.
            return matches!(daemon.try_wait(), Ok(None)).then(|| Pid::from_raw(daemon.id().cast_signed()));
        }
        let number = fs::read_to_string(self.folder.join("docker.pid")).ok()?.trim().parse().ok()?;
        // Another process may go about with its number.
        let words = Process::new(number).and_then(|process| process.cmdline()).ok()?;
        words.iter().any(|word| Path::new(word) == self.configuration()).then(|| Pid::from_raw(number))
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("daemon.json")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.clear();
    }
}

fn configuration(folder: &Path, runtime: &Path) -> String {
    let configuration = json!({
        "data-root": folder.join("data"),
        "exec-root": folder.join("exec"),
        "pidfile": folder.join("docker.pid"),
        "hosts": [format!("unix://{}", folder.join("docker.sock").display())],
        "runtimes": {"nosysres": {"path": runtime}},
        "default-runtime": "nosysres",
    });
    configuration.to_string()
}

/// The network interfaces of this machine.
fn links() -> BTreeSet<String> {
    let links = fs::read_dir("/sys/class/net").unwrap();
    links.map(|link| link.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// What is mounted below a folder, in the order in which it was.
fn mounts(folder: &Path) -> Vec<PathBuf> {
    let mounts = Process::myself().and_then(|process| process.mountinfo()).unwrap();
    mounts.0.into_iter().map(|mount| mount.mount_point).filter(|point| point.starts_with(folder)).collect()
}

//! Builds the Go programs of `lab/kubernetes` into the cache, once per content.
//!
//! Cold it takes about ten minutes on two cores, so `lab 1` lets it run behind at low priority as a process of its own, and
//! whoever needs the programs joins it by its lock. Go's own cache makes a killed build cheap to repeat.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use interface::{
    Paths,
    programs::{Building, State, state},
};
use sha2::{Digest, Sha256};
use xshell::{Shell, cmd};

use crate::{go_tools, progress::Line};

/// Raised when the same modules begin to give other programs.
const FORMAT: &str = "1";

/// How the folder of a build without them ends.
const WITHOUT_IMAGES: &str = "-kubernetes";

/// How often a build is tried: a download may break off.
const TRIES: usize = 3;

/// containerd without what needs libraries that this machine may not have.
const RUNTIME_TAGS: &str = "seccomp,no_btrfs,no_devmapper,no_zfs,no_aufs";

/// The content key of the programs: another module, file or compiler is another key.
pub fn key(checkout: &Path) -> Result<String> {
    let modules = checkout.join("lab/kubernetes");
    let mut hash = Sha256::new_with_prefix(FORMAT);
    for file in ["go.mod", "go.sum", "main.go", "runtime/go.mod", "runtime/go.sum"] {
        let path = modules.join(file);
        hash.update(fs::read(&path).with_context(|| format!("read {}", path.display()))?);
    }
    hash.update(std::env::consts::ARCH);
    Ok(hex::encode(&hash.finalize()[..8]))
}

/// The folder of the programs that are no images of ours: Kubernetes and containerd, all that the upstream profile needs.
pub fn without_images(key: &str) -> String {
    format!("{key}{WITHOUT_IMAGES}")
}

/// Starts the build as a process of its own at low priority, unless the programs are there or being built.
pub fn start_behind(paths: &Paths) -> Result<()> {
    if matches!(state(paths)?, State::Built | State::Building(_)) {
        return Ok(());
    }
    let building = Building::of(paths);
    fs::create_dir_all(&building.folder).with_context(|| format!("make the folder {}", building.folder.display()))?;
    let log = File::options().create(true).append(true).open(building.log())?;
    let mut xtask = Command::new("nice");
    let folder = paths.programs.file_name().unwrap_or_default();
    xtask
        .args(["-n", "19"])
        .arg(std::env::current_exe()?)
        .arg("build-programs")
        .arg(folder)
        .env("EBPF_LAB_ROOT", &paths.checkout)
        .env("PATH", go_tools::path(paths)?);
    xtask.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    xtask.spawn().context("start the build of the Go programs")?;
    Ok(())
}

/// Waits until the programs are there, building them if nobody does.
pub fn join(paths: &Paths) -> Result<()> {
    if state(paths)? == State::Built {
        return Ok(());
    }
    let line = Line::new("building Kubernetes and its companions from Go modules (about 10 minutes, once)");
    start_behind(paths)?;
    let mut looks = 0;
    loop {
        match state(paths)? {
            State::Built => return Ok(()),
            State::Building(progress) => line.show(progress.to_string()),
            State::Failed(why) => {
                bail!("could not build the Go programs; log: {}\n{why}", Building::of(paths).log().display())
            }
            // The process that was just started has not taken the lock yet.
            State::Absent if looks < 50 => {}
            State::Absent => bail!("the build of the Go programs was ended; run the same command again"),
        }
        looks = if matches!(state(paths)?, State::Absent) { looks + 1 } else { 0 };
        crate::progress::rest();
    }
}

/// The body of the process that [`start_behind`] starts: takes the lock, builds, and renames the result into place.
pub fn build(paths: &Paths) -> Result<()> {
    let building = Building::of(paths);
    fs::create_dir_all(&building.folder)?;
    let lock = File::create(building.lock())?;
    lock.lock().context("take the lock of the programs' build")?;
    if paths.programs.is_dir() {
        return Ok(());
    }
    let _ = fs::remove_file(building.failure());
    let built = build_locked(paths, &building);
    if let Err(error) = &built {
        fs::write(building.failure(), format!("{error:#}"))?;
    }
    built
}

fn build_locked(paths: &Paths, building: &Building) -> Result<()> {
    let result = building.folder.join("result");
    if result.exists() {
        fs::remove_dir_all(&result)?;
    }
    let bin = result.join("bin");
    fs::create_dir_all(&bin)?;
    let modules = paths.checkout.join("lab/kubernetes");
    let build = |what: &str, module: &Path, cgo: &str, arguments: &[&str]| {
        let job = Job { what, module, bin: &bin, cgo, arguments, building };
        (1..=TRIES).fold(bail_first(), |built, _| built.or_else(|_| job.run()))
    };
    build("Kubernetes, etcd and CoreDNS", &modules, "0", &["-ldflags", &version_flags(&modules)?, "."])?;
    build(
        "containerd, runc and CNI plugins",
        &modules.join("runtime"),
        "1",
        &["-tags", RUNTIME_TAGS, "-ldflags", "-s -w", "tool"],
    )?;
    if !paths.programs.to_string_lossy().ends_with(WITHOUT_IMAGES) {
        build("Prometheus, its operator and MetalLB", &modules, "0", &["-ldflags", "-s -w", "tool"])?;
    }
    fs::write(building.progress(), "bookinfo and kebpf (Rust)")?;
    // Whoever began with lab 1 did not wait for these two; images need them, and nothing before.
    crate::build::rust(paths, &crate::build::IN_IMAGES)?;
    pause(&modules, &bin)?;
    copy_manifests(&modules, &result.join("manifests"))?;
    fs::rename(&result, &paths.programs)
        .with_context(|| format!("move the programs to {}", paths.programs.display()))?;
    fs::remove_file(building.progress()).context("forget how far the build was")
}

fn bail_first() -> Result<()> {
    bail!("not tried yet")
}

/// One `go build`.
struct Job<'a> {
    what: &'a str,
    module: &'a Path,
    bin: &'a Path,
    cgo: &'a str,
    arguments: &'a [&'a str],
    building: &'a Building,
}

impl Job<'_> {
    fn run(&self) -> Result<()> {
        let target = self.arguments.last().copied().unwrap_or(".");
        self.note(0, 0)?;
        let total = go(self.module, &["list", "-deps", target])?.lines().count();
        let mut build = Command::new("go");
        build.current_dir(self.module).env("CGO_ENABLED", self.cgo).env("GOFLAGS", "-mod=readonly");
        build.args(["build", "-v", "-trimpath", "-o"]).arg(format!("{}/", self.bin.display())).args(self.arguments);
        let mut child = build.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("start go")?;
        let mut tail = Vec::new();
        // `go build -v` names each package that it compiles on stderr; those already in Go's cache it does not.
        for (done, line) in BufReader::new(child.stderr.take().context("read what go says")?).lines().enumerate() {
            tail.push(line?);
            if tail.len() > 20 {
                tail.remove(0);
            }
            self.note(done + 1, total)?;
        }
        let status = child.wait()?;
        ensure!(status.success(), "`go build` of {} failed ({status})\n{}", self.what, tail.join("\n"));
        Ok(())
    }

    fn note(&self, done: usize, total: usize) -> Result<()> {
        let mut file = File::create(self.building.progress())?;
        Ok(writeln!(file, "{}\n{done}\n{total}", self.what)?)
    }
}

fn go(module: &Path, arguments: &[&str]) -> Result<String> {
    let shell = Shell::new()?;
    let _folder = shell.push_dir(module);
    Ok(cmd!(shell, "go {arguments...}").quiet().ignore_stderr().read()?)
}

/// Kubernetes takes its version from link-time variables; without them it calls itself v0.0.0.
fn version_flags(module: &Path) -> Result<String> {
    let version = go(module, &["list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"])?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let at = "k8s.io/component-base/version";
    Ok(format!(
        "-s -w -X {at}.gitVersion={version} -X {at}.gitMajor={major} -X {at}.gitMinor={minor} \
         -X {at}.gitTreeState=clean -X {at}.buildDate=1970-01-01T00:00:00Z"
    ))
}

fn module_folder(module: &Path, name: &str) -> Result<PathBuf> {
    Ok(go(module, &["list", "-m", "-f", "{{.Dir}}", name])?.into())
}

/// The process that holds a pod's namespaces: Kubernetes' own forty lines of C, from its module.
fn pause(module: &Path, bin: &Path) -> Result<()> {
    let source = module_folder(module, "k8s.io/kubernetes")?.join("build/pause/linux/pause.c");
    let (shell, program) = (Shell::new()?, bin.join("pause"));
    Ok(cmd!(shell, "cc -Os -Wall -static -DVERSION=lab -o {program} {source}").quiet().run()?)
}

/// CRDs and MetalLB's objects come from their modules, not from copies in our tree.
fn copy_manifests(module: &Path, to: &Path) -> Result<()> {
    let crds = to.join("prometheus-operator-crds");
    fs::create_dir_all(&crds)?;
    let operator = module_folder(module, "github.com/prometheus-operator/prometheus-operator")?;
    for entry in fs::read_dir(operator.join("example/prometheus-operator-crd")).context("find the operator's CRDs")? {
        let entry = entry?;
        copy(&entry.path(), &crds.join(entry.file_name()))?;
    }
    let metallb = module_folder(module, "go.universe.tf/metallb")?;
    copy(&metallb.join("config/manifests/metallb-native.yaml"), &to.join("metallb-native.yaml"))
}

/// Copies the bytes, not the permissions: Go's module cache is read-only.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    fs::write(to, bytes).with_context(|| format!("write {}", to.display()))
}

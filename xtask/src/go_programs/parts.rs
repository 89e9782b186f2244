//! What a folder of programs is made of.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use lab_cli::{Paths, programs::Building};
use serde_json::Value;

use super::{Set, folder, job::Job};
use crate::{build, go};

/// Of the tools in go.mod, those that nodes start; the others lie in images.
const OF_NODES: [&str; 2] = ["github.com/containerd/", "github.com/containernetworking/"];

/// Left out of what is compiled, because nothing here calls it: Prometheus' discovery of targets in clouds, containerd's other
/// file systems, Intel's RDT, and its traces.
const TAGS: &str = "remove_all_sd,enable_kubernetes_sd,no_btrfs,no_devmapper,no_zfs,no_rdt,no_tracing";

/// Every program, or those of nodes alone.
pub fn current(paths: &Paths, set: Set, result: &Path, building: &Building) -> Result<()> {
    let (modules, bin) = (paths.checkout.join("kubernetes"), result.join("bin"));
    // Takes seconds, and a machine without a C compiler learns it now rather than in ten minutes.
    pause(&modules, &bin)?;
    let mut job = kubernetes(&modules, "go.mod")?;
    // Those that come first are compiled first: with all of them in one run, no processor waits for a linker.
    job.packages.extend(tools(&modules)?.into_iter().filter(|tool| set == Set::All || is_of_nodes(tool)));
    if set == Set::All {
        job.what = "Kubernetes, containerd and Prometheus";
    }
    job.run(&bin, building)?;
    runc(&modules).run(&bin, building)?;
    if set == Set::All {
        metallb(&modules).run(&bin, building)?;
    }
    fs::write(building.progress(), "bookinfo and kebpf (Rust)")?;
    // Whoever began with lab 1 did not wait for these two; images need them, and nothing before.
    build::rust(paths, &build::IN_IMAGES)?;
    copy_manifests(&modules, &result.join("manifests"))
}

/// The programs of today, but for Kubernetes, which is as it was one minor before.
pub fn previous(paths: &Paths, result: &Path, building: &Building) -> Result<()> {
    let today = paths.programs.with_file_name(folder(&paths.checkout, Set::All)?);
    ensure!(today.is_dir(), "the other programs have not been built: {}", today.display());
    link_all(&today, result)?;
    let bin = result.join("bin");
    fs::remove_file(bin.join("hyperkube")).context("failed to leave out today's Kubernetes")?;
    kubernetes(&paths.checkout.join("kubernetes"), "previous.mod")?.run(&bin, building)
}

/// etcd, CoreDNS and Kubernetes' components as one program.
fn kubernetes(modules: &Path, modfile: &'static str) -> Result<Job> {
    Ok(Job {
        what: "Kubernetes and containerd",
        module: modules.to_owned(),
        modfile,
        cgo: false,
        tags: TAGS,
        linker: version_flags(modules, modfile)?,
        packages: vec![".".to_owned()],
    })
}

/// The one that needs C: what it does between clone and exec can't be done in Go.
fn runc(modules: &Path) -> Job {
    Job {
        what: "runc",
        module: modules.join("runtime"),
        modfile: "go.mod",
        cgo: true,
        tags: "seccomp",
        linker: String::new(),
        packages: vec!["tool".to_owned()],
    }
}

/// Lies in images, and is written for older libraries of Kubernetes than the rest.
fn metallb(modules: &Path) -> Job {
    Job { what: "MetalLB", module: modules.join("metallb"), cgo: false, tags: "", ..runc(modules) }
}

fn tools(modules: &Path) -> Result<Vec<String>> {
    let mut list = go::command()?;
    list.current_dir(modules).args(["list", "-tags", TAGS, "tool"]);
    Ok(go::read(list)?.lines().map(str::to_owned).collect())
}

fn is_of_nodes(tool: &str) -> bool {
    OF_NODES.iter().any(|module| tool.starts_with(module))
}

/// Kubernetes takes its version from link-time variables; without them it calls itself v0.0.0.
fn version_flags(modules: &Path, modfile: &str) -> Result<String> {
    let mut list = go::command()?;
    list.current_dir(modules).args(["list", "-modfile", modfile, "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"]);
    let version = go::read(list)?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let at = "k8s.io/component-base/version";
    Ok(format!(
        "-X {at}.gitVersion={version} -X {at}.gitMajor={major} -X {at}.gitMinor={minor} -X {at}.gitTreeState=clean \
         -X {at}.buildDate=1970-01-01T00:00:00Z"
    ))
}

/// A module's files, fetched if need be.
fn sources(modules: &Path, name: &str) -> Result<PathBuf> {
    let mut download = go::command()?;
    download.current_dir(modules).args(["mod", "download", "-json", name]);
    let module: Value =
        serde_json::from_str(&go::read(download)?).context("failed to read what go says of a module")?;
    let folder =
        module["Dir"].as_str().with_context(|| format!("failed to go does not say where the files of {name} are"))?;
    Ok(folder.into())
}

/// The process that holds a pod's namespaces: Kubernetes' own forty lines of C, from its module. It is linked like any program of
/// this machine, which may have no libc to link in; its image holds the loader and the libc.
fn pause(modules: &Path, bin: &Path) -> Result<()> {
    let source = sources(modules, "k8s.io/kubernetes")?.join("build/pause/linux/pause.c");
    let mut cc = Command::new("cc");
    cc.args(["-Os", "-Wall", "-s", "-DVERSION=lab", "-o"]).arg(bin.join("pause")).arg(source);
    let output = cc.output().context("failed to start cc: install a C compiler")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cc` of pause failed ({})\n{}", output.status, said.trim_end());
    Ok(())
}

/// CRDs and MetalLB's objects come from their modules, not from copies in our tree.
fn copy_manifests(modules: &Path, to: &Path) -> Result<()> {
    let crds = to.join("prometheus-operator-crds");
    fs::create_dir_all(&crds).with_context(|| format!("failed to make the folder {}", crds.display()))?;
    let operator = sources(modules, "github.com/prometheus-operator/prometheus-operator")?;
    for entry in
        fs::read_dir(operator.join("example/prometheus-operator-crd")).context("failed to find the operator's CRDs")?
    {
        let entry = entry?;
        copy(&entry.path(), &crds.join(entry.file_name()))?;
    }
    let metallb = sources(&modules.join("metallb"), "go.universe.tf/metallb")?;
    copy(&metallb.join("config/manifests/metallb-native.yaml"), &to.join("metallb-native.yaml"))
}

/// Copies the bytes, not the permissions: Go's module cache is read-only.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
    fs::write(to, bytes).with_context(|| format!("failed to write {}", to.display()))
}

/// The same files under other names: nobody writes to them again.
fn link_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("failed to make the folder {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("failed to list {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_all(&entry.path(), &to)?;
        } else {
            fs::hard_link(entry.path(), &to).with_context(|| format!("failed to link {}", to.display()))?;
        }
    }
    Ok(())
}

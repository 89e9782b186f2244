//! The programs that a cluster's nodes run, each under the name that it is called by, in a folder of the cluster's.

use std::{fs, os::unix::fs::symlink, path::Path};

use anyhow::{Context, Result};

use super::{folders::Folders, node::tools::Tool};

/// The names under which hyperkube is called.
const COMPONENTS: [&str; 8] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
    "kubeadm",
];
/// containerd, what it starts, and what pods' networks are made by.
const RUNTIME: [&str; 8] =
    ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "host-local", "loopback", "ptp", "portmap"];

/// Links those that were built and the machine's own tools; `lab` is a copy, because `cargo clean` may remove the original.
pub fn link(folders: &Folders, built: &Path, tools: Vec<Tool>) -> Result<()> {
    let bin = built.join("bin");
    let components = COMPONENTS.map(|name| (name, bin.join("hyperkube")));
    let runtime = RUNTIME.map(|name| (name, bin.join(name)));
    for (name, target) in components.into_iter().chain(runtime).chain(tools) {
        let link = folders.bin().join(name);
        if fs::read_link(&link).ok().as_ref() != Some(&target) {
            let _ = fs::remove_file(&link);
            symlink(&target, &link).with_context(|| format!("failed to link {}", link.display()))?;
        }
    }
    let (copy, partial) = (folders.bin().join("lab"), folders.bin().join(".lab"));
    // A copy that runs can't be written, only replaced; and a build meanwhile may have replaced the file that runs here.
    fs::copy("/proc/self/exe", &partial).context("failed to copy lab into the cluster's folder")?;
    fs::rename(partial, copy).context("failed to put the copy of lab in place")
}

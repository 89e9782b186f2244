//! What a node sees: its own /proc, /sys, cgroups, /run and the folders that kubelets of one machine would share.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use super::{Place, view};
use crate::cluster::host::{
    cgroups::{self, Hierarchy},
    folders::PRIVATE,
};

/// What a kubelet sets is the machine's, not ours: these are files of the node's own.
const SYSCTLS: [&str; 3] = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];

pub fn make(place: &Place) -> Result<()> {
    let hierarchies = cgroups::hierarchies()?;
    filesystem("proc", "/proc")?;
    mask_sysctls(place)?;
    filesystem("sysfs", "/sys")?;
    cgroup_hierarchies(&hierarchies)?;
    registries(place)?;
    view::narrow(place)?;
    for (name, point) in PRIVATE {
        fs::create_dir_all(point).with_context(|| format!("failed to create {point}"))?;
        bind(&place.folders.node(place.name()).join(name), Path::new(point))?;
    }
    // Last: the network namespaces and this cluster's own run folder lie below it.
    let run = place.folders.node_run(place.name());
    empty(&run)?;
    bind(&run, Path::new("/run"))?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SHARED, None::<&str>)
        .context("failed to let pods see what is mounted for them")
}

/// The user's folder, which lies where a node sees nothing else.
fn registries(place: &Place) -> Result<()> {
    let note = place.folders.registries_note();
    let folder = fs::read_to_string(&note).with_context(|| format!("failed to read {}", note.display()))?;
    let folder = Path::new(&folder);
    // The cluster outlives it; then there is nothing to tell.
    if folder.is_dir() { bind(folder, &place.folders.registries(place.name())) } else { Ok(()) }
}

fn mask_sysctls(place: &Place) -> Result<()> {
    let folder = place.folders.node(place.name()).join("sysctl");
    for name in SYSCTLS {
        let (file, sysctl) = (folder.join(name), Path::new("/proc/sys").join(name));
        fs::create_dir_all(file.parent().unwrap_or(&folder))?;
        fs::write(&file, fs::read(&sysctl)?).with_context(|| format!("failed to copy {}", sysctl.display()))?;
        bind(&file, &sysctl)?;
    }
    Ok(())
}

/// Inside a cgroup namespace each hierarchy must be mounted anew, or its root is still the machine's.
fn cgroup_hierarchies(hierarchies: &[Hierarchy]) -> Result<()> {
    let unified = hierarchies.iter().any(|hierarchy| hierarchy.mount == Path::new("/sys/fs/cgroup"));
    if !unified {
        filesystem("tmpfs", "/sys/fs/cgroup")?;
    }
    for hierarchy in hierarchies {
        fs::create_dir_all(&hierarchy.mount)?;
        let options = (!hierarchy.options.is_empty()).then_some(hierarchy.options.as_str());
        mount(Some("cgroup"), &hierarchy.mount, Some(hierarchy.kind.as_str()), MsFlags::empty(), options)
            .with_context(|| format!("failed to mount {}", hierarchy.mount.display()))?;
        if unified {
            // Processes live in leaves only, or controllers can't be given to the kubelet's groups.
            let own = hierarchy.mount.join("init");
            fs::create_dir_all(&own)?;
            fs::write(own.join("cgroup.procs"), "1").context("failed to move process 1 to a cgroup of its own")?;
            cgroups::delegate(&hierarchy.mount);
        }
    }
    Ok(())
}

fn filesystem(kind: &str, point: &str) -> Result<()> {
    mount(Some(kind), point, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("failed to mount {point}"))
}

pub fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .with_context(|| format!("failed to mount {} over {}", from.display(), to.display()))
}

/// What an earlier life of the node left in its /run names processes and sockets that are gone.
fn empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let removed =
            if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}

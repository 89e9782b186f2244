//! The programs that nodes run, as copies that belong to root: whoever owns the cache where they were built could write others
//! there, and a node does not see people's homes.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use interface::places::DATA;

/// Kubernetes, containerd, what it starts, and what pods' networks are made by.
const PROGRAMS: [&str; 9] =
    ["hyperkube", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "host-local", "loopback", "ptp", "portmap"];

/// Where all clusters' programs lie: a folder for each build.
pub fn folder() -> PathBuf {
    Path::new(DATA).join("programs")
}

/// The folder of root's copies of this build, made unless it is there.
pub fn own(built: &Path) -> Result<PathBuf> {
    let name = built.file_name().context("a build's folder has a name")?;
    let own = folder().join(name);
    if own.is_dir() {
        return Ok(own);
    }
    let partial = folder().join(partial_name(name));
    let _ = fs::remove_dir_all(&partial);
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(&partial);
    made.with_context(|| format!("failed to create {}", partial.display()))?;
    for program in PROGRAMS {
        let copy = partial.join(program);
        fs::copy(built.join("bin").join(program), &copy).with_context(|| format!("failed to copy {program}"))?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    }
    fs::rename(&partial, &own).with_context(|| format!("failed to put {} in place", own.display()))?;
    Ok(own)
}

fn partial_name(name: &OsStr) -> String {
    format!(".{}-{}", name.to_string_lossy(), std::process::id())
}

/// Removes the builds that no cluster runs.
pub fn prune() -> Result<()> {
    let clusters = fs::read_dir(DATA).into_iter().flatten().flatten();
    let used: Vec<_> =
        clusters.filter_map(|cluster| fs::read_link(cluster.path().join("bin/hyperkube")).ok()).collect();
    for build in fs::read_dir(folder()).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if !used.iter().any(|program| program.starts_with(&build)) {
            fs::remove_dir_all(&build).with_context(|| format!("failed to remove {}", build.display()))?;
        }
    }
    // Fails while a cluster has its programs there, as it should.
    let _ = fs::remove_dir(folder());
    Ok(())
}

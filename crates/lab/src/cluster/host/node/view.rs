//! What of this machine a node sees: what its programs run on and what is the cluster's own, nothing of the users'.
//!
//! A pod that mounts `hostPath: /` gets the node's root. Without this it could read /etc/shadow, the keys in people's homes, and
//! other clusters' keys. A *privileged* pod is root on this machine all the same: it has its devices.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd, unix::fs::symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
};

use super::{Place, mounts::bind};

/// The folders of the root that stay; /run, /tmp and most of /var and /etc are the node's own.
const ROOT: [&str; 16] = [
    "bin", "dev", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "proc", "run", "sbin", "sys", "tmp", "usr",
    "var",
];

/// Where programs lie that a node can start.
pub const PROGRAMS: [&str; 9] = ["/bin", "/gnu", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/sbin", "/usr"];

/// What programs read in /etc: authorities, names and numbers, where libraries lie.
const ETC: [&str; 27] = [
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "ethertypes",
    "group",
    "hosts",
    "iproute2",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "machine-id",
    "mtab",
    "networks",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "protocols",
    "resolv.conf",
    "rpc",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    // NixOS: the rest are links into it.
    "static",
];

/// What a worker's components need of the cluster's keys.
const WORKERS_KEYS: [&str; 2] = ["ca.crt", "proxy.kubeconfig"];

/// Whether a node sees a file of this machine.
pub fn shows(file: &Path) -> bool {
    let of_etc = ETC.iter().any(|name| file.starts_with(Path::new("/etc").join(name)));
    of_etc || PROGRAMS.iter().any(|folder| file.starts_with(folder))
}

/// Takes everything else out of this mount namespace's sight.
pub fn narrow(place: &Place) -> Result<()> {
    let programs = programs(place)?;
    let opened = File::open(&programs).with_context(|| format!("failed to open {}", programs.display()))?;
    tmpfs(Path::new("/tmp"), 0o1777)?;
    keep_only("/etc", &ETC.map(PathBuf::from))?;
    keep_only("/var", &in_var(place)?)?;
    // Programs still ask for it by its old name: containerd keeps pods' network namespaces there.
    symlink("/run", "/var/run").context("failed to link /var/run")?;
    for entry in fs::read_dir("/").context("failed to list /")? {
        let entry = entry?;
        if ROOT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            hide(&entry.path())?;
        } else if kind.is_file() {
            bind(Path::new("/dev/null"), &entry.path())?;
        }
    }
    if !programs.exists() {
        fs::create_dir_all(&programs).with_context(|| format!("failed to create {}", programs.display()))?;
        bind(&PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd())), &programs)?;
    }
    Ok(())
}

/// Where Kubernetes' programs were built: mostly in a cache in somebody's home, of which a node sees nothing else.
fn programs(place: &Place) -> Result<PathBuf> {
    let link = place.folders.bin().join("kubelet");
    let program = fs::read_link(&link).with_context(|| format!("failed to read {}", link.display()))?;
    Ok(program.parent().context("a program lies in a folder")?.to_owned())
}

fn hide(folder: &Path) -> Result<()> {
    match tmpfs(folder, 0o555) {
        // Somebody's FUSE file system, which root may not look into either.
        Err(error) if error.downcast_ref() == Some(&Errno::EACCES) => Ok(()),
        hidden => hidden,
    }
}

/// The cluster's own folders, as far as this node needs them.
fn in_var(place: &Place) -> Result<Vec<PathBuf>> {
    let folders = &place.folders;
    let mut kept = vec![folders.bin(), folders.logs(), folders.addresses(), folders.node(place.name())];
    if place.index == 0 {
        kept.extend([folders.etcd(), folders.pki()]);
    } else {
        let name = place.name();
        let own = [format!("kubelet-{name}.crt"), format!("kubelet-{name}.key"), format!("{name}.kubeconfig")];
        kept.extend(WORKERS_KEYS.map(str::to_owned).into_iter().chain(own).map(|key| folders.pki().join(key)));
    }
    let relative = kept.iter().map(|path| path.strip_prefix("/var").map(Path::to_owned));
    relative.collect::<Result<_, _>>().context("the cluster's folders lie in /var")
}

/// Puts a new file system over a folder, with these of its files and folders in it, those that there are.
fn keep_only(folder: &str, names: &[PathBuf]) -> Result<()> {
    let folder = Path::new(folder);
    let new = Path::new("/tmp").join(folder.file_name().unwrap_or_default());
    fs::create_dir(&new)?;
    tmpfs(&new, 0o755)?;
    for name in names {
        keep(&folder.join(name), &new.join(name)).with_context(|| format!("failed to keep {}", name.display()))?;
    }
    mount(Some(&new), folder, None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .with_context(|| format!("failed to narrow {}", folder.display()))?;
    fs::remove_dir(&new).context("failed to remove a mount point")
}

fn keep(from: &Path, to: &Path) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(from) else { return Ok(()) };
    let folder = to.parent().context("a path has a parent")?;
    fs::create_dir_all(folder)?;
    if meta.is_symlink() {
        return Ok(symlink(fs::read_link(from)?, to)?);
    }
    if meta.is_dir() {
        fs::create_dir(to)?;
    } else {
        fs::write(to, "")?;
    }
    bind(from, to)
}

fn tmpfs(point: &Path, mode: u32) -> Result<()> {
    let options = format!("mode={mode:o}");
    mount(Some("tmpfs"), point, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options.as_str()))
        .with_context(|| format!("failed to mount {}", point.display()))
}

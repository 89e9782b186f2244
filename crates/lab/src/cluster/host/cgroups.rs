//! The cluster's cgroups: `ebpf-lab/N/NODE` in every hierarchy, and what runs in them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use lab_cli::Patience;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A mounted cgroup hierarchy: version 1 has several, version 2 one.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    pub mount: PathBuf,
    /// `cgroup` or `cgroup2`.
    pub kind: String,
    /// The options that mount it again: its controllers.
    pub options: String,
}

/// The kernel lets a cgroup go a moment after its last process.
const REST: Duration = Duration::from_millis(50);
/// How long a node's start waits for its old cgroups to be gone, and a cluster's end for all of them.
const OLD: Duration = Duration::from_secs(2);
const ALL: Duration = Duration::from_secs(20);

/// Mount options that say how, not what.
const GENERIC: [&str; 8] = ["rw", "ro", "relatime", "nosuid", "nodev", "noexec", "xattr", "nsdelegate"];

/// Every hierarchy that is mounted.
pub fn hierarchies() -> Result<Vec<Hierarchy>> {
    let mounts = fs::read_to_string("/proc/mounts").context("failed to read /proc/mounts")?;
    Ok(mounts.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Hierarchy> {
    let mut fields = line.split(' ').skip(1);
    let (mount, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
    let particular = |option: &&str| !GENERIC.contains(option) && !option.starts_with("memory_");
    let options: Vec<_> = options.split(',').filter(particular).collect();
    kind.starts_with("cgroup").then(|| Hierarchy {
        mount: mount.into(),
        kind: kind.to_owned(),
        options: options.join(","),
    })
}

/// Puts this process into the cgroup `ebpf-lab/N/LEAF` of every hierarchy, making it where it is missing.
pub fn join(number: u8, leaf: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let mut folder = hierarchy.mount.clone();
        for level in ["ebpf-lab", &number.to_string(), leaf] {
            if hierarchy.kind == "cgroup2" {
                delegate(&folder);
            }
            let parent = folder.clone();
            folder.push(level);
            fs::create_dir_all(&folder).with_context(|| format!("failed to make the cgroup {}", folder.display()))?;
            inherit_cpuset(&parent, &folder)?;
        }
        fs::write(folder.join("cgroup.procs"), "0")
            .with_context(|| format!("failed to join the cgroup {}", folder.display()))?;
    }
    Ok(())
}

/// Gives all controllers to the groups below. One that the kernel lacks or has in a version 1 hierarchy can't be given.
pub fn delegate(folder: &Path) {
    let controllers = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        let _ = fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

/// A version 1 cpuset without processors takes no process.
fn inherit_cpuset(parent: &Path, child: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let current = fs::read_to_string(child.join(file));
        if current.is_ok_and(|text| text.trim().is_empty()) && !child.join("cgroup.controllers").exists() {
            fs::copy(parent.join(file), child.join(file))
                .with_context(|| format!("failed to fill {file} of {}", child.display()))?;
        }
    }
    Ok(())
}

/// Every process in the cluster's cgroups that has not ended, with the path below `ebpf-lab/N/`.
///
/// They are read from the cgroups themselves: another kit in a container has groups whose paths end like these.
pub fn processes(number: u8) -> Vec<(i32, String)> {
    let mut processes = BTreeMap::new();
    for hierarchy in hierarchies().unwrap_or_default() {
        let top = hierarchy.mount.join("ebpf-lab").join(number.to_string());
        for folder in walkdir::WalkDir::new(&top).into_iter().flatten().filter(|entry| entry.file_type().is_dir()) {
            let below = folder.path().strip_prefix(&top).unwrap_or(Path::new("")).display().to_string();
            let members = fs::read_to_string(folder.path().join("cgroup.procs")).unwrap_or_default();
            for pid in members.lines().filter_map(|line| line.parse().ok()).filter(|&pid| !has_ended(pid)) {
                processes.entry(pid).or_insert_with(|| below.clone());
            }
        }
    }
    processes.into_iter().collect()
}

/// One that nobody has waited for yet is in no group that could not be removed.
fn has_ended(pid: i32) -> bool {
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
    stat.map_or(true, |stat| stat.state == 'Z')
}

/// Ends every process of the cluster and removes its cgroups.
pub fn remove(number: u8) -> Result<()> {
    let mut patience = Patience::of(ALL);
    loop {
        let alive = processes(number);
        alive.iter().for_each(|(pid, _)| end(*pid));
        let left = remove_folders(number)?;
        if alive.is_empty() && left.is_none() {
            return Ok(());
        }
        if patience.is_over() {
            bail!("could not remove the cluster's cgroups: {left:?} and processes {alive:?} remain");
        }
        std::thread::sleep(REST);
    }
}

/// Ends a process of the cluster; it may have ended since it was listed.
pub fn end(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// Removes what is empty; answers a folder that is not.
fn remove_folders(number: u8) -> Result<Option<PathBuf>> {
    let mut left = None;
    for hierarchy in hierarchies()? {
        let all = hierarchy.mount.join("ebpf-lab");
        left = remove_tree(&all.join(number.to_string())).or(left);
        // Fails while another cluster is in it, as it should.
        let _ = fs::remove_dir(all);
    }
    Ok(left)
}

/// Removes the cgroups of pods that ended with their node. For each one left over its next kubelet asks containerd in vain, 3 s
/// each, before it starts any pod.
pub fn remove_leftovers(number: u8, node: &str) -> Result<()> {
    let mut patience = Patience::of(OLD);
    loop {
        let mut left = None;
        for hierarchy in hierarchies()? {
            left = remove_tree(&hierarchy.mount.join("ebpf-lab").join(number.to_string()).join(node)).or(left);
        }
        if left.is_none() || patience.is_over() {
            return Ok(());
        }
        std::thread::sleep(REST);
    }
}

fn remove_tree(top: &Path) -> Option<PathBuf> {
    let mut left = None;
    let walk = walkdir::WalkDir::new(top).contents_first(true);
    for entry in walk.into_iter().flatten().filter(|entry| entry.file_type().is_dir()) {
        if fs::remove_dir(entry.path()).is_err() && entry.path().exists() {
            left = Some(entry.path().to_owned());
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_keep_the_options_that_name_controllers() {
        let v1 =
            parse("cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0").unwrap();
        assert_eq!((v1.kind.as_str(), v1.options.as_str()), ("cgroup", "cpu,cpuacct"));
        let v2 =
            parse("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot 0 0")
                .unwrap();
        assert_eq!((v2.kind.as_str(), v2.options.as_str()), ("cgroup2", ""));
        assert!(parse("proc /proc proc rw 0 0").is_none());
    }
}

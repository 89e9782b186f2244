//! Puts a loaded program on its hook. libbpf knows most hooks by their section; some kinds need more than that.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::PathBuf;

use libbpf_rs::{Link, ProgramMut};

use crate::kernel::hooks::{Hook, Kind, perf_event, user_probe};

/// A program on its hook; dropping it takes the program off.
pub enum Attached {
    /// One link, or one for each processor or file.
    Called(Vec<Link>),
    /// Runs when its text is read.
    Iterator(Link),
}

/// Attaches a program.
pub fn attach(hook: &Hook, program: &ProgramMut) -> Result<Attached, libbpf_rs::Error> {
    match hook.kind {
        Kind::Sampling => sample(hook, program).map(Attached::Called),
        Kind::Cgroup => {
            let root = File::open(cgroup_root().ok_or_else(no_cgroup)?)?;
            program.attach_cgroup(root.as_raw_fd()).map(|link| Attached::Called(vec![link]))
        }
        Kind::Uprobe | Kind::Usdt => user_probe::attach(hook, program).map(Attached::Called),
        Kind::Iterator => program.attach().map(Attached::Iterator),
        _ => program.attach().map(|link| Attached::Called(vec![link])),
    }
}

fn sample(hook: &Hook, program: &ProgramMut) -> Result<Vec<Link>, libbpf_rs::Error> {
    let mut links = vec![];
    for cpu in 0..libbpf_rs::num_possible_cpus()? {
        match perf_event::clock(cpu, hook.hertz().unwrap_or_default()) {
            Ok(event) => {
                links.push(program.attach_perf_event(event.as_raw_fd())?);
                // The link closes it from here on.
                let _ = event.into_raw_fd();
            }
            // A processor that is possible need not be there.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(links)
}

/// Where the root of the control groups of version 2 is mounted.
pub fn cgroup_root() -> Option<PathBuf> {
    cgroup_root_in(&fs::read_to_string("/proc/self/mounts").ok()?)
}

/// Lines of `DEVICE POINT KIND OPTIONS…`.
fn cgroup_root_in(mounts: &str) -> Option<PathBuf> {
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    mounts.find(|words| words.get(2) == Some(&"cgroup2")).and_then(|words| words.get(1).map(PathBuf::from))
}

fn no_cgroup() -> libbpf_rs::Error {
    io::Error::from_raw_os_error(libc::ENOENT).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_of_version_2_may_stand_beside_those_of_version_1() {
        let hybrid = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(cgroup_root_in(hybrid), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(cgroup_root_in("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"), None);
    }
}

//! A file that a process of the cluster holds for as long as it lives: how others find it, and why there is never a second one.
//!
//! A record lock (fcntl(2)) goes with its process, however that ends, and tells who has it. A process id that is written down by
//! whoever started the process is missing when the starter is killed in between, and somebody else's after a while.

use std::{fs::File, os::fd::RawFd, path::Path};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
};

/// Holds the file until the answer is dropped; none if another process has it.
pub fn hold(path: &Path) -> Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.with_context(|| format!("failed to open {}", path.display()))?;
    match fcntl(&file, FcntlArg::F_SETLK(&whole_file())) {
        Ok(_) => Ok(Some(file)),
        Err(Errno::EACCES | Errno::EAGAIN) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to lock {}", path.display())),
    }
}

/// The process that holds the file.
pub fn holder(path: &Path) -> Option<i32> {
    let file = File::options().write(true).open(path).ok()?;
    let mut lock = whole_file();
    fcntl(&file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    (i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid)
}

/// Closes the files that whoever started this process handed on: a lock or a pipe's end must not live as long as a cluster.
pub fn close_inherited() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<RawFd> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for file in open.into_iter().filter(|&file| file > libc::STDERR_FILENO) {
        // That of the folder itself is closed by now.
        let _ = nix::unistd::close(file);
    }
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_file_is_held_by_the_process_that_took_it_and_by_nobody_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("held");
        assert_eq!(holder(&path), None, "no file");
        std::fs::write(&path, "").unwrap();
        assert_eq!(holder(&path), None, "held by nobody");
        // A process doesn't see its own lock: another one takes it.
        let script =
            "import fcntl,sys,time; f=open(sys.argv[1],'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(); time.sleep(60)";
        let mut other =
            Command::new("python3").args(["-u", "-c", script]).arg(&path).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(other.stdout.take().unwrap()), &mut line).unwrap();
        assert_eq!(holder(&path), Some(i32::try_from(other.id()).unwrap()));
        assert!(hold(&path).unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(holder(&path), None, "who held it has ended");
        assert!(hold(&path).unwrap().is_some());
    }
}

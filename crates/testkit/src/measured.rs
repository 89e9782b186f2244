//! How a program ended, and the most memory that it held at once.

#![allow(unsafe_code, reason = "the standard library waits for a child without asking what it used")]

use std::{
    io::{self, Read},
    mem::MaybeUninit,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus, Stdio},
    thread,
};

/// More of what a program prints is not kept: this process is to stay small.
const KEPT: u64 = 1 << 20;

/// What came of a program.
#[derive(Debug)]
pub struct Measured {
    pub status: ExitStatus,
    /// The beginnings of both.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// The most of its memory that was in use at once, in bytes: its own, or this process's when that forked, whichever is more.
    pub peak: u64,
}

/// Runs a program to its end.
#[expect(clippy::zombie_processes, reason = "`wait` below does")]
pub fn measured(command: &mut Command) -> Measured {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let read = |mut pipe: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut bytes = vec![];
            pipe.by_ref().take(KEPT).read_to_end(&mut bytes).unwrap();
            io::copy(&mut pipe, &mut io::sink()).unwrap();
            bytes
        })
    };
    let stdout = read(Box::new(child.stdout.take().unwrap()));
    let stderr = read(Box::new(child.stderr.take().unwrap()));
    let (status, usage) = wait(i32::try_from(child.id()).unwrap());
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let kilobytes = u64::try_from(usage.ru_maxrss).unwrap();
    Measured { status: ExitStatus::from_raw(status), stdout, stderr, peak: kilobytes << 10 }
}

fn wait(child: i32) -> (i32, libc::rusage) {
    let (mut status, mut usage) = (0, MaybeUninit::zeroed());
    // SAFETY: both are there to be written to, for as long as the call takes; nobody else waits for this child.
    let ended = unsafe { libc::wait4(child, &raw mut status, 0, usage.as_mut_ptr()) };
    assert_eq!(ended, child);
    // SAFETY: numbers, which were zero before the kernel wrote them.
    (status, unsafe { usage.assume_init() })
}

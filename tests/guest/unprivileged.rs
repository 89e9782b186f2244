//! A program as a pod runs it: not root, with the two capabilities that loading a probe takes.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    process::Command,
};

use caps::{CapSet, Capability, CapsHashSet, securebits::set_keepcaps};
use nix::{
    sys::resource::{RLIM_INFINITY, Resource, setrlimit},
    unistd::{Gid, Uid, setgid, setgroups, setuid},
};

const NOBODY: u32 = 65_534;

/// The command that runs a program so: this program itself, which then becomes the other.
pub fn command(program: &str) -> Command {
    let mut command = Command::new("/init");
    command.arg(program);
    command
}

/// Gives up everything else and becomes the program.
pub fn become_it(program: &OsStr, arguments: &[OsString]) -> ! {
    // Before 5.11 maps count as locked memory, of which a user has 64 kB; raising the limit takes root.
    setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).expect("raise the limit of locked memory");
    set_keepcaps(true).expect("keep capabilities");
    setgroups(&[]).expect("leave all groups");
    setgid(Gid::from_raw(NOBODY)).expect("change the group");
    setuid(Uid::from_raw(NOBODY)).expect("change the user");
    let both = CapsHashSet::from([Capability::CAP_BPF, Capability::CAP_PERFMON]);
    // Ambient ones alone survive the start of a program that has no capabilities of its own.
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable, CapSet::Ambient] {
        caps::set(None, set, &both).unwrap_or_else(|error| panic!("set {set:?} capabilities: {error}"));
    }
    panic!("start {program:?}: {}", Command::new(program).args(arguments).exec())
}

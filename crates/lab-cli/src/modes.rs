//! What others may do with what we make: said here, never left to the shell that started us.

use nix::sys::stat::{Mode, umask};

const WRITE: Mode = Mode::S_IWGRP.union(Mode::S_IWOTH);

/// For all that is a user's own: nobody else may write to it, and who may read it the user's shell says.
pub fn others_never_write() {
    let theirs = umask(WRITE);
    umask(theirs | WRITE);
}

/// For what nodes and pods are made of: programs that are not root read it, too. What is secret has a mode of its own.
pub fn all_read() {
    umask(WRITE);
}

//! `--verbose`: whether the programs that a command starts, and what they print, are shown on standard error.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_WANTED: AtomicBool = AtomicBool::new(false);

/// Called once, when the command line is parsed.
pub fn set(is_wanted: bool) {
    IS_WANTED.store(is_wanted, Ordering::Relaxed);
}

pub fn is_wanted() -> bool {
    IS_WANTED.load(Ordering::Relaxed)
}

//! Our Rust programs that lab 1 does without: on a fresh checkout `xtask` builds them behind it, and whoever needs them joins.

use anyhow::Result;

use crate::{Paths, programs::Building};

pub use crate::programs::State;

/// Where their build lies while it goes on.
pub fn building(paths: &Paths) -> Building {
    Building { folder: paths.bin.join("lab.building") }
}

/// Whether `lab` is there to be started; whether it is the newest is for cargo to know. Never waits.
pub fn state(paths: &Paths) -> Result<State> {
    building(paths).state(&paths.bin.join("lab"))
}

//! The Rust programs that lab 1 does without, and the whole bee: on a fresh checkout they are built behind it.
//!
//! `lab1`, which does lab 1, waits for them and becomes `lab`.

use anyhow::Result;
use lab_cli::{
    ClusterChoice, Command, Number, Options, Paths,
    rest::{State, building, state},
};

use crate::{behind, build};

/// The word by which the process is called that [`start`] starts.
pub const BUILD: &str = "build-rest";

/// Whether lab 1 can be done before the rest is built: nothing else is asked for that only `lab` can do.
pub fn can_wait(paths: &Paths, command: &Command, options: &Options) -> Result<bool> {
    let begins_with_lab_1 = match command {
        Command::Lab { labs, rm } => labs.first == 1 && !rm,
        Command::Check { labs, .. } => labs.last == 1,
        _ => false,
    };
    // The number of a cluster that is chosen, and what a context of the user's is, only `lab` can tell.
    let is_known = options.number != Number::Auto && !matches!(options.cluster(), ClusterChoice::Context(_));
    let needs_lab = options.explain || options.junit.is_some();
    Ok(begins_with_lab_1 && is_known && !needs_lab && state(paths)? != State::Built)
}

/// Starts their build behind what goes on, but before the Go programs', which nobody needs before these.
pub fn start(paths: &Paths) -> Result<()> {
    behind::start(paths, &building(paths), state(paths)?, "10", &[BUILD])
}

/// The body of that process.
pub fn build(paths: &Paths) -> Result<()> {
    let building = building(paths);
    behind::hold(&building, || false, || build::rust_behind(paths, &build::ALL, |progress| building.tell(&progress)))
}

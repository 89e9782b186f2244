//! Where the labs run and what they install when the command line does not say.

use std::ffi::OsString;

use anyhow::Result;
use clap::Parser;
use interface::{Cli, Paths, settings::Settings};

/// The command line with the defaults of `lab.toml` in it, before the command: what follows it may be another program's.
pub fn complete(paths: &Paths, mut arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    let options = Cli::parse_from(&arguments).options;
    let defaults = Settings::of(&paths.checkout)?.arguments(&options);
    arguments.splice(1..1, defaults.into_iter().map(OsString::from));
    Ok(arguments)
}

//! Where the labs run and what they install when the command line does not say.

use std::{ffi::OsString, path::Path};

use anyhow::Result;
use clap::Parser;
use interface::{Cli, settings::Settings};

/// The command line with the defaults of `lab.toml` in it, before the command: what follows it may be another program's.
pub fn complete(checkout: &Path, mut arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    let options = Cli::parse_from(&arguments).options;
    let defaults = Settings::of(checkout)?.arguments(&options);
    arguments.splice(1..1, defaults.into_iter().map(OsString::from));
    Ok(arguments)
}

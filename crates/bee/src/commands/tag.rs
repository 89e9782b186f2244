//! `bee tag`.

use anyhow::Result;
use clikit::print;

use crate::cli::{Cli, Tag};

pub fn run(cli: &Cli, arguments: &Tag) -> Result<()> {
    Ok(print::line(super::store(cli)?.tag(&arguments.from, &arguments.to)?)?)
}

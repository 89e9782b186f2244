//! `bee tag`.

use anyhow::Result;

use crate::cli::{Cli, Tag};

pub fn run(cli: &Cli, arguments: &Tag) -> Result<()> {
    println!("{}", super::store(cli)?.tag(&arguments.from, &arguments.to)?);
    Ok(())
}

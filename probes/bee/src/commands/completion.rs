//! `bee completion`.

use std::io;

use anyhow::Result;
use clap::CommandFactory;

use crate::cli::{Cli, Completion};

pub fn run(arguments: &Completion) -> Result<()> {
    clap_complete::generate(arguments.shell, &mut Cli::command(), "bee", &mut io::stdout());
    Ok(())
}

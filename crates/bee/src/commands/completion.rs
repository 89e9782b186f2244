//! `bee completion`.

use anyhow::Result;
use clap::CommandFactory;
use clikit::print;

use crate::cli::{Cli, Completion};

pub fn run(arguments: &Completion) -> Result<()> {
    let mut script = vec![];
    clap_complete::generate(arguments.shell, &mut Cli::command(), "bee", &mut script);
    Ok(print::own(&String::from_utf8(script)?)?)
}

//! `bee import`.

use std::fs::File;
use std::io::BufReader;

use anyhow::{Context, Result};
use clikit::print;

use crate::cli::{Cli, Import};

pub fn run(cli: &Cli, arguments: &Import) -> Result<()> {
    let file = arguments.file.display();
    let archive = File::open(&arguments.file).with_context(|| format!("failed to open {file}"))?;
    let stored =
        super::store(cli)?.import(BufReader::new(archive)).with_context(|| format!("failed to import {file}"))?;
    for (reference, digest) in &stored {
        print::line(format_args!("{reference} {digest}"))?;
    }
    Ok(())
}

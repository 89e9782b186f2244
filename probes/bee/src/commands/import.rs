//! `bee import`.

use std::fs::File;
use std::io::BufReader;

use anyhow::{Context, Result};

use crate::cli::{Cli, Import};

pub fn run(cli: &Cli, arguments: &Import) -> Result<()> {
    let file = arguments.file.display();
    let archive = File::open(&arguments.file).with_context(|| format!("open {file}"))?;
    let stored = super::store(cli)?.import(BufReader::new(archive)).with_context(|| format!("import {file}"))?;
    stored.iter().for_each(|(reference, digest)| println!("{reference} {digest}"));
    Ok(())
}

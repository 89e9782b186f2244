//! `bee rm`.

use anyhow::Result;

use crate::cli::{Cli, Remove};

pub fn run(cli: &Cli, arguments: &Remove) -> Result<()> {
    let bytes = super::store(cli)?.remove(&arguments.references)?;
    arguments.references.iter().for_each(|reference| println!("{reference}"));
    eprintln!("removed, {:.1} kB are free again", bytes as f64 / 1000.0);
    Ok(())
}

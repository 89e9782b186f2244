//! `bee push`.

use anyhow::{Context, Result};

use super::registry;
use crate::cli::{Cli, Push};

pub fn run(cli: &Cli, Push { reference }: &Push) -> Result<()> {
    let (store, options) = (super::store(cli)?, registry::options(&cli.global.registry)?);
    let progress = registry::progress(format!("push {reference}"))?;
    let pushed = registry::block_on(async { Ok(bee::registry::push(&store, reference, &options, &progress).await?) });
    progress.finish_and_clear();
    let digest = pushed.with_context(|| format!("push {reference}"))?;
    eprintln!("pushed {reference}");
    println!("{digest}");
    Ok(())
}

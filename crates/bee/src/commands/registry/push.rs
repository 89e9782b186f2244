//! `bee push`.

use anyhow::{Context, Result};
use clikit::print;

use crate::cli::{Cli, Push};
use crate::commands;

pub fn run(cli: &Cli, Push { reference }: &Push) -> Result<()> {
    let (store, options) = (commands::store(cli)?, super::options(&cli.global.registry)?);
    let progress = super::progress(format!("push {reference}"))?;
    let pushed =
        super::block_on(async { Ok(bee::store::registry::push(&store, reference, &options, &progress).await?) });
    progress.finish_and_clear();
    let digest = pushed.with_context(|| format!("failed to push {reference}"))?;
    print::note(format_args!("pushed {reference}"));
    Ok(print::line(digest)?)
}

//! `bee pull`.

use anyhow::{Context, Result};
use bee::store::registry::Which;
use bee::store::{Reference, Store};
use clikit::print;

use crate::cli::{Cli, Pull, Registry};
use crate::commands;

pub fn run(cli: &Cli, arguments: &Pull) -> Result<()> {
    let store = commands::store(cli)?;
    let which = if arguments.all_platforms { Which::All } else { Which::ThisMachine };
    let digest = pull(&store, &arguments.reference, which, &cli.global.registry)?;
    print::note(format_args!("stored {} in {}", arguments.reference, store.folder().display()));
    Ok(print::line(digest)?)
}

/// What this machine's processor needs of an image, into the store.
pub fn fetch(store: &Store, reference: &Reference, registry: &Registry) -> Result<()> {
    pull(store, reference, Which::ThisMachine, registry).map(drop)
}

/// Into the store; answers the digest.
fn pull(store: &Store, reference: &Reference, which: Which, registry: &Registry) -> Result<String> {
    let options = super::options(registry)?;
    let progress = super::progress(format!("pull {reference}"))?;
    let pulled =
        super::block_on(async { Ok(bee::store::registry::pull(store, reference, which, &options, &progress).await?) });
    progress.finish_and_clear();
    pulled.with_context(|| format!("failed to pull {reference}"))
}

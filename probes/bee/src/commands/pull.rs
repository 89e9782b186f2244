//! `bee pull`.

use anyhow::{Context, Result};
use bee::registry::Which;
use bee::store::{Reference, Store};

use super::registry;
use crate::cli::{Cli, Pull, Registry};

pub fn run(cli: &Cli, arguments: &Pull) -> Result<()> {
    let store = super::store(cli)?;
    let which = if arguments.all_platforms { Which::All } else { Which::ThisMachine };
    let digest = pull(&store, &arguments.reference, which, &cli.global.registry)?;
    eprintln!("stored {} in {}", arguments.reference, store.folder().display());
    println!("{digest}");
    Ok(())
}

/// Into the store; answers the digest.
pub fn pull(store: &Store, reference: &Reference, which: Which, registry: &Registry) -> Result<String> {
    let options = registry::options(registry)?;
    let progress = registry::progress(format!("pull {reference}"))?;
    let pulled =
        registry::block_on(async { Ok(bee::registry::pull(store, reference, which, &options, &progress).await?) });
    progress.finish_and_clear();
    pulled.with_context(|| format!("pull {reference}"))
}

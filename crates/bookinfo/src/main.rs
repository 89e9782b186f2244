//! Bookinfo, Istio's demo application of four services, as one program: a cluster that can't reach an image registry gets the
//! same services, names, paths and calls from an image of a few megabytes.
//!
//! ```text
//! productpage ──> details
//!        └──────> reviews v1 | v2 | v3 ──> ratings   (v1 asks for none)
//! ```

mod cli;
mod details;
mod get;
mod peer;
mod product;
mod productpage;
mod ratings;
mod reviews;
mod serve;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use cli::Command;

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(code) => code,
        Err(error) => {
            serve::log(format_args!("bookinfo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    // A service waits for the network all day: one thread serves it, and six pods cost the cluster next to nothing.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("failed to start the runtime")?;
    let outcome = runtime.block_on(obey(command));
    // A look-up of a name blocks a thread for as long as a silent DNS server makes it: the end does not wait for that.
    runtime.shutdown_background();
    outcome
}

async fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Productpage(listen) => serve::run(listen.addresses(), productpage::router()?).await?,
        Command::Details(listen) => serve::run(listen.addresses(), details::router()).await?,
        Command::Reviews { listen, version } => serve::run(listen.addresses(), reviews::router(version)?).await?,
        Command::Ratings(listen) => serve::run(listen.addresses(), ratings::router()).await?,
        Command::Get { url, repeat } => return get::run(&url, repeat).await,
    }
    Ok(ExitCode::SUCCESS)
}

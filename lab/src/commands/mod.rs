//! What each command of the command line does, one file each.

mod access;
mod clean;
mod explain;
mod images;
mod open;
mod push;
mod query;
mod shell;
mod status;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use interface::{Cli, Command, Paths, exit};

use crate::{check::graph, error, labs, live::Live, lock, report::Report, run, workshop::Workshop};

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match start(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", crate::error::message(&error));
            if let Some(hint) = error::hint(&error) {
                eprintln!("hint: {hint}");
            }
            error::exit_code(&error)
        }
    };
    ExitCode::from(code)
}

fn start(cli: Cli) -> Result<u8> {
    let workshop = Workshop::new(Paths::from_environment()?, cli.options.clone())?;
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    runtime.block_on(async {
        tokio::select! {
            code = command(&workshop, cli.command) => code,
            _ = tokio::signal::ctrl_c() => {
                eprintln!("\ninterrupted; the same command goes on where this one stopped");
                Ok(INTERRUPTED)
            }
        }
    })
}

async fn command(workshop: &Workshop, command: Command) -> Result<u8> {
    if workshop.options.explain {
        explain::run(workshop, &command);
        return Ok(exit::OK);
    }
    match command {
        Command::Lab { labs, rm } => lab(workshop, labs, rm).await?,
        Command::Check { labs, wait } => check(workshop, labs, wait).await?,
        Command::Status => return status::run(workshop).await,
        Command::Clean => clean::clean(workshop).await?,
        Command::Reset { lab } => clean::reset(workshop, lab).await?,
        Command::Images { action } => images::run(workshop, action).await?,
        Command::Kubeconfig => access::kubeconfig(workshop)?,
        Command::Kubectl { args } => return access::kubectl(workshop, &args),
        Command::Shell => return shell::run(workshop),
        Command::Traffic => traffic(workshop).await?,
        Command::Query { promql } => query::run(workshop, &promql).await?,
        Command::Open { listen } => open::run(workshop, listen).await?,
        Command::Doctor | Command::Bench { .. } | Command::Test { .. } => {
            bail!("this is `cargo xtask`'s own command: start with `cargo xtask`")
        }
    }
    Ok(exit::OK)
}

async fn lab(workshop: &Workshop, labs: interface::LabRange, rm: bool) -> Result<()> {
    let _lock = lock::take(workshop)?;
    let mut report = Report::new(&workshop.options);
    let result = run::labs(workshop, labs, &mut report).await;
    if result.is_ok() && labs.last == 6 {
        let address = graph::address(workshop).await?;
        eprintln!("done; the graph of who talks to whom: {address}");
    }
    report.finish()?;
    if rm {
        clean::down(workshop).await?;
    }
    result
}

async fn check(workshop: &Workshop, labs: interface::LabRange, wait: std::time::Duration) -> Result<()> {
    let mut report = Report::new(&workshop.options);
    let result = run::checks(workshop, labs, wait, &mut report).await;
    report.finish()?;
    result
}

async fn traffic(workshop: &Workshop) -> Result<()> {
    let live = Live::new("make the workshop's requests");
    labs::traffic(workshop, &live).await?;
    live.finish();
    eprintln!("20 requests answered");
    Ok(())
}

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

use anyhow::{Result, bail};
use clap::Parser;
use clikit::print;
use lab_cli::{Cli, Command, LabRange, Options, Paths, cli::ImagesAction, exit};
use lab_engine::{handover, program};

use crate::{check::graph, junit, labs, live::Live, lock, report::Report, run, workshop::Workshop};

pub fn main() -> ExitCode {
    program::end(start(Cli::parse()))
}

fn start(cli: Cli) -> Result<u8> {
    clikit::verbose::set(cli.options.verbose);
    let workshop = Workshop::new(Paths::from_environment()?, cli.options.clone())?;
    program::block_on(command(&workshop, cli.command))
}

async fn command(workshop: &Workshop, command: Command) -> Result<u8> {
    if workshop.options.explain {
        return explain::run(workshop, &command).map(|()| exit::OK);
    }
    if uses_cluster(&command) {
        workshop.cluster.refuse_strangers()?;
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
        Command::Doctor
        | Command::Versions
        | Command::Advisories { .. }
        | Command::Vmlinux
        | Command::Bench { .. }
        | Command::Test { .. } => {
            bail!("this is `cargo xtask`'s own command: start with `cargo xtask`")
        }
    }
    Ok(exit::OK)
}

/// Lab 1 has none, and images are built for any.
fn uses_cluster(command: &Command) -> bool {
    match command {
        Command::Lab { labs, .. } | Command::Check { labs, .. } => labs.last > 1,
        Command::Reset { lab } => *lab > 1,
        Command::Images { action } => matches!(action, Some(ImagesAction::Load)),
        _ => true,
    }
}

async fn lab(workshop: &Workshop, mut labs: LabRange, rm: bool) -> Result<()> {
    let _lock = lock::take(&workshop.paths, workshop.cluster.name())?;
    let mut report = Report::new(&workshop.options);
    if let Some(done) = handover::done() {
        report.take_over(&done)?;
        labs.first = 2;
    }
    let result = run::labs(workshop, labs, &mut report).await;
    if result.is_ok() && labs.last == 6 {
        let address = graph::address(workshop).await?;
        print::note(format!("done; the graph of who talks to whom: {address}"));
    }
    finish(&workshop.options, &report)?;
    if rm {
        clean::down(workshop).await?;
    }
    result.and(report.was_printed())
}

async fn check(workshop: &Workshop, labs: LabRange, wait: std::time::Duration) -> Result<()> {
    let mut report = Report::new(&workshop.options);
    let result = run::checks(workshop, labs, wait, &mut report).await;
    finish(&workshop.options, &report)?;
    result.and(report.was_printed())
}

/// Writes the JUnit file, if one was asked for.
fn finish(options: &Options, report: &Report) -> Result<()> {
    options.junit.as_ref().map_or(Ok(()), |path| junit::write(path, report.records()))
}

async fn traffic(workshop: &Workshop) -> Result<()> {
    let live = Live::new("make the workshop's requests");
    labs::traffic(workshop, &live).await?;
    live.finish();
    print::note("20 requests answered");
    Ok(())
}

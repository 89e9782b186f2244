//! `lab1` does lab 1 while what the other labs take is still being compiled; then it becomes `lab`, which does those.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::Parser;
use lab_cli::{Cli, ClusterChoice, Command, LabRange, Number, Obstacle, Options, Paths, exit, modes};
use lab_engine::{
    diagnostics, handover, lab1, labs::Lab, lock, ownership, program, report::Report, run, workshop::Workshop,
};

const ONLY_LAB_1: &str = "this program does lab 1 on a cluster of a given number: start with `cargo xtask`";
const LAB_1: LabRange = LabRange { first: 1, last: 1 };

fn main() -> ExitCode {
    modes::others_never_write();
    program::end(start(Cli::parse()))
}

fn start(cli: Cli) -> Result<u8> {
    let Number::Of(number) = cli.options.number else { bail!("{ONLY_LAB_1}") };
    clikit::verbose::set(cli.options.verbose);
    let cluster = cli.options.cluster_name(number);
    let first = First { paths: Paths::from_environment()?, options: cli.options, number, cluster };
    program::block_on(async {
        match cli.command {
            Command::Lab { labs, .. } => lab(&first, labs).await?,
            Command::Check { wait, .. } => check(&first, wait).await?,
            _ => bail!("{ONLY_LAB_1}"),
        }
        Ok(exit::OK)
    })
}

async fn lab(first: &First, labs: LabRange) -> Result<()> {
    // Not when lab 1 is done.
    if labs.last > LAB_1.last && first.options.cluster() == ClusterChoice::Host {
        ownership::refuse_strangers(first.number)?;
    }
    // `lab` takes it again, milliseconds after this program is gone.
    let _lock = lock::take(&first.paths, &first.cluster)?;
    let mut report = Report::new(&first.options);
    run::labs(first, LAB_1, &mut report).await?;
    if labs.last == LAB_1.last {
        return report.was_printed();
    }
    match handover::become_lab(&first.paths, std::env::args_os().skip(1).collect(), &report).await? {}
}

async fn check(first: &First, wait: Duration) -> Result<()> {
    let mut report = Report::new(&first.options);
    let result = run::checks(first, LAB_1, wait, &mut report).await;
    result.and(report.was_printed())
}

/// The workshop without a cluster.
#[derive(Clone)]
struct First {
    paths: Paths,
    options: Options,
    number: u8,
    /// The name of the one that is meant.
    cluster: String,
}

impl Workshop for First {
    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn lab(&self, _number: u8) -> Lab<Self> {
        lab1::lab()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn ails(&self) -> Option<Obstacle> {
        None
    }

    async fn diagnostics(&self, lab: u8) -> Result<PathBuf> {
        diagnostics::begin(&self.paths, &self.cluster, lab)
    }
}

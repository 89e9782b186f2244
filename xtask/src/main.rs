//! `cargo xtask`: installs what is missing, builds the Rust and Go parts side by side, then runs `lab`.
//!
//! It links neither kube nor libbpf, so that it is ready seconds after a clone.

mod advisories;
mod apt;
mod behind;
mod bench;
mod build;
mod cargo;
mod checkout;
mod crates;
mod defaults;
mod detect;
mod doctor;
mod elsewhere;
mod fetch;
mod finding;
mod go;
mod go_module;
mod go_programs;
mod go_release;
mod go_tools;
mod helm;
mod kernels;
mod kind;
mod machine;
mod needs;
mod pace;
mod privilege;
mod progress;
mod requirements;
mod rest;
mod run_lab;
mod test;
mod versions;
mod vmlinux;

use std::{env, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use clikit::{print, verbose};
use lab_cli::{Cli, Command, Paths, cli::Suite, exit, modes};

fn main() -> ExitCode {
    if let Some(message) = elsewhere::message() {
        message.lines().for_each(print::note);
        return ExitCode::from(exit::UNFIT);
    }
    modes::others_never_write();
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            format!("error: {error:#}").lines().for_each(print::note);
            let missing = error.downcast_ref::<requirements::Missing>();
            if let Some(missing) = missing {
                print::note(format!("hint: {}", missing.fix));
            }
            ExitCode::from(missing.map_or(exit::FAILED, |_| requirements::Missing::EXIT_CODE))
        }
    }
}

fn run() -> Result<u8> {
    let checkout = checkout::checkout()?;
    // Hidden: the processes that build behind everything else.
    match env::args().nth(1).as_deref() {
        Some("build-programs") => {
            let folder = env::args().nth(2).context("the name of the programs' folder")?;
            go_programs::build(&Paths::of_user(&checkout, &folder)?)?;
            return Ok(exit::OK);
        }
        Some(rest::BUILD) => {
            rest::build(&checkout::all_programs(&checkout)?)?;
            return Ok(exit::OK);
        }
        _ => {}
    }
    let arguments = defaults::complete(&checkout::all_programs(&checkout)?, env::args_os().collect())?;
    let cli = Cli::parse_from(&arguments);
    verbose::set(cli.options.verbose);
    let paths = checkout::paths(&checkout, &cli.options)?;
    match &cli.command {
        Command::Doctor => doctor::run(&paths, &cli.options),
        Command::Versions => versions::run(&paths, &cli.options),
        Command::Advisories { databases } => advisories::run(&paths, &cli.options, databases),
        Command::Vmlinux => vmlinux::run(&paths, &cli.options),
        Command::Bench { what } => bench::run(&paths, &cli.options, *what),
        Command::Test { suites, kernels } => {
            let kernels = kernels.then_some(Suite::Kernels);
            test::run(&paths, &cli.options, &suites.iter().copied().chain(kernels).collect::<Vec<_>>())
        }
        _ => run_lab::run_lab(&paths, &cli, &arguments[1..]),
    }
}

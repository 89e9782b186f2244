//! From a command of the workshop to the program `lab` that does it.

use std::ffi::OsString;

use anyhow::{Context, Result};
use lab_cli::{
    Cli, Command, Paths, exit,
    programs::{State, state},
};

use crate::{
    build, doctor, go_programs,
    needs::Needs,
    privilege::{self, Privilege},
    requirements, rest,
};

/// Builds what the command needs and hands it on to `lab`.
pub fn run_lab(paths: &Paths, cli: &Cli, arguments: &[OsString]) -> Result<u8> {
    if let Command::Lab { labs, .. } = cli.command
        && !cli.options.explain
        && let Some(code) = doctor::refuse(paths, &cli.options, labs)?
    {
        return Ok(code);
    }
    let needs = Needs::new(cli);
    requirements::ensure(paths, &needs.tools, cli.options.install)?;
    let privilege = if needs.root { privilege::obtain("a cluster on this machine")? } else { Privilege::Present };
    if needs.probes {
        // bee asks sudo by itself, in the middle of lab 1: the password is better asked for now.
        privilege::obtain("loading probes into this machine's kernel")?;
    }
    if needs.programs {
        go_programs::start_behind(paths)?;
    }
    let lab_1_first = rest::can_wait(paths, &cli.command, &cli.options)?;
    if lab_1_first {
        build::lab_1(paths)?;
        rest::start(paths)?;
    } else {
        // What only runs in the cluster is built behind lab 1, with the Go programs.
        let behind = needs.programs_later && state(paths)? != State::Built;
        build::rust(paths, if behind { &build::STUDENTS } else { needs.binaries })?;
    }
    if needs.programs && !needs.programs_later {
        go_programs::join(paths)?;
    }
    let program = if lab_1_first { "lab1" } else { "lab" };
    let mut lab = privilege::command(privilege, paths.bin.join(program).into(), paths)?;
    let status = lab.args(arguments).status().context("failed to start lab")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED))
}

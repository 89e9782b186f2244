//! `cargo xtask`: installs what is missing, builds the Rust and Go parts side by side, then runs `lab`.
//!
//! It links neither kube nor libbpf, so that it is ready seconds after a clone.

mod build;
mod choice;
mod doctor;
mod kernels;
mod kind;
mod privilege;
mod programs;
mod progress;
mod test;
mod tools;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use interface::{
    Cli, ClusterChoice, Command, Paths, exit,
    programs::{State, state},
};

use privilege::Privilege;
use tools::Need;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            let missing = error.downcast_ref::<tools::Missing>();
            if let Some(missing) = missing {
                eprintln!("hint: {}", missing.mending);
            }
            ExitCode::from(missing.map_or(exit::FAILED, |_| tools::Missing::EXIT_CODE))
        }
    }
}

fn run() -> Result<u8> {
    let paths = paths()?;
    // Hidden: the process that builds the Go programs behind everything else.
    if std::env::args().nth(1).as_deref() == Some("build-programs") {
        programs::build(&paths)?;
        return Ok(exit::OK);
    }
    let arguments = choice::complete(&paths, std::env::args_os().collect())?;
    let cli = Cli::parse_from(&arguments);
    match &cli.command {
        Command::Doctor => doctor::run(&paths, &cli.options),
        Command::Test { suites } => test::run(&paths, &cli.options, suites),
        _ => lab(&paths, &cli, &arguments[1..]),
    }
}

/// Builds what the command needs and hands it on to `lab`.
fn lab(paths: &Paths, cli: &Cli, arguments: &[OsString]) -> Result<u8> {
    if let Command::Lab { labs, .. } = cli.command
        && !cli.options.explain
        && let Some(code) = doctor::refuse(paths, &cli.options, labs)?
    {
        return Ok(code);
    }
    let needs = Needs::of(cli);
    tools::ensure(&needs.tools, cli.options.install)?;
    if needs.kind {
        kind::ensure(paths, cli.options.install)?;
    }
    let privilege = if needs.root { privilege::obtain("a cluster on this machine")? } else { Privilege::Present };
    if needs.probes {
        // bee asks sudo by itself, in the middle of lab 1: the password is better asked for now.
        privilege::obtain("loading probes into this machine's kernel")?;
    }
    if needs.programs {
        programs::start_behind(paths)?;
    }
    // The first time, what only runs in the cluster is built behind lab 1, with the Go programs.
    let behind = needs.programs_later && state(paths)? != State::Built;
    build::rust(paths, if behind { &build::STUDENTS } else { needs.binaries })?;
    if needs.programs && !needs.programs_later {
        programs::join(paths)?;
    }
    let mut lab = privilege::command(privilege, paths.bin.join("lab").into(), paths);
    let status = lab.args(arguments).status().context("start lab")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED))
}

/// What must be there before `lab` can do a command.
struct Needs {
    tools: Vec<Need>,
    binaries: &'static [&'static str],
    programs: bool,
    /// `lab` itself joins the build of the programs when it comes to lab 2.
    programs_later: bool,
    /// `lab` must be root.
    root: bool,
    /// bee, which `lab` runs as the user, must become root.
    probes: bool,
    kind: bool,
}

impl Needs {
    fn of(cli: &Cli) -> Self {
        use Need::{Go, Probes, Web};
        let light = Self {
            tools: vec![],
            binaries: &["lab"],
            programs: false,
            programs_later: false,
            root: false,
            probes: false,
            kind: false,
        };
        if cli.options.explain {
            return light;
        }
        // Nodes on this machine are ours to start; elsewhere Docker, or whoever runs the cluster, has the rights that it takes.
        let on = cli.options.cluster();
        let here = on == ClusterChoice::Host;
        let network = here.then_some(Need::Network);
        let students = Self { tools: vec![Probes], binaries: &build::STUDENTS, root: here, ..light };
        let full = Self {
            tools: [Probes, Web, Go].into_iter().chain(network).collect(),
            binaries: &build::ALL,
            programs: true,
            kind: on == ClusterChoice::Kind,
            ..students
        };
        match &cli.command {
            Command::Lab { labs, .. } if labs.last == 1 => {
                Self { tools: vec![Probes, Go], programs: true, programs_later: true, probes: !here, ..students }
            }
            Command::Lab { labs, .. } => {
                Self { programs_later: labs.first == 1, probes: !here && labs.first == 1, ..full }
            }
            Command::Check { labs, .. } => Self { probes: !here && labs.first == 1, ..students },
            Command::Images { .. } => full,
            Command::Shell => Self { programs: true, ..students },
            Command::Kubectl { .. } => Self { tools: vec![Go], binaries: &["lab"], programs: true, ..students },
            _ => Self { tools: vec![], binaries: &["lab"], ..students },
        }
    }
}

fn paths() -> Result<Paths> {
    let here = std::env::var_os("EBPF_LAB_ROOT").map(PathBuf::from);
    let checkout = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."));
    let checkout = checkout.canonicalize().context("find the checkout that this xtask was built from")?;
    Paths::of_user(&checkout, &programs::key(&checkout)?)
}

//! `cargo xtask`: installs what is missing, builds the Rust and Go parts side by side, then runs `lab`.
//!
//! It links neither kube nor libbpf, so that it is ready seconds after a clone.

mod advisories;
mod behind;
mod bench;
mod build;
mod choice;
mod crates;
mod doctor;
mod elsewhere;
mod fetch;
mod found;
mod go;
mod go_module;
mod go_release;
mod go_tools;
mod helm;
mod kernels;
mod kind;
mod machine;
mod pace;
mod privilege;
mod programs;
mod progress;
mod rest;
mod test;
mod tools;
mod versions;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;
use lab_cli::{
    Cli, ClusterChoice, Command, Options, Paths, Profile,
    cli::{ImagesAction, Suite},
    exit, modes,
    programs::{State, state},
};

use clikit::print;
use privilege::Privilege;
use programs::Set;
use tools::Need;

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
            let missing = error.downcast_ref::<tools::Missing>();
            if let Some(missing) = missing {
                print::note(format!("hint: {}", missing.mending));
            }
            ExitCode::from(missing.map_or(exit::FAILED, |_| tools::Missing::EXIT_CODE))
        }
    }
}

fn run() -> Result<u8> {
    let checkout = checkout()?;
    // Hidden: the processes that build behind everything else.
    match std::env::args().nth(1).as_deref() {
        Some("build-programs") => {
            let folder = std::env::args().nth(2).context("the name of the programs' folder")?;
            programs::build(&Paths::of_user(&checkout, &folder)?)?;
            return Ok(exit::OK);
        }
        Some(rest::BUILD) => {
            rest::build(&all_programs(&checkout)?)?;
            return Ok(exit::OK);
        }
        _ => {}
    }
    let arguments = choice::complete(&all_programs(&checkout)?, std::env::args_os().collect())?;
    let cli = Cli::parse_from(&arguments);
    let paths = paths(&checkout, &cli.options)?;
    match &cli.command {
        Command::Doctor => doctor::run(&paths, &cli.options),
        Command::Versions => versions::run(&paths, &cli.options),
        Command::Advisories { databases } => advisories::run(&paths, &cli.options, databases),
        Command::Bench { what } => bench::run(&paths, &cli.options, *what),
        Command::Test { suites, kernels } => {
            let kernels = kernels.then_some(Suite::Kernels);
            test::run(&paths, &cli.options, &suites.iter().copied().chain(kernels).collect::<Vec<_>>())
        }
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
    tools::ensure(paths, &needs.tools, cli.options.install)?;
    let privilege = if needs.root { privilege::obtain("a cluster on this machine")? } else { Privilege::Present };
    if needs.probes {
        // bee asks sudo by itself, in the middle of lab 1: the password is better asked for now.
        privilege::obtain("loading probes into this machine's kernel")?;
    }
    if needs.programs {
        programs::start_behind(paths)?;
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
        programs::join(paths)?;
    }
    let program = if lab_1_first { "lab1" } else { "lab" };
    let mut lab = privilege::command(privilege, paths.bin.join(program).into(), paths)?;
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
        };
        if cli.options.explain {
            return light;
        }
        // Nodes on this machine are ours to start; elsewhere Docker, or whoever runs the cluster, has the rights that it takes.
        let here = cli.options.cluster() == ClusterChoice::Host;
        let cluster = match cli.options.cluster() {
            ClusterChoice::Host => Some(Need::Network),
            ClusterChoice::Kind => Some(Need::Kind),
            ClusterChoice::Context(_) => None,
        };
        let students = Self { tools: vec![Probes], binaries: &build::STUDENTS, root: here, ..light };
        let full = Self {
            tools: [Probes, Web, Go].into_iter().chain(cluster).collect(),
            binaries: &build::ALL,
            programs: true,
            ..students
        };
        let mut needs = match &cli.command {
            Command::Lab { labs, .. } if labs.last == 1 => {
                Self { tools: vec![Probes, Go], programs: true, programs_later: true, probes: !here, ..students }
            }
            Command::Lab { labs, .. } => {
                Self { programs_later: labs.first == 1, probes: !here && labs.first == 1, ..full }
            }
            Command::Check { labs, .. } => Self { probes: !here && labs.first == 1, ..students },
            Command::Images { action: Some(ImagesAction::Load) } => full,
            // What `docker login` keeps is the user's own, with helpers that ask the user's own session.
            Command::Images { .. } => Self { tools: vec![Probes, Web, Go], root: false, ..full },
            Command::Shell => Self { programs: true, ..students },
            Command::Kubectl { .. } => Self { tools: vec![Go], binaries: &["lab"], programs: true, ..students },
            _ => Self { tools: vec![], binaries: &["lab"], ..students },
        };
        if runs_helm(cli) {
            needs.tools.push(Need::Helm);
        }
        needs
    }
}

/// Whether `lab` will start helm, so that it had better be there before anything else begins.
fn runs_helm(cli: &Cli) -> bool {
    let installs = match &cli.command {
        Command::Lab { labs, .. } => labs.contains(3),
        Command::Reset { lab } => *lab == 3,
        // A cluster of ours goes as a whole.
        Command::Clean => matches!(cli.options.cluster(), ClusterChoice::Context(_)),
        _ => false,
    };
    installs && cli.options.profile() == Profile::Upstream
}

fn checkout() -> Result<PathBuf> {
    let here = std::env::var_os("EBPF_LAB_ROOT").map(PathBuf::from);
    let checkout = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."));
    checkout.canonicalize().context("find the checkout that this xtask was built from")
}

fn all_programs(checkout: &Path) -> Result<Paths> {
    Paths::of_user(checkout, &programs::folder(checkout, Set::All)?)
}

/// The upstream profile does with Kubernetes and containerd, unless all programs are there anyway.
fn paths(checkout: &Path, options: &Options) -> Result<Paths> {
    let all = all_programs(checkout)?;
    if options.profile() == Profile::Offline || all.programs.is_dir() {
        return Ok(all);
    }
    Paths::of_user(checkout, &programs::folder(checkout, Set::Nodes)?)
}

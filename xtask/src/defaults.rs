//! Where the labs run and what they install when the command line does not say.

use std::ffi::OsString;

use anyhow::Result;
use clap::Parser;
use clikit::print;
use lab_cli::{Cli, ClusterChoice, Command, Obstacle, Paths, Version, engine::Engine, settings::Settings};

use crate::{kind, machine::ThisMachine};

/// The command line with the defaults in it, before the command: what follows it may be another program's. What is chosen for
/// the user is said, and why.
pub fn complete(paths: &Paths, mut arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    let cli = Cli::parse_from(&arguments);
    let settings = Settings::of(&paths.checkout)?;
    let mut defaults: Vec<OsString> = settings.arguments(&cli.options).into_iter().map(OsString::from).collect();
    if cli.options.on.is_none() && uses_a_cluster(&cli.command) {
        let (choice, why) = match &settings.on {
            Some(choice) => (choice.clone(), "lab.toml says so".to_owned()),
            None => {
                let (choice, why) = choose(kind::fit(&ThisMachine::new(paths)));
                defaults.extend(["--on".into(), choice.to_string().into()]);
                (choice, why)
            }
        };
        if !prints_only(&cli.command) {
            print::note(format!("on {choice}: {why}"));
        }
    }
    arguments.splice(1..1, defaults);
    Ok(arguments)
}

/// kind where it can be, host everywhere else.
fn choose(fit: Result<(Engine, Version), Obstacle>) -> (ClusterChoice, String) {
    match fit {
        Ok((engine, kind)) => {
            (ClusterChoice::Kind, format!("{engine} and kind {kind} are here (--on host runs without them)"))
        }
        Err(obstacle) => (ClusterChoice::Host, obstacle.what),
    }
}

fn uses_a_cluster(command: &Command) -> bool {
    !matches!(
        command,
        Command::Bench { .. }
            | Command::Test { .. }
            | Command::Versions
            | Command::Vmlinux
            | Command::Advisories { .. }
    )
}

/// Whether what a command prints is for another program to read.
fn prints_only(command: &Command) -> bool {
    matches!(command, Command::Kubeconfig | Command::Kubectl { .. } | Command::Query { .. } | Command::Open { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_cli::engine::Program;

    #[test]
    fn kind_is_chosen_where_it_is_fit_and_host_elsewhere_each_with_its_reason() {
        let version: Version = "28.2.2".parse().unwrap();
        let engine = Engine {
            program: Program::Docker,
            version,
            cgroup: 2,
            rootless: false,
            local: true,
            data: "/".into(),
            kernel: String::new(),
            memory: 0,
        };
        let (choice, why) = choose(Ok((engine, "0.99.1".parse().unwrap())));
        assert_eq!(choice, ClusterChoice::Kind);
        assert_eq!(why, "Docker 28.2.2 and kind 0.99.1 are here (--on host runs without them)");
        let (choice, why) = choose(Err(Obstacle::new("Docker does not answer: no such file", "start it")));
        assert_eq!((choice, why.as_str()), (ClusterChoice::Host, "Docker does not answer: no such file"));
    }
}

//! The `bee` program: parses the command line and says what went wrong.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a reader may have gone, and words may be a stranger's: `clikit::print`"
)]

mod cli;
mod commands;

use std::process::ExitCode;

use bee::kernel::pins;
use clikit::print;

use cli::{Cli, Command};

fn main() -> ExitCode {
    // Not for people: what a run that pins starts beside itself.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == pins::KEEPER) {
        return pins::take_away(std::io::stdin()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    match Cli::read().and_then(|cli| cli.map_or(Ok(()), run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::note(format_args!("error: {error:#}"));
            for detail in commands::details(&error) {
                print::note(format_args!("  {detail}"));
            }
            if let Some(hint) = commands::hint(&error) {
                print::note(format_args!("hint: {hint}"));
            }
            commands::exit_code(&error)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    commands::without_use(&[("--verbose", cli.global.verbose)], "bee says what it does anyway");
    match &cli.command {
        Command::Init(arguments) => commands::init::run(arguments),
        Command::Build(arguments) => commands::build::run(&cli, arguments),
        Command::Lint(arguments) => commands::lint::run(arguments),
        Command::List(arguments) => commands::list::run(&cli, arguments),
        Command::Tag(arguments) => commands::tag::run(&cli, arguments),
        Command::Remove(arguments) => commands::rm::run(&cli, arguments),
        Command::Describe(arguments) => commands::describe::run(&cli, arguments),
        Command::Inspect(arguments) => commands::inspect::run(&cli, arguments),
        Command::Export(arguments) => commands::export::run(&cli, arguments),
        Command::Import(arguments) => commands::import::run(&cli, arguments),
        Command::Completion(arguments) => commands::completion::run(arguments),
        Command::Login(arguments) => commands::registry::login(&cli, arguments),
        Command::Push(arguments) => commands::registry::push(&cli, arguments),
        Command::Pull(arguments) => commands::registry::pull(&cli, arguments),
        Command::Package(arguments) => commands::package::run(&cli, arguments),
        Command::Run(arguments) => commands::run::run(&cli, arguments),
        Command::Replay(arguments) => commands::replay::run(arguments),
        Command::Doctor(arguments) => commands::doctor::run(arguments),
        Command::Version => commands::version::run(),
    }
}

//! The help of every command, as a user reads it.

use clap::CommandFactory;
use lab_cli::Cli;

/// The options that every command takes stand once, in the main help.
fn help(mut command: clap::Command) -> String {
    let text = command.render_long_help().to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_main_help() {
    insta::assert_snapshot!("main", help(Cli::command().term_width(100)));
}

#[test]
fn the_help_of_every_command() {
    for command in Cli::command().get_subcommands() {
        insta::assert_snapshot!(command.get_name().to_owned(), help(command.clone().term_width(100)));
        for action in command.get_subcommands() {
            let name = format!("{}_{}", command.get_name(), action.get_name());
            insta::assert_snapshot!(name, help(action.clone().term_width(100)));
        }
    }
}

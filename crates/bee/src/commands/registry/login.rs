//! `bee login`: nothing is written before the registry has taken it.

use std::io::{self, IsTerminal, Read};

use anyhow::{Context, Result, bail};
use bee::store::Reference;
use clikit::print;
use inquire::validator::Validation;
use inquire::{CustomUserError, Password, PasswordDisplayMode, Text};
use oci_registry::client::{Client, Operation, Options};
use oci_registry::credentials;

use crate::cli::{Cli, Login, Registry};
use crate::commands;

/// Access tokens have some kilobytes.
const LONGEST: u64 = 64 << 10;

/// Registries give tokens for a repository; any does to see whether they take a login.
const REPOSITORY: &str = "bee";

const NO_NAME: &str = "a name must not be empty and has no colon";

/// What to do if the registry does not take it; to log in is what was just tried.
const AGAIN: &str =
    "check the name and the password (many registries want an access token as password), then bee login";

pub fn run(cli: &Cli, arguments: &Login) -> Result<()> {
    commands::without_use(&[("--debug", arguments.debug)], "what the registry answers is said anyway");
    let (registry, host) = (&cli.global.registry, &arguments.host);
    let is_host = format!("{host}/{REPOSITORY}").parse::<Reference>().is_ok_and(|name| name.host() == Some(host));
    anyhow::ensure!(is_host, "{host:?} is not a registry: expected HOST or HOST:PORT, as in ghcr.io");
    let (name, password) = ask(arguments, registry)?;
    let as_whom = super::options_as(Some((name.clone(), password.clone())), registry)?;
    let options = Options { login_command: AGAIN, ..as_whom };
    super::block_on(async {
        Client::connect(host, REPOSITORY, Operation::Pull, &options).await?.check_login().await?;
        Ok(())
    })?;
    let file = super::config_file(registry)?;
    credentials::remember(&file, host, &name, &password)?;
    print::note(format_args!("logged in to {host}; saved in {} (mode 0600)", file.display()));
    Ok(())
}

/// The name and the password, from wherever they are.
fn ask(arguments: &Login, registry: &Registry) -> Result<(String, String)> {
    let on_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    anyhow::ensure!(
        !(arguments.password_stdin && registry.password.is_some()),
        "the password is given twice: leave out --password or --password-stdin"
    );
    super::warn_of_password(registry);
    let name = match &registry.username {
        Some(name) => name.clone(),
        None if on_terminal => commands::answered(Text::new("Username:").with_validator(validation).prompt())?,
        None => bail!("there is no terminal to ask on: give --username, and --password-stdin"),
    };
    anyhow::ensure!(is_name(&name), "{NO_NAME}");
    let password = match &registry.password {
        Some(password) => password.clone(),
        None if arguments.password_stdin => read_password()?,
        None if on_terminal => {
            let question = Password::new("Password:").with_display_mode(PasswordDisplayMode::Hidden);
            commands::answered(question.without_confirmation().prompt())?
        }
        None => bail!("there is no terminal to ask on: give --password-stdin"),
    };
    anyhow::ensure!(!password.is_empty(), "the password is empty");
    Ok((name, password))
}

/// A colon would end it where it is sent.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(':')
}

fn validation(text: &str) -> Result<Validation, CustomUserError> {
    Ok(if is_name(text) { Validation::Valid } else { Validation::Invalid(NO_NAME.into()) })
}

/// The line end belongs to whatever wrote it, not to the password.
fn read_password() -> Result<String> {
    let mut text = String::new();
    io::stdin().take(LONGEST).read_to_string(&mut text).context("failed to read the password from standard input")?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

//! Installs packages with the distribution's own program, saying how far it is.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use lab_cli::proxies;

use super::distribution::Manager;
use crate::{
    privilege::{self, Privilege},
    progress::Line,
};

/// Installs them without asking.
///
/// # Errors
/// Nobody can be root here, or what the manager said when it failed.
pub fn install(manager: &Manager, names: &[&str]) -> Result<()> {
    let privilege = privilege::obtain("installing packages")?;
    let line = Line::new(&format!("installing {}", names.join(" ")));
    if !manager.refresh.is_empty() {
        run(privilege, manager, manager.refresh, &line)?;
    }
    run(privilege, manager, &[manager.install, names].concat(), &line)
}

/// The package whose name begins so and ends in the highest number, of those that apt knows.
pub fn newest(prefix: &str) -> Option<String> {
    let output = Command::new("apt-cache").args(["pkgnames", prefix]).output().ok()?;
    highest(&String::from_utf8_lossy(&output.stdout), prefix)
}

fn highest(names: &str, prefix: &str) -> Option<String> {
    let numbers = names.lines().filter_map(|name| name.strip_prefix(prefix)?.parse::<u32>().ok());
    numbers.max().map(|number| format!("{prefix}{number}"))
}

fn run(privilege: Privilege, manager: &Manager, words: &[&str], line: &Line) -> Result<()> {
    let mut command = command(privilege, words);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().map_err(|error| anyhow::anyhow!("start {}: {error}", words[0]))?;
    let mut said = child.stderr.take().context("failed to read what the package manager says")?;
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        // A pipe that breaks leaves what was read so far.
        let _ = said.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut tail = VecDeque::new();
    for output in BufReader::new(child.stdout.take().context("failed to read what the package manager prints")?).lines()
    {
        let output = output?;
        line.show(output.clone());
        tail.push_back(output);
        if tail.len() > 5 {
            tail.pop_front();
        }
    }
    let status = child.wait()?;
    let errors = errors.join().unwrap_or_default();
    if !status.success() {
        let printed = tail.make_contiguous().join("\n");
        let hint = manager.hint;
        bail!("`{}` failed ({status})\n{printed}\n{}\n{hint}", words.join(" "), errors.trim_end());
    }
    Ok(())
}

/// As root; `env` because sudo lets nobody set variables who has no right to.
fn command(privilege: Privilege, words: &[&str]) -> Command {
    let mut command = Command::new("sudo");
    match privilege {
        Privilege::Present => command = Command::new("env"),
        Privilege::Sudo => drop(command.args(["--", "env"])),
    }
    // sudo drops them, and package managers read them.
    command.args(proxies::inherited().into_iter().map(|(name, value)| privilege::assignment(name, value)));
    command.arg("DEBIAN_FRONTEND=noninteractive").arg("LC_ALL=C").args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::highest;

    #[test]
    fn of_packages_with_a_number_the_highest_is_the_newest() {
        // Of Debian 11.
        let names = "clang-9\nclang-format-11\nclang-16\nclang-11-doc\nclang-13\nclang-tidy\n";
        assert_eq!(highest(names, "clang-"), Some("clang-16".to_owned()));
        assert_eq!(highest("clang-tools\n", "clang-"), None);
    }
}

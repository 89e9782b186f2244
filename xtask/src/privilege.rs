//! Root, for what needs it: asked for once, first, and told why.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::IsTerminal,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use interface::Paths;

use crate::go_tools;

/// sudo forgets a password after some minutes (five at the least, by its manual); long builds take longer.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How this process gets root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// It has it, or what it does needs none.
    Present,
    /// By sudo, whose password was given.
    Sudo,
}

/// Sees that `lab` can be root, before anything long begins.
///
/// # Errors
/// There is no sudo, or nobody there to type its password.
pub fn obtain(why: &str) -> Result<Privilege> {
    if nix::unistd::geteuid().is_root() {
        return Ok(Privilege::Present);
    }
    if crate::found::find("sudo").is_none() {
        bail!("{why} needs root, and there is no sudo: run the same command as root");
    }
    let mut sudo = Command::new("sudo");
    if std::io::stdin().is_terminal() {
        eprintln!("{why} needs root; sudo may ask for your password");
        sudo.arg("-v");
    } else {
        sudo.args(["-n", "-v"]).stderr(Stdio::null());
    }
    let granted = sudo.status().context("start sudo")?.success();
    if !granted {
        bail!("{why} needs root, and sudo did not grant it: run it on a terminal, or as root");
    }
    std::thread::spawn(keep_alive);
    Ok(Privilege::Sudo)
}

fn keep_alive() {
    loop {
        std::thread::sleep(KEEP_ALIVE);
        // If sudo refuses now, the command that needs it will say so.
        let _ = Command::new("sudo").args(["-n", "-v"]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// A command for one of our programs, as root if need be; the folders stay the caller's.
pub fn command(privilege: Privilege, program: OsString, paths: &Paths) -> Result<Command> {
    let mut command = match privilege {
        Privilege::Present => Command::new(program),
        Privilege::Sudo => {
            // Made as the caller: root would own not only them, but on a fresh account all of ~/.local.
            for folder in [&paths.cache, &paths.state] {
                fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
            }
            let mut sudo = Command::new("sudo");
            // A bare environment assignment would need sudo's SETENV; `env` does not.
            sudo.arg("--").arg("env").args(kept_environment()).args(assignments(paths));
            sudo.arg(assignment("PATH", go_tools::path(paths)?)).arg(program);
            return Ok(sudo);
        }
    };
    command.envs(paths.environment()).env("PATH", go_tools::path(paths)?);
    Ok(command)
}

fn assignments(paths: &Paths) -> impl Iterator<Item = OsString> {
    paths.environment().into_iter().map(|(name, value)| assignment(name, value))
}

/// What sudo drops and `lab` reads: the terminal's abilities, the user's kubeconfig and shell.
fn kept_environment() -> impl Iterator<Item = OsString> {
    let names = ["HOME", "TERM", "NO_COLOR", "KUBECONFIG", "SHELL", "SSH_CONNECTION", "BPF_CLANG"];
    names.into_iter().filter_map(|name| Some(assignment(name, std::env::var_os(name)?)))
}

fn assignment(name: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut assignment = OsString::from(format!("{name}="));
    assignment.push(value);
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_root_will_write_to_are_made_by_the_caller() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let (cache, state) = (at(".cache/ebpf-lab"), at(".local/state/ebpf-lab"));
        let (bin, programs) = (at("bin"), at("programs"));
        let paths = Paths { checkout: home.path().into(), cache, state, bin, programs };
        command(Privilege::Sudo, "lab".into(), &paths).unwrap();
        assert!(paths.cache.is_dir() && paths.state.is_dir());
    }
}

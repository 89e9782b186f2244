//! Root, for what needs it: asked for once, first, and told why.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, IsTerminal},
    os::unix::fs::{MetadataExt, lchown},
    process::{Command, Stdio},
    sync::Once,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clikit::print;
use lab_cli::{Paths, proxies};

use crate::go_tools;

/// sudo forgets a password after some minutes (five at the least, by its manual); long builds take longer.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Beside the proxies.
const KEPT: [&str; 9] = [
    "HOME",
    "TERM",
    "NO_COLOR",
    "KUBECONFIG",
    "SHELL",
    "SSH_CONNECTION",
    "BPF_CLANG",
    // The authority of a proxy that looks into TLS.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

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
    // Not by what starting it says: where `PATH` has a folder that is not the user's to read, that is no better than "denied".
    if crate::detect::find("sudo").is_none() {
        bail!("{why} needs root, and there is no sudo: run the same command as root, or install sudo");
    }
    if !asks_nothing().context("failed to start sudo")? {
        type_password(why)?;
    }
    static KEEPER: Once = Once::new();
    KEEPER.call_once(|| drop(std::thread::spawn(keep_alive)));
    Ok(Privilege::Sudo)
}

/// Whether sudo runs a command without a password. `sudo -v` would not tell: on the stock machines of clouds, where a user may do
/// everything without one, it asks for it all the same if any other rule, such as that of group sudo, wants one (`verifypw` in
/// sudoers(5)), and such users have none.
fn asks_nothing() -> io::Result<bool> {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(sudo.status()?.success())
}

fn type_password(why: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!(
            "{why} needs root, and sudo wants a password with no terminal to type it on: run it on a terminal, or as root"
        );
    }
    print::note(format!("{why} needs root; sudo may ask for your password"));
    if !Command::new("sudo").arg("-v").status().context("failed to start sudo")?.success() {
        bail!("{why} needs root, and sudo did not grant it: give the right password, or run the same command as root");
    }
    Ok(())
}

fn keep_alive() {
    loop {
        std::thread::sleep(KEEP_ALIVE);
        // If sudo refuses now, the command that needs it will say so.
        let _ = asks_nothing();
    }
}

/// A command for one of our programs, as root if need be; the folders stay the caller's.
pub fn command(privilege: Privilege, program: OsString, paths: &Paths) -> Result<Command> {
    let mut command = match privilege {
        Privilege::Present => Command::new(program),
        Privilege::Sudo => {
            // Made as the caller: root would own not only them, but on a fresh account all of ~/.local.
            for folder in [&paths.cache, &paths.state] {
                fs::create_dir_all(folder)
                    .with_context(|| format!("failed to make the folder {}", folder.display()))?;
            }
            let mut sudo = Command::new("sudo");
            // A bare environment assignment would need sudo's SETENV; `env` does not.
            sudo.arg("--").arg("env").args(kept(|name| std::env::var_os(name))).args(assignments(paths));
            sudo.arg(assignment("PATH", go_tools::path(paths)?)).arg(program);
            return Ok(sudo);
        }
    };
    command.envs(paths.environment()).env("PATH", go_tools::path(paths)?);
    settle_user(&mut command, paths)?;
    Ok(command)
}

/// The user of `sudo cargo xtask`: where the folders are theirs, so is what root made there until now, because `lab` goes on with the
/// user's rights; where they are root's (sudo changed HOME), all of it is root's.
fn settle_user(command: &mut Command, paths: &Paths) -> Result<()> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let (Some(user), Some(group)) = (number("SUDO_UID"), number("SUDO_GID")) else { return Ok(()) };
    let home = std::env::var_os("HOME").and_then(|home| fs::metadata(home).ok());
    if home.is_none_or(|home| home.uid() != user) {
        command.env_remove("SUDO_UID").env_remove("SUDO_GID");
        return Ok(());
    }
    for folder in [paths.cache.clone(), paths.images(), paths.state.clone(), paths.work(), paths.reports()] {
        fs::create_dir_all(&folder).with_context(|| format!("failed to make the folder {}", folder.display()))?;
        let given = lchown(&folder, Some(user), Some(group));
        given.with_context(|| format!("failed to give {} to the user who called sudo", folder.display()))?;
    }
    Ok(())
}

fn assignments(paths: &Paths) -> impl Iterator<Item = OsString> {
    paths.environment().into_iter().map(|(name, value)| assignment(name, value))
}

/// What sudo drops and `lab` reads: the terminal's abilities, the user's kubeconfig and shell, and how what is outside is reached.
fn kept(variable: impl Fn(&str) -> Option<OsString>) -> impl Iterator<Item = OsString> {
    KEPT.into_iter().chain(proxies::VARIABLES).filter_map(move |name| Some(assignment(name, variable(name)?)))
}

/// `NAME=VALUE`, for `env`.
pub fn assignment(name: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut assignment = OsString::from(format!("{name}="));
    assignment.push(value);
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_names_a_proxy_is_kept_as_the_user_wrote_it() {
        let set = ["HOME", "https_proxy", "HTTPS_PROXY", "no_proxy", "LD_PRELOAD"];
        let kept: Vec<_> = kept(|name| set.contains(&name).then(|| "a b".into())).collect();
        assert_eq!(kept, ["HOME=a b", "https_proxy=a b", "no_proxy=a b", "HTTPS_PROXY=a b"]);
    }

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

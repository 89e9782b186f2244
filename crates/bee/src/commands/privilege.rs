//! The right to load a probe, and how a user without it gets it: through sudo, once, and told why.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use bee::kernel::capabilities::missing;
use clikit::print;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("loading a probe needs root, or CAP_BPF and CAP_PERFMON, and this is root without {0}")]
    Confined(String),

    #[error("loading a probe needs root, and sudo cannot be started")]
    NoSudo(#[source] io::Error),

    #[error("loading a probe needs root, and sudo would ask for a password, but there is no terminal to ask on")]
    NoPassword,
}

impl Error {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Confined(_) => "in a container, add the capabilities BPF and PERFMON",
            Self::NoSudo(_) => {
                "start bee as root, or let it load probes: `setcap cap_bpf,cap_perfmon+ep $(command -v bee)`"
            }
            Self::NoPassword => "start it on a terminal, or as root",
        }
    }
}

/// Whether this process may load probes itself.
pub fn may_load_probes() -> bool {
    missing().is_empty()
}

/// Becomes `sudo bee ARGUMENTS…`; returns only if that fails.
pub fn become_root(arguments: &[OsString]) -> anyhow::Error {
    if nix::unistd::geteuid().is_root() {
        return Error::Confined(missing().iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")).into();
    }
    print::note("loading a probe into the kernel needs root: running again through sudo");
    let mut sudo = Command::new("sudo");
    if !io::stdin().is_terminal() {
        match Command::new("sudo").args(["-n", "true"]).stdin(Stdio::null()).stderr(Stdio::null()).status() {
            Err(why) => return Error::NoSudo(why).into(),
            Ok(status) if !status.success() => return Error::NoPassword.into(),
            Ok(_) => sudo.arg("-n"),
        };
    }
    match std::env::current_exe() {
        Ok(bee) => Error::NoSudo(sudo.arg("--").arg(bee).args(arguments).exec()).into(),
        Err(why) => anyhow::Error::new(why).context("failed to find bee's own program file"),
    }
}

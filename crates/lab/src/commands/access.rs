//! The cluster's kubeconfig, and the built-in kubectl on it.

use anyhow::Result;
use clikit::print;

use crate::{error::unfit, workshop::Workshop};

pub fn kubeconfig(workshop: &Workshop) -> Result<()> {
    let path = workshop.cluster.kubeconfig();
    if !path.is_file() {
        return Err(unfit("there is no cluster, so there is no kubeconfig", "start it: `cargo xtask lab 2`"));
    }
    Ok(print::own(&format!("{}\n", path.display()))?)
}

/// Runs with this terminal; the exit code is kubectl's.
pub fn kubectl(workshop: &Workshop, arguments: &[String]) -> Result<u8> {
    let status = workshop.kubectl().args(arguments).interactive()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

//! The cluster's kubeconfig, and the built-in kubectl on it.

use anyhow::Result;

use crate::{cmd::Cmd, error::unfit, workshop::Workshop};

pub fn kubeconfig(workshop: &Workshop) -> Result<()> {
    let path = workshop.cluster.kubeconfig();
    if !path.is_file() {
        return Err(unfit("there is no cluster, so there is no kubeconfig", "start it: `cargo xtask lab 2`"));
    }
    println!("{}", path.display());
    Ok(())
}

/// Runs with this terminal; the exit code is kubectl's.
pub fn kubectl(workshop: &Workshop, arguments: &[String]) -> Result<u8> {
    let kubectl = Cmd::new(workshop.paths.programs.join("bin/hyperkube")).arg("kubectl");
    let kubectl = kubectl.env("KUBECONFIG", workshop.cluster.kubeconfig()).args(arguments);
    let status = kubectl.interactive()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

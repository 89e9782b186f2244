//! What the commands that speak to a registry have in common: whom they log in as, how far they are, and the waiting.

use std::path::PathBuf;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use oci::client::Options;
use oci::credentials;

use crate::cli::Registry;

/// How the command line wants a registry to be spoken to, and as whom.
pub fn options(registry: &Registry) -> Result<Options> {
    if registry.username.is_some() != registry.password.is_some() {
        anyhow::bail!("--username and --password need each other; `bee login` keeps both out of the command line");
    }
    warn_of_password(registry);
    options_as(registry.username.clone().zip(registry.password.clone()), registry)
}

/// Other users of this machine may be looking at its processes.
pub fn warn_of_password(registry: &Registry) {
    if registry.password.is_some() {
        eprintln!(
            "warning: --password can be seen in the list of processes; `bee login --password-stdin` keeps it out of there"
        );
    }
}

/// The same with a name and a password, which may come from elsewhere.
pub fn options_as(login: Option<(String, String)>, registry: &Registry) -> Result<Options> {
    if registry.registry_ca.is_some() && registry.plain_http {
        anyhow::bail!("--registry-ca is for TLS, and --plain-http gives it up: leave one of them out");
    }
    let mut configs = registry.config.clone();
    if configs.is_empty() {
        configs.push(config_file(registry)?);
    }
    configs.extend(credentials::docker_config());
    Ok(Options {
        plain_http: registry.plain_http,
        insecure: registry.insecure,
        authority: registry.registry_ca.clone(),
        login,
        configs,
        login_command: "bee login",
        user_agent: concat!("bee/", env!("CARGO_PKG_VERSION")),
    })
}

/// Where logins are written to.
pub fn config_file(registry: &Registry) -> Result<PathBuf> {
    if let Some(first) = registry.config.first() {
        return Ok(first.clone());
    }
    let home = || Some(etcetera::home_dir().ok()?.join(".bumblebee"));
    let folder = registry.config_dir.clone().or_else(home);
    Ok(folder.context("find the home folder: set HOME, or name bee's folder with --config-dir")?.join("config.json"))
}

/// How many bytes have come or gone; nothing where standard error is no terminal.
pub fn progress(title: String) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg}  {bar}  {decimal_bytes} of {decimal_total_bytes}")?;
    Ok(ProgressBar::new(0).with_style(style).with_message(title))
}

/// One command speaks to one registry about one thing at a time.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start what waits for the network")?.block_on(work)
}

//! The commands that speak to a registry, and what they have in common: whom they log in as, how far they are, and the waiting.

mod login;
mod pull;
mod push;

use std::path::PathBuf;

use anyhow::{Context, Result};
use bee::store::Reference;
use clikit::print;
use indicatif::{ProgressBar, ProgressStyle};
use oci::{Recipe, archive};
use oci_registry::client::{Operation, Options};
use oci_registry::credentials;

use crate::cli::Registry;

pub use login::run as login;
pub use pull::{fetch, run as pull};
pub use push::run as push;

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
        print::note(
            "warning: --password can be seen in the list of processes; `bee login --password-stdin` keeps it out of there",
        );
    }
}

/// The same with a name and a password, which may come from elsewhere.
pub fn options_as(login: Option<(String, String)>, registry: &Registry) -> Result<Options> {
    if registry.registry_ca.is_some() && registry.plain_http {
        anyhow::bail!("--registry-ca cannot be used with --plain-http");
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
    let folder = registry.config_dir.clone().or_else(default_folder);
    Ok(folder
        .context("failed to find the home folder: set HOME, or name bee's folder with --config-dir")?
        .join("config.json"))
}

fn default_folder() -> Option<PathBuf> {
    Some(etcetera::home_dir().ok()?.join(".bumblebee"))
}

/// How many bytes have come or gone; nothing where standard error is no terminal.
pub fn progress(title: String) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg}  {bar}  {decimal_bytes} of {decimal_total_bytes}")?;
    Ok(ProgressBar::new(0).with_style(style).with_message(title))
}

/// One command speaks to one registry about one thing at a time.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("failed to start what waits for the network")?.block_on(work)
}

/// Makes an image and sends it to the registry that its name begins with; `full_name` is what its archive calls it.
pub fn push_image(recipe: &Recipe, name: &Reference, full_name: &str, registry: &Registry) -> Result<String> {
    let options = options(registry)?;
    if name.host().is_none() {
        anyhow::bail!(
            "{name} names no registry to push it to: begin it with one, or write an archive with --output FILE"
        );
    }
    let folder = tempfile::tempdir().context("failed to make a folder for the image")?;
    let progress = progress(format!("push {name}"))?;
    let pushed = block_on(async {
        let client = bee::store::registry::connect(name, Operation::Push, &options).await?;
        let image = archive::write(folder.path(), recipe, full_name)?;
        Ok(bee::store::registry::push_archive(&client, &image, name.version(), &progress).await?)
    });
    progress.finish_and_clear();
    let digest = pushed.with_context(|| format!("failed to push {name}"))?;
    print::note(format_args!("pushed {name}"));
    Ok(digest)
}

/// The next step after an error of a registry's.
pub fn hint(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    cause.downcast_ref::<bee::store::registry::Error>()?.hint()
}

/// The documented exit code of such an error.
pub fn exit_code(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    matches!(cause.downcast_ref()?, bee::store::registry::Error::NoProbe { .. }).then_some(3)
}

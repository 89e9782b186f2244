//! One file per command.

pub mod build;
pub mod completion;
pub mod describe;
pub mod doctor;
pub mod export;
pub mod import;
pub mod init;
pub mod inspect;
pub mod lint;
pub mod list;
pub mod package;
pub mod replay;
pub mod rm;
pub mod run;
pub mod tag;
pub mod version;

mod privilege;
#[cfg(feature = "whole")]
pub mod registry;
#[cfg(not(feature = "whole"))]
#[path = "later.rs"]
pub mod registry;

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use bee::kernel::probe::ProbeError;
use bee::object::SIZE_LIMIT;
use bee::store::{Entry, Store};
use clikit::print;
use inquire::InquireError;
use oci::files;

use crate::cli::Cli;

/// The store that the command line names, or the user's own.
fn store(cli: &Cli) -> Result<Store> {
    let folder = cli.global.storage.clone().or_else(Store::default_folder);
    Ok(Store::at(folder.context("failed to find the home folder: set HOME, or name the store with --storage")?))
}

/// The bytes of an object's file.
fn object(file: &Path) -> Result<Vec<u8>> {
    let read = files::read(file, SIZE_LIMIT as u64).map_err(|why| match why.kind() {
        ErrorKind::FileTooLarge => bee::object::Error::TooLong.into(),
        _ => anyhow::Error::new(why),
    });
    read.with_context(|| format!("failed to read {}", file.display()))
}

/// Says of BumbleBee's options that are given but have no use here why that is.
pub fn without_use(options: &[(&str, bool)], why: &str) {
    let useless = options.iter().filter(|(_, given)| *given);
    useless.for_each(|(name, _)| print::note(format_args!("{name} is ignored: {why}")));
}

/// Nothing if the image does not say it.
fn platform(entry: &Entry) -> Option<String> {
    (!entry.platforms.is_empty()).then(|| entry.platforms.join(","))
}

/// What somebody said who was asked, and who may leave instead.
fn answered<T>(answer: Result<T, InquireError>) -> Result<T> {
    answer.map_err(|why| match why {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => anyhow!("cancelled: nothing was done"),
        other => other.into(),
    })
}

/// What an error has to say on lines of their own: why each variant of a probe does not run.
pub fn details(error: &anyhow::Error) -> Vec<String> {
    let refusals = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<ProbeError>()? {
        ProbeError::NoVariant(refused) => Some(refused.iter().map(ToString::to_string).collect()),
        _ => None,
    };
    error.chain().find_map(refusals).unwrap_or_default()
}

/// The next step after an error, where there is one.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let build = || cause.downcast_ref::<bee::compile::Error>()?.hint().map(str::to_owned);
        let store = || cause.downcast_ref::<bee::store::Error>()?.hint();
        let privilege = || cause.downcast_ref::<privilege::Error>().map(|it| it.hint().to_owned());
        let registry = || registry::hint(cause);
        let oci = || cause.downcast_ref::<oci::Error>()?.hint().map(str::to_owned);
        build().or_else(store).or_else(privilege).or_else(registry).or_else(oci)
    })
}

/// The documented exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    use bee::compile::Error as Build;
    use bee::run::Error as Run;
    let code = error.chain().find_map(|cause| {
        let build = || match cause.downcast_ref::<Build>()? {
            Build::Compile { .. } | Build::Link(_) | Build::LinkSeveral(_) | Build::Refused { .. } => Some(3),
            Build::NoClang { .. } | Build::OldClang { .. } | Build::KernelTypes(_) => Some(4),
            _ => None,
        };
        let run = || match cause.downcast_ref::<Run>()? {
            Run::Twice(_) | Run::SameMetric { .. } | Run::Variant(_) | Run::Parameter(_) | Run::Filter(_) => Some(2),
            Run::NoHistogram | Run::NoValue { .. } => Some(2),
            Run::Probe { source: ProbeError::Hook(_), .. } => Some(3),
            Run::Probe { source: ProbeError::NoVariant(_) | ProbeError::NoBtf, .. } | Run::RunTime(_) => Some(4),
            _ => None,
        };
        let object = || cause.downcast_ref::<bee::object::Error>().map(|_| 3);
        let privilege = || cause.downcast_ref::<privilege::Error>().map(|_| 4);
        let registry = || registry::exit_code(cause);
        let findings = || cause.downcast_ref::<lint::Findings>().map(|_| 3);
        let lacking = || cause.downcast_ref::<doctor::Lacking>().map(|_| 4);
        build().or_else(run).or_else(object).or_else(privilege).or_else(registry).or_else(findings).or_else(lacking)
    });
    ExitCode::from(code.unwrap_or(1))
}

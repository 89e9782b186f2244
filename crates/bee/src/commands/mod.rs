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

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use bee::kernel::blame::Fault;
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
    for (name, _) in options.iter().filter(|(_, given)| *given) {
        print::note(format_args!("{name} is ignored: {why}"));
    }
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
    for cause in error.chain() {
        if let Some(ProbeError::NoVariant(refused)) = cause.downcast_ref() {
            return refused.iter().map(ToString::to_string).collect();
        }
    }
    vec![]
}

/// The next step after an error, where there is one.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(hint_of)
}

fn hint_of(cause: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(build) = cause.downcast_ref::<bee::compile::Error>() {
        return build.hint().map(str::to_owned);
    }
    if let Some(store) = cause.downcast_ref::<bee::store::Error>() {
        return store.hint();
    }
    if let Some(privilege) = cause.downcast_ref::<privilege::Error>() {
        return Some(privilege.hint().to_owned());
    }
    if let Some(image) = cause.downcast_ref::<oci::Error>() {
        return image.hint().map(str::to_owned);
    }
    registry::hint(cause)
}

/// The documented exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(error.chain().find_map(exit_code_of).unwrap_or(1))
}

fn exit_code_of(cause: &(dyn StdError + 'static)) -> Option<u8> {
    if let Some(build) = cause.downcast_ref::<bee::compile::Error>() {
        return exit_code_of_build(build);
    }
    if let Some(run) = cause.downcast_ref::<bee::run::Error>() {
        return exit_code_of_run(run);
    }
    if cause.is::<bee::object::Error>() || cause.is::<lint::Findings>() {
        return Some(3);
    }
    if cause.is::<privilege::Error>() || cause.is::<doctor::Lacking>() {
        return Some(4);
    }
    match cause.downcast_ref::<bee::inspect::Error>() {
        Some(bee::inspect::Error::Object(_)) => return Some(3),
        Some(bee::inspect::Error::Probe(probe)) => return exit_code_of_probe(probe),
        None => {}
    }
    if let Some(probe) = cause.downcast_ref::<ProbeError>() {
        return exit_code_of_probe(probe);
    }
    registry::exit_code(cause)
}

fn exit_code_of_build(error: &bee::compile::Error) -> Option<u8> {
    use bee::compile::Error;
    match error {
        Error::Compile { .. } | Error::OldTypes(_) | Error::Link(_) | Error::LinkSeveral(_) => Some(3),
        Error::Undefined { .. } | Error::Refused { .. } => Some(3),
        Error::NoClang { .. } | Error::OldClang { .. } | Error::KernelTypes(_) => Some(4),
        _ => None,
    }
}

/// A probe that would run nowhere is at fault itself.
fn exit_code_of_probe(error: &ProbeError) -> Option<u8> {
    match error {
        ProbeError::Hooks(_) | ProbeError::Open(_) => Some(3),
        ProbeError::NoVariant(refused) if refused.iter().all(|refusal| refusal.fault == Fault::Probe) => Some(3),
        ProbeError::NoVariant(_) | ProbeError::NoBtf => Some(4),
        ProbeError::Map { .. } => None,
    }
}

fn exit_code_of_run(error: &bee::run::Error) -> Option<u8> {
    use bee::run::Error;
    match error {
        Error::Twice(_) | Error::SameMetric { .. } | Error::Variant(_) | Error::Parameter(_) => Some(2),
        Error::MapSize(_)
        | Error::Filter(_)
        | Error::NoHistogram
        | Error::NoValue { .. }
        | Error::ByCpu { .. }
        | Error::NotAHistogram { .. } => Some(2),
        Error::Several(errors) => errors.iter().find_map(|error| exit_code_of(error)),
        Error::Probe { source, .. } => exit_code_of_probe(source),
        Error::Object { .. } => Some(3),
        Error::RunTime(_) => Some(4),
        _ => None,
    }
}

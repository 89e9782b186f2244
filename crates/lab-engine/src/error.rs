//! Errors that carry more than a message: the exit code that names their kind, and the next step for the reader.
//!
//! Everything else is `anyhow`; [`exit_code`] finds these at any depth of a chain.

use std::sync::OnceLock;

use lab_cli::exit;
use thiserror::Error;

/// This machine, or the cluster chosen, lacks something that the reader can fix.
#[derive(Debug, Error)]
#[error("{what}")]
pub struct Unfit {
    pub what: String,
    /// What to do about it; printed on a line of its own.
    pub hint: String,
}

/// Another `lab` works on this cluster.
#[derive(Debug, Error)]
#[error("another lab is at work on this cluster: {holder}")]
pub struct Busy {
    /// Who holds the lock: process id and command line.
    pub holder: String,
}

/// A check ran to its end and did not pass; its findings are printed already.
#[derive(Debug, Error)]
#[error("lab {lab} is not done: {failed} of {total} checks did not pass")]
pub struct CheckFailed {
    pub lab: u8,
    pub failed: usize,
    pub total: usize,
    /// That nobody was there to ask.
    pub unreachable: bool,
}

/// An [`Unfit`] as an `anyhow` error.
pub fn unfit(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Unfit { what: what.into(), hint: hint.into() }.into()
}

/// How a library words its errors that this crate does not link; nothing for any other's.
pub type Wording = fn(&(dyn std::error::Error + 'static)) -> Option<String>;

static WORDING: OnceLock<Wording> = OnceLock::new();

/// From now on [`message`] takes these words, and nothing that follows them. The first to say so is heard.
pub fn set_wording(wording: Wording) {
    let _ = WORDING.set(wording);
}

/// The whole chain in one line.
pub fn message(error: &anyhow::Error) -> String {
    let mut said = vec![];
    for cause in error.chain() {
        if let Some(words) = WORDING.get().and_then(|wording| wording(cause)) {
            said.push(words);
            break;
        }
        // Some libraries' messages end in their cause's already.
        let cause = cause.to_string();
        if !said.last().is_some_and(|said: &String| said.ends_with(&cause)) {
            said.push(cause);
        }
    }
    said.join(": ")
}

/// The process's exit code for an error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<CheckFailed>() {
        exit::CHECK_FAILED
    } else if error.is::<Unfit>() {
        exit::UNFIT
    } else if error.is::<Busy>() {
        exit::BUSY
    } else {
        exit::FAILED
    }
}

/// The next step that an error knows, if any.
pub fn hint(error: &anyhow::Error) -> Option<&str> {
    let unfit = error.downcast_ref::<Unfit>().map(|unfit| unfit.hint.as_str());
    unfit.or_else(|| error.downcast_ref::<crate::cmd::Failed>().and_then(|failed| failed.hint.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cause_repeats_is_said_once() {
        assert_eq!(message(&anyhow::anyhow!("no").context("ask")), "ask: no");
        assert_eq!(message(&anyhow::anyhow!("no").context("the file: no").context("ask")), "ask: the file: no");
    }
}

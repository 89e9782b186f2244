//! Errors that carry more than a message: the exit code that names their kind, and the next step for the reader.
//!
//! Everything else is `anyhow`; [`exit_code`] finds these at any depth of a chain.

use interface::exit;
use thiserror::Error;

/// This machine, or the cluster chosen, lacks something that the reader can mend.
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
}

/// An [`Unfit`] as an `anyhow` error.
pub fn unfit(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Unfit { what: what.into(), hint: hint.into() }.into()
}

/// An error of crate `oci`: an [`Unfit`] where it knows the next step.
pub fn unfit_for(error: oci::Error) -> anyhow::Error {
    match error.hint() {
        Some(hint) => unfit(error.to_string(), hint),
        None => error.into(),
    }
}

/// The whole chain in one line; of what the API server says only the sentence, without the debug form that `kube::Error` adds.
pub fn message(error: &anyhow::Error) -> String {
    let mut said = vec![];
    for cause in error.chain() {
        if let Some(error @ kube::Error::Api(_)) = cause.downcast_ref() {
            said.push(words(error));
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

/// What the API server says, without the debug form that `kube::Error` adds.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => format!("{:#}", anyhow::anyhow!(other.to_string())),
    }
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
    use anyhow::Context;

    #[test]
    fn the_api_servers_sentence_stands_alone() {
        let status = kube::core::Status::failure("pod does not exist", "NotFound").with_code(404);
        let error = Err::<(), _>(kube::Error::Api(status.boxed())).context("reach the DNS pod").unwrap_err();
        assert_eq!(message(&error), "reach the DNS pod: pod does not exist");
        assert_eq!(message(&anyhow::anyhow!("no").context("ask")), "ask: no");
        assert_eq!(message(&anyhow::anyhow!("no").context("the file: no").context("ask")), "ask: the file: no");
    }
}

//! How this crate's libraries word their errors; the rest is crate `lab-engine`'s.

use lab_cli::Obstacle;
#[cfg(test)]
pub use lab_engine::error::hint;
pub use lab_engine::error::{message, set_wording, unfit};

/// An error for what is in the way, with what fixes it.
pub fn refusal(obstacle: Obstacle) -> anyhow::Error {
    unfit(obstacle.what, obstacle.fix)
}

/// An error of crate `oci`: an [`Unfit`] where it knows the next step.
pub fn unfit_for(error: oci::Error) -> anyhow::Error {
    match error.hint() {
        Some(hint) => unfit(error.to_string(), hint),
        None => error.into(),
    }
}

/// For [`set_wording`]: of what the API server says only the sentence.
pub fn api_servers_words(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    error.downcast_ref().filter(|error| matches!(error, kube::Error::Api(_))).map(words)
}

/// What the API server says, without the debug form that `kube::Error` adds.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => format!("{:#}", anyhow::anyhow!(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_api_servers_sentence_stands_alone() {
        set_wording(api_servers_words);
        let status = kube::core::Status::failure("pod does not exist", "NotFound").with_code(404);
        let error = Err::<(), _>(kube::Error::Api(status.boxed())).context("failed to reach the DNS pod").unwrap_err();
        assert_eq!(message(&error), "failed to reach the DNS pod: pod does not exist");
    }
}

//! Waiting: always for a condition, always with a deadline, always saying what is missing.
//!
//! What can't be watched (an HTTP answer, a PromQL result, a file) is polled here and nowhere else.

use std::{future::Future, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use crate::live::Live;

/// How long a poll rests between two tries.
const REST: Duration = Duration::from_millis(200);

/// Why a condition does not hold yet, in words for the reader; or an error that no waiting will mend.
#[derive(Debug)]
pub enum NotYet {
    Because(String),
    Never(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for NotYet {
    /// Errors on the way to a condition (a server that is not up yet) are reasons to wait.
    fn from(error: E) -> Self {
        Self::Because(format!("{:#}", error.into()))
    }
}

/// Tries `probe` until it succeeds. The latest reason is shown live, and is the error when `timeout` has passed.
pub async fn poll<T, F>(what: &str, timeout: Duration, live: &Live, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T, NotYet>>,
{
    let deadline = Instant::now() + timeout;
    let mut reason = "no answer yet".to_owned();
    loop {
        match tokio::time::timeout_at(deadline.max(Instant::now() + REST), probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(NotYet::Never(error))) => return Err(error.context(format!("waiting for {what}"))),
            Ok(Err(NotYet::Because(why))) => reason = why,
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            bail!("gave up waiting for {what} after {} s: {reason}", timeout.as_secs());
        }
        live.waiting(format!("waiting for {what}: {reason}"));
        sleep(REST).await;
    }
}

//! Waiting: always for a condition, always with a deadline, always saying what is missing.
//!
//! What Kubernetes can tell is watched (`wait.rs` of crate `lab`). What can't be (an HTTP answer, a PromQL result, a file) is polled
//! here and nowhere else.
//!
//! Every deadline is a quick machine's and grows with the slowness of this one (see [`Patience`]).

use std::{future::Future, pin::pin, time::Duration};

use anyhow::{Result, bail};
use lab_cli::Patience;
use tokio::time::{Instant, sleep, timeout};

use crate::{error::message, finding::Finding, live::Live};

/// How long a poll rests between two tries, and how often it is asked whether the time for one is over.
const REST: Duration = Duration::from_millis(200);

/// Why a condition does not hold yet, in words for the reader; or an error that no waiting will fix.
#[derive(Debug)]
pub enum NotYet {
    Because(String),
    Never(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for NotYet {
    /// Errors on the way to a condition (a server that is not up yet) are reasons to wait.
    fn from(error: E) -> Self {
        Self::Because(message(&error.into()))
    }
}

impl NotYet {
    /// A finding of a check that a step waits for.
    pub fn found(finding: Finding) -> Self {
        Self::Because(finding.to_string())
    }
}

/// Tries `probe` until it succeeds. The latest reason is shown live, and is the error when `timeout` has passed.
pub async fn poll<T, F>(what: &str, timeout: Duration, live: &Live, probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T, NotYet>>,
{
    poll_patiently(what, timeout, REST, live, probe).await
}

/// Like [`poll`], for a probe that takes its time: each try may take `patience`, even the one at the deadline.
pub async fn poll_patiently<T, F>(
    what: &str,
    timeout: Duration,
    patience: Duration,
    live: &Live,
    mut probe: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T, NotYet>>,
{
    let (started, mut all) = (Instant::now(), Patience::of(timeout));
    let mut reason = "no answer yet".to_owned();
    loop {
        let mut one = Patience::of(patience);
        match until(probe(), || one.is_over() & all.is_over()).await {
            Some(Ok(value)) => return Ok(value),
            Some(Err(NotYet::Never(error))) => return Err(error.context(format!("waiting for {what}"))),
            Some(Err(NotYet::Because(why))) => reason = why,
            None => {}
        }
        if all.is_over() {
            bail!("timed out after {} s waiting for {what}: {reason}", started.elapsed().as_secs());
        }
        live.waiting(format!("waiting for {what}: {reason}"));
        sleep(REST).await;
    }
}

/// What comes to be there, which is looked for this often.
pub async fn found<T>(rest: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        sleep(rest).await;
        if let Some(found) = look() {
            return found;
        }
    }
}

/// What is asked once and answers within this time; `None` if it does not.
pub async fn within<T>(time: Duration, answer: impl Future<Output = T>) -> Option<T> {
    let mut patience = Patience::of(time);
    until(answer, || patience.is_over()).await
}

async fn until<T>(answer: impl Future<Output = T>, mut is_over: impl FnMut() -> bool) -> Option<T> {
    let mut answer = pin!(answer);
    loop {
        if let Ok(answer) = timeout(REST, answer.as_mut()).await {
            return Some(answer);
        }
        if is_over() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_reason_is_the_error_when_time_is_up() {
        let live = Live::new("test");
        let never = || async { Err::<(), _>(NotYet::Because("2 of 3 pods ready".into())) };
        let error = poll("pods", Duration::from_millis(1), &live, never).await.unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("timed out after "), "{error}");
        assert!(error.ends_with(" s waiting for pods: 2 of 3 pods ready"), "{error}");
    }

    #[tokio::test]
    async fn what_no_waiting_will_fix_ends_at_once() {
        let live = Live::new("test");
        let broken = || async { Err::<(), _>(NotYet::Never(anyhow::anyhow!("no such thing"))) };
        let error = poll("pods", Duration::from_secs(3600), &live, broken).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "waiting for pods: no such thing");
    }

    #[tokio::test]
    async fn a_probe_that_hangs_does_not_outlive_the_deadline() {
        let live = Live::new("test");
        let hangs = || std::future::pending::<Result<(), NotYet>>();
        assert!(poll("an answer", Duration::from_millis(1), &live, hangs).await.is_err());
    }
}

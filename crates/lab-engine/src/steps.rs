//! What labs do.

use anyhow::Result;
use futures::future::BoxFuture;

use crate::{live::Live, outcome::Outcome};

/// One step of a lab. Running it again changes nothing; killed anywhere and run again it finishes.
pub struct Step<W> {
    /// What it does, in the imperative: `install Prometheus`.
    pub title: String,
    /// What a person would type instead, for `--explain`.
    pub shell: String,
    pub run: StepFn<W>,
    /// It waits for a compilation or a download, which `--timeout` does not cut short.
    pub unbounded: bool,
}

pub type StepFn<W> = Box<dyn for<'a> Fn(&'a W, &'a Live) -> BoxFuture<'a, Result<Outcome>> + Send + Sync>;

impl<W> Step<W> {
    pub fn new<F>(title: impl Into<String>, shell: impl Into<String>, run: F) -> Self
    where
        F: for<'a> Fn(&'a W, &'a Live) -> BoxFuture<'a, Result<Outcome>> + Send + Sync + 'static,
    {
        Self { title: title.into(), shell: shell.into(), run: Box::new(run), unbounded: false }
    }

    pub fn unbounded(self) -> Self {
        Self { unbounded: true, ..self }
    }
}

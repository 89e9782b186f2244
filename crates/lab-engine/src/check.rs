//! When labs are done.

use futures::future::BoxFuture;

use crate::{finding::Finding, live::Live};

/// One condition of a lab.
pub struct Check<W> {
    /// The condition, as a sentence that is true when it holds: `every bumblebee target is up`.
    pub title: String,
    pub run: CheckFn<W>,
}

/// Asks once, never waits: the driver asks again until its deadline.
pub type CheckFn<W> = Box<dyn for<'a> Fn(&'a W, &'a Live) -> BoxFuture<'a, Result<(), Finding>> + Send + Sync>;

impl<W> Check<W> {
    pub fn new<F>(title: impl Into<String>, run: F) -> Self
    where
        F: for<'a> Fn(&'a W, &'a Live) -> BoxFuture<'a, Result<(), Finding>> + Send + Sync + 'static,
    {
        Self { title: title.into(), run: Box::new(run) }
    }
}

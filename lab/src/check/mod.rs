//! When a lab is done, and if it is not: which object, which condition, why, and what to do.

use futures::future::BoxFuture;
use serde::Serialize;

use crate::{live::Live, workshop::Workshop};

/// One condition of a lab.
pub struct Check {
    /// The condition, as a sentence that is true when it holds: `every bumblebee target is up`.
    pub title: String,
    pub run: CheckFn,
}

/// Asks once, never waits: the engine asks again until its deadline.
pub type CheckFn = Box<dyn for<'a> Fn(&'a Workshop, &'a Live) -> BoxFuture<'a, Result<(), Finding>> + Send + Sync>;

/// What is wrong, for the reader who has to mend it.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The object, as kubectl names it: `daemonset/bumblebee in namespace default`.
    pub object: String,
    /// The condition that does not hold: `2 of 3 pods ready`.
    pub condition: String,
    /// What the cluster says about it: events, waiting reasons, last log lines.
    pub why: Vec<String>,
    /// What to do.
    pub mend: String,
}

impl Check {
    pub fn new<F>(title: impl Into<String>, run: F) -> Self
    where
        F: for<'a> Fn(&'a Workshop, &'a Live) -> BoxFuture<'a, Result<(), Finding>> + Send + Sync + 'static,
    {
        Self { title: title.into(), run: Box::new(run) }
    }
}

//! The six labs, one file each: what a lab does, step by step, and when it is done.

mod lab1;
mod lab2;
mod lab3;
mod lab4;
mod lab5;
mod lab6;
pub mod steps;
pub mod student;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::{check::Check, cluster::Outcome, live::Live, workshop::Workshop};

pub use lab5::{traffic, traffic_in_shell};
pub use lab6::graph_address;

/// One lab: its steps in order, the checks that tell whether it is done, and how to undo it.
pub struct Lab {
    pub number: u8,
    pub title: &'static str,
    pub steps: Vec<Step>,
    pub checks: Vec<Check>,
    /// Removes what the lab made in the cluster, for `reset`, and for `clean` where the cluster is not ours.
    pub undo: Vec<Step>,
}

/// One step of a lab. Running it again changes nothing; killed anywhere and run again it finishes.
pub struct Step {
    /// What it does, in the imperative: `install Prometheus`.
    pub title: String,
    /// What a person would type instead, for `--explain`.
    pub shell: String,
    pub run: StepFn,
    /// It waits for a compilation or a download, which `--timeout` does not cut short.
    pub unbounded: bool,
}

pub type StepFn = Box<dyn for<'a> Fn(&'a Workshop, &'a Live) -> BoxFuture<'a, Result<Outcome>> + Send + Sync>;

impl Step {
    pub fn new<F>(title: impl Into<String>, shell: impl Into<String>, run: F) -> Self
    where
        F: for<'a> Fn(&'a Workshop, &'a Live) -> BoxFuture<'a, Result<Outcome>> + Send + Sync + 'static,
    {
        Self { title: title.into(), shell: shell.into(), run: Box::new(run), unbounded: false }
    }

    pub fn unbounded(self) -> Self {
        Self { unbounded: true, ..self }
    }
}

/// The lab of this number, 1 to 6.
pub fn lab(number: u8, workshop: &Workshop) -> Lab {
    match number {
        1 => lab1::lab(workshop),
        2 => lab2::lab(workshop),
        3 => lab3::lab(workshop),
        4 => lab4::lab(workshop),
        5 => lab5::lab(workshop),
        _ => lab6::lab(workshop),
    }
}

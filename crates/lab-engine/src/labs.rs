//! What a lab is.

use crate::{check::Check, steps::Step};

/// One lab: its steps in order, the checks that tell whether it is done, and how to undo it.
pub struct Lab<W> {
    pub number: u8,
    pub title: &'static str,
    pub steps: Vec<Step<W>>,
    pub checks: Vec<Check<W>>,
    /// Removes what the lab made in the cluster, for `reset`, and for `clean` where the cluster is not ours.
    pub undo: Vec<Step<W>>,
}

//! The six labs, one file each: what a lab does, step by step, and when it is done.

mod lab1;
mod lab2;
mod lab3;
mod lab4;
mod lab5;
mod lab6;

use crate::{check::Check, steps::Step, workshop::Workshop};

pub use lab5::{traffic, traffic_in_shell};

/// One lab: its steps in order, the checks that tell whether it is done, and how to undo it.
pub struct Lab {
    pub number: u8,
    pub title: &'static str,
    pub steps: Vec<Step>,
    pub checks: Vec<Check>,
    /// Removes what the lab made in the cluster, for `reset`, and for `clean` where the cluster is not ours.
    pub undo: Vec<Step>,
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

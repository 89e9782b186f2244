//! The six labs, one file each: what a lab does, step by step, and when it is done. The first is crate `lab-engine`'s.

mod lab2;
mod lab3;
mod lab4;
mod lab5;
mod lab6;
mod metallb;
pub mod monitoring;
pub mod steps;

use crate::workshop::Workshop;

pub use lab5::{traffic, traffic_in_shell};

pub type Lab = lab_engine::labs::Lab<Workshop>;

/// The lab of this number, 1 to 6.
pub fn lab(number: u8, workshop: &Workshop) -> Lab {
    match number {
        1 => lab_engine::lab1::lab(),
        2 => lab2::lab(workshop),
        3 => lab3::lab(workshop),
        4 => lab4::lab(workshop),
        5 => lab5::lab(workshop),
        _ => lab6::lab(workshop),
    }
}

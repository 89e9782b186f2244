//! What is measured, in the order in which it is said.

mod cost;
mod idle;
mod start;
mod throughput;

use crate::{Setup, figure::Figure};

/// Answers the figures of one measure.
pub type Measure = fn(&Setup) -> Vec<Figure>;

pub const ALL: [(&str, Measure); 4] = [
    ("from the start to the first event, and memory", start::measure),
    ("events through the ring buffer", throughput::measure),
    ("elements of a hash, idle and scraped", idle::measure),
    ("what the workshop's probe costs a connection", cost::measure),
];

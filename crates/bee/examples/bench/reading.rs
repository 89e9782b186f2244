//! What is said of whoever reads events: bee, or a plain libbpf program.

use std::time::Duration;

/// What a reader did with the events.
pub struct Reading {
    /// Made, a second: no reader can take more.
    pub made: f64,
    /// Of those, how many the reader never saw, in percent.
    pub lost: f64,
    /// CPU time an event: in the reader's own code, and in the kernel for it.
    pub user: Duration,
    pub system: Duration,
}

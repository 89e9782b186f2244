//! What `cargo xtask test` and `cargo xtask bench` can be asked for.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// bee: events a second, idle and scraped hashes, start, memory, what a probe costs.
    Bee,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// What needs neither root nor a cluster.
    Unit,
    /// Probes in this machine's kernel; needs root.
    Probes,
    /// Probes in other kernels, each in a virtual machine; needs qemu and Debian's archive.
    Kernels,
    /// The labs on clusters straight on this machine; needs root.
    Labs,
    /// The labs on real kind; needs root.
    Kind,
    /// README's two commands on bare Debian 11, 12 and 13, about an hour each; runs by name only.
    Distributions,
    /// Commands killed at each step, which must finish when run again; runs by name only; needs root.
    Faults,
    /// The labs on the previous minor of Kubernetes, which is built for it if it is named; needs root.
    Previous,
}

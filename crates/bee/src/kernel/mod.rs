//! Probes in the kernel: loaded, attached, read. Nearly everything `unsafe` of bee is here.

pub mod blame;
pub mod capabilities;
mod complaints;
pub(crate) mod cpus;
pub mod hooks;
mod load;
pub(crate) mod map_reader;
pub mod pins;
pub mod probe;
pub(crate) mod prog_stats;
pub(crate) mod ring_reader;
pub(crate) mod sys;
pub mod trace_pipe;
pub(crate) mod verifier_log;
pub(crate) mod wakeup;

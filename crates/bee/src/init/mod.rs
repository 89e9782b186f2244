//! First versions of probes: twelve, put together from three choices, each of which builds, loads and shows something as it is.

mod template;

use std::fmt;

use clap::ValueEnum;

/// What a probe can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    #[value(name = "C")]
    C,
}

/// What a probe watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgramType {
    /// TCP connections that this machine opens
    #[value(name = "Network")]
    Network,
    /// Files that programs open
    #[value(name = "FileSystem")]
    FileSystem,
}

/// How a probe hands over its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Map {
    /// A stream of events
    #[value(name = "RingBuffer")]
    RingBuffer,
    /// One value per key, added up in the kernel
    #[value(name = "HashMap")]
    HashMap,
}

/// What becomes of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A line per event
    #[value(name = "print")]
    Print,
    /// A metric that only grows
    #[value(name = "counter")]
    Counter,
    /// A metric that goes up and down
    #[value(name = "gauge")]
    Gauge,
}

/// The choices for one probe.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    pub program_type: ProgramType,
    pub map: Map,
    pub output: Output,
}

/// Names as the prompts show them.
macro_rules! display_by_name {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
            }
        }
    )*};
}

display_by_name!(Language, ProgramType, Map, Output);

//! What `xtask` and `lab` agree on: the command line, and where things lie.
//!
//! `xtask` must be ready in seconds, so it links neither kube nor libbpf; `lab` does the work. Both read the same command
//! line from here: `xtask` to know what to install and build, `lab` to act.

pub mod base;
pub mod cli;
pub mod engine;
pub mod exit;
pub mod inotify;
pub mod kube_proxy;
pub mod machine;
pub mod modes;
mod names;
pub mod network;
pub mod obstacle;
pub mod paths;
pub mod patience;
pub mod pins;
pub mod places;
pub mod programs;
pub mod proxies;
pub mod range;
pub mod registry;
pub mod rest;
pub mod settings;
pub mod suites;
pub mod taken;
pub mod version;

pub use cli::{Cli, ClusterChoice, Command, KindOptions, LabRange, Number, Options, Profile};
pub use machine::Machine;
pub use obstacle::Obstacle;
pub use paths::Paths;
pub use patience::Patience;
pub use registry::Registry;
pub use version::Version;

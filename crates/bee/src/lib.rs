//! bee builds eBPF probes, stores them as OCI images and runs them; their maps become logs and Prometheus metrics.
//!
//! Each module stands on those below it:
//!
//! * [`run`]: probes and recordings, shown until a signal; [`store`]: images, names, registries
//! * [`recording`]; [`inspect`]: what a probe is, without loading it
//! * [`metrics`]: exposition and server; [`output`]: table, JSON, columns
//! * [`export`]: maps as time series; [`lint`]; [`doctor`]
//! * [`kernel`]: probes in the kernel, their hooks, rings and maps; all `unsafe` code but one function of [`c_format`]
//! * [`compile`], [`init`]: from C to an object
//! * [`object`]: a probe's ELF file, its maps, parameters, variants
//! * [`decode`]: types by BTF, and values from bytes

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a reader may have gone, and words may be a stranger's: `clikit::print`"
)]
// What only the registry and the live table use.
#![cfg_attr(not(feature = "whole"), allow(dead_code, reason = "the whole bee has a use for all of it"))]

pub mod run;
pub mod store;

pub mod inspect;
pub mod recording;

pub mod metrics;
pub mod output;

pub mod doctor;
pub mod export;
pub mod lint;

pub mod kernel;

pub mod compile;
pub mod init;

pub mod object;

pub mod decode;

pub mod allowance;
pub mod atomic_file;
mod c_format;
mod shutdown;

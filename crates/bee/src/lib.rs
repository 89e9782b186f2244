//! bee builds eBPF probes, stores them as OCI images and runs them; their maps become logs and Prometheus metrics.
//!
//! Reading order: [`object`] knows a probe's maps, with [`btf`] and [`layout`] what their bytes are, [`decode`] turns them into
//! values; [`hooks`] is where its programs go, [`probe`] is a probe in the kernel, [`series`] what its maps amount to, [`metrics`] and
//! [`output`] show it, [`run`] ties it together, [`recording`] keeps it. [`init`], [`build`], [`lint`], [`store`] and [`registry`] are
//! what comes before; [`doctor`] says what a machine can run.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a reader may have gone, and words may be a stranger's: `clikit::print`"
)]
// What only the registry and the live table use.
#![cfg_attr(not(feature = "whole"), allow(dead_code, reason = "the whole bee has a use for all of it"))]

pub mod allowance;
mod answers;
pub mod atomic;
mod backing;
pub mod btf;
mod bucketed;
pub mod build;
pub mod contents;
pub mod decode;
pub mod doctor;
mod elements;
mod end;
mod events;
mod exposition;
pub mod filter;
pub mod histogram;
pub mod hooks;
mod http;
pub mod init;
pub mod labels;
pub mod layout;
pub mod lint;
mod losses;
pub mod meaning;
pub mod memory;
pub mod metrics;
pub mod object;
mod origin;
pub mod output;
mod overflow;
pub mod parameters;
pub mod pins;
mod printed;
pub mod privilege;
pub mod probe;
mod programs;
mod raw;
pub mod recording;
#[cfg(feature = "whole")]
pub mod registry;
mod rests;
pub mod run;
mod running;
pub mod series;
pub mod store;
mod symbols;
pub mod variants;
mod verifier;

//! `lab` runs and checks the six labs of the workshop on a real Kubernetes. `cargo xtask` builds and starts it.
//!
//! Reading order: [`labs`] is what the workshop does, [`check`] when a lab is done, [`cluster`] where Kubernetes runs,
//! [`images`] what runs in it; [`run`] drives them and reports.

mod cluster;
mod check;
mod cmd;
mod commands;
mod error;
mod images;
mod kubernetes;
mod labs;
mod live;
mod promql;
mod run;
mod wait;
mod workshop;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main()
}

//! `lab` runs and checks the six labs of the workshop on a real Kubernetes. `cargo xtask` builds and starts it.
//!
//! Reading order: [`labs`] is what the workshop does, [`check`] when a lab is done, [`cluster`] where Kubernetes runs,
//! [`profile`] what is installed in it, [`images`] those of its images that we build; [`run`] drives them and reports.

mod caller;
mod check;
mod cluster;
mod cmd;
mod commands;
mod diagnostics;
mod error;
mod finding;
mod images;
mod kubernetes;
mod labs;
mod live;
mod lock;
mod number;
mod outcome;
mod plain_http;
mod profile;
mod promql;
mod report;
mod run;
mod steps;
mod student;
mod wait;
mod workshop;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A process of a cluster's node is this program, too.
    if let Some(code) = cluster::host::node::main_if_called() {
        return code;
    }
    commands::main()
}

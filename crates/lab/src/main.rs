//! `lab` runs and checks the six labs of the workshop on a real Kubernetes. `cargo xtask` builds and starts it.
//!
//! Reading order: [`labs`] is what the workshop does, [`check`] when a lab is done, [`cluster`] where Kubernetes runs,
//! [`profile`] what is installed in it, [`images`] those of its images that we build; crate `lab-engine` drives them and reports.

mod check;
mod cluster;
mod commands;
mod diagnostics;
mod driven;
mod error;
mod images;
mod junit;
mod kubernetes;
mod labs;
mod number;
mod plain_http;
mod profile;
mod promql;
mod proxies;
mod wait;
mod workshop;

use std::process::ExitCode;

use lab_engine::{caller, cmd, finding, live, lock, outcome, ownership, report, run, student};

fn main() -> ExitCode {
    // A process of a cluster's node is this program, too.
    if let Some(code) = cluster::host::node::main_if_called() {
        return code;
    }
    lab_cli::modes::others_never_write();
    error::set_wording(error::api_servers_words);
    commands::main()
}

//! A node: a tree of processes with mount, pid, network, UTS and cgroup namespaces of its own.
//!
//! Three steps, each a process of this program: the *keeper* lives as long as the node should and starts it again when it
//! ends; *enter* makes the namespaces; *init* is process 1 in them and starts the components. They run from a copy in the
//! cluster's folder, so that `cargo clean` harms nothing.

mod enter;
mod init;
mod keeper;
mod mounts;
mod routes;
pub mod tools;
pub mod view;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clikit::print;
use lab_cli::modes;

pub use keeper::{is_kept, start};

use super::{addresses::NODES, folders::Folders, proxy};

/// Which node a process belongs to.
#[derive(Debug, Clone)]
pub struct Place {
    pub number: u8,
    /// Its place in [`NODES`].
    pub index: usize,
    pub folders: Folders,
}

impl Place {
    pub fn new(number: u8, index: usize) -> Self {
        Self { number, index, folders: Folders::new(number) }
    }

    pub fn name(&self) -> &'static str {
        NODES[self.index]
    }

    /// The arguments that start another step of this node.
    fn arguments(&self, step: &str) -> [String; 4] {
        ["node".to_owned(), step.to_owned(), self.number.to_string(), self.index.to_string()]
    }
}

/// Does its part if this process was started for one of a cluster: `lab node STEP NUMBER INDEX` or `lab proxy NUMBER [REGISTRY…]`.
pub fn main_if_called() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if matches!(arguments.first().map(String::as_str), Some("node" | "proxy")) {
        modes::all_read();
    }
    let part = match arguments.as_slice() {
        [word, rest @ ..] if word == "node" => run(rest),
        [word, number, allowed @ ..] if word == "proxy" => proxy::run(number, allowed),
        _ => return None,
    };
    Some(match part {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::note(format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    })
}

fn run(arguments: &[String]) -> Result<()> {
    let [step, number, index] = arguments else { bail!("expected a step, a cluster and a node") };
    let index: usize = index.parse().context("failed to read the node's index")?;
    anyhow::ensure!(index < NODES.len(), "there is no node {index}");
    let place = Place::new(number.parse().context("failed to read the cluster's number")?, index);
    match step.as_str() {
        "keep" => keeper::run(&place),
        "enter" => enter::run(&place),
        "init" => init::run(&place),
        "routes" => routes::run(&place),
        _ => bail!("unknown step {step}"),
    }
}

//! What becomes of other people's probes: builds, and as root loads, every probe below a directory with bee as its users have it, and
//! prints one table. Fetches nothing.
//!
//!     cargo build --release -p bee --bin bee --example corpus
//!     target/release/examples/corpus DIRECTORY --cflags=-I/path/to/its/headers
//!
//! A probe that does more than look (that may end processes or drop packets) is built, and loaded only with `--all`.

mod outcome;
mod sources;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use nix::unistd::Uid;

use outcome::{Outcome, Trial};

/// Builds and loads every probe below a directory, and prints what became of each.
#[derive(Parser)]
struct Arguments {
    /// The probes: files that end in .bpf.c, and other C files with SEC("…")
    directory: PathBuf,

    /// The bee to try [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    bee: Option<PathBuf>,

    /// Passed on to clang for every probe; may be repeated
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    cflags: Vec<String>,

    /// Only build
    #[arg(long)]
    build: bool,

    /// Also load probes that do more than look: they act on this machine
    #[arg(long)]
    all: bool,

    /// One JSON document instead of the table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let bee = match &arguments.bee {
        Some(bee) => std::path::absolute(bee)?,
        None => beside_this_program()?,
    };
    let scratch = tempfile::tempdir().context("failed to make a directory for objects")?;
    let trial = Trial {
        bee,
        object: scratch.path().join("probe.o"),
        cflags: arguments.cflags.clone(),
        loads: !arguments.build && Uid::effective().is_root(),
        acts: arguments.all,
    };
    let mut outcomes = vec![];
    for source in sources::below(&arguments.directory)? {
        eprintln!("{} …", source.display());
        let outcome = trial.of(&source)?;
        outcomes.push((source.strip_prefix(&arguments.directory).unwrap_or(&source).to_owned(), outcome));
    }
    if arguments.json {
        println!("{:#}", table::json(&outcomes));
    } else {
        print!("{}", table::text(&outcomes));
    }
    Ok(())
}

/// `target/release/bee` of `target/release/examples/corpus`.
fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("failed to find this program")?;
    let folder = program.parent().and_then(|folder| folder.parent()).context("this program is in no directory")?;
    let bee = folder.join("bee");
    anyhow::ensure!(bee.exists(), "no bee at {}: build it, or name another by --bee", bee.display());
    Ok(bee)
}

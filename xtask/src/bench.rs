//! `cargo xtask bench`: builds what is measured and the benchmark, and runs it as root.

use anyhow::{Context, Result, ensure};
use lab_cli::{Options, Paths, cli::Bench, exit};

use crate::{
    build, privilege,
    requirements::{self, Need},
};

/// # Errors
/// A tool is missing, a program does not build, nobody can be root.
pub fn run(paths: &Paths, options: &Options, what: Bench) -> Result<u8> {
    let Bench::Bee = what;
    requirements::ensure(paths, &[Need::Probes], options.install)?;
    let processors = std::thread::available_parallelism().context("failed to count the processors")?.get();
    ensure!(processors >= 2, "it takes two processors, one that makes events and one that reads them; here is one");
    let privilege = privilege::obtain("loading probes into this machine's kernel")?;
    build::rust(paths, &["bee"])?;
    build::example(paths, "bench")?;
    let mut bench = privilege::command(privilege, paths.bin.join("examples/bench").into(), paths)?;
    if options.json {
        bench.arg("--json");
    }
    let status = bench.status().context("failed to start the benchmark")?;
    Ok(if status.success() { exit::OK } else { exit::FAILED })
}

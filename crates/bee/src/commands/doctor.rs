//! `bee doctor`: a line for each thing, with its fix below where it does not work.

use anyhow::Result;
use bee::doctor::{self, Check};
use clikit::print;

use crate::cli::Doctor;

/// The workshop's probes can't run here; why has been said.
#[derive(Debug, thiserror::Error)]
#[error(
    "the workshop's probes can't run here: they need BTF, the right to load probes, kprobe or tp_btf, hashes and ring buffers"
)]
pub struct Lacking;

pub fn run(arguments: &Doctor) -> Result<()> {
    let report = doctor::examine();
    if arguments.json {
        print::json(serde_json::to_string_pretty(&report)?)?;
    } else {
        for line in report.checks.iter().flat_map(lines) {
            print::line(line)?;
        }
    }
    if report.workshop { Ok(()) } else { Err(Lacking.into()) }
}

fn lines(Check { name, works, found, fix }: &Check) -> Vec<String> {
    let found = format!("{} {name:<20} {found}", if *works { "ok  " } else { "no  " });
    let fix = fix.as_ref().map(|fix| format!("     {:<20} fix: {fix}", ""));
    [found].into_iter().chain(fix).collect()
}

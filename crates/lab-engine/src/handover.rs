//! From `lab1` to `lab`: one command, its labs done by two programs, the second in place of the first.

use std::{convert::Infallible, ffi::OsString, time::Duration};

use anyhow::{Context, Result, anyhow};
use lab_cli::{Paths, rest};

use crate::{
    cmd::Cmd,
    live::Live,
    report::Report,
    wait::{self, NotYet},
};

/// Holds the report so far.
const DONE: &str = "EBPF_LAB_DONE";

/// The process that builds them has begun within this time.
const START: Duration = Duration::from_secs(10);
const NOBODY: &str = "nobody builds them: run the same command again";
/// No build takes longer.
const LONGEST: Duration = Duration::from_secs(2 * 3600);

/// Waits until `lab` is built, and becomes it.
pub async fn become_lab(paths: &Paths, arguments: Vec<OsString>, report: &Report) -> Result<Infallible> {
    let live = Live::new("wait for what the other labs take");
    wait::poll("the build of the other labs' programs", START, &live, || async {
        match rest::state(paths)? {
            rest::State::Absent => Err(NotYet::Because(NOBODY.to_owned())),
            _ => Ok(()),
        }
    })
    .await?;
    wait::poll("the other labs' programs", LONGEST, &live, || async {
        match rest::state(paths)? {
            rest::State::Built => Ok(()),
            rest::State::Building(progress) => Err(NotYet::Because(progress.to_string())),
            rest::State::Failed(why) => Err(NotYet::Never(anyhow!("their build failed: {why}"))),
            rest::State::Absent => Err(NotYet::Never(anyhow!(NOBODY))),
        }
    })
    .await?;
    live.finish();
    Cmd::new(paths.bin.join("lab"))
        .args(arguments)
        .env(DONE, report.hand_on()?)
        .replace_this()
        .context("failed to go on as lab")
}

/// What was done before by another program of the same command.
pub fn done() -> Option<String> {
    std::env::var(DONE).ok()
}

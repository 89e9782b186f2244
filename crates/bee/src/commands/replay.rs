//! `bee replay`: shows a recording.

use anyhow::{Context, Result};
use bee::recording::Recording;
use bee::run::ShowOptions;
use jiff::SignedDuration;

use super::run::format;
use crate::cli::Replay;

pub fn run(arguments: &Replay) -> Result<()> {
    let Replay { recording: file, speed, filter, timeout, output, serve } = arguments;
    let recording = Recording::open(file).with_context(|| format!("failed to replay {}", file.display()))?;
    let show = ShowOptions {
        format: format(*output, false)?,
        metrics: serve.address(),
        filters: filter.clone(),
        timeout: timeout.map(SignedDuration::unsigned_abs),
    };
    Ok(bee::run::replay(recording, *speed, show)?)
}

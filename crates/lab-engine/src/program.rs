//! What the programs that drive labs have in common: how they wait, and what they say at the end.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clikit::print;

use crate::error;

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Does all of a command's work, unless Ctrl-C ends it.
pub fn block_on(work: impl Future<Output = Result<u8>>) -> Result<u8> {
    let runtime = tokio::runtime::Runtime::new().context("failed to start the runtime")?;
    runtime.block_on(async {
        tokio::select! {
            code = work => code,
            _ = tokio::signal::ctrl_c() => {
                print::note("");
                print::note("interrupted; run the same command again to resume");
                Ok(INTERRUPTED)
            }
        }
    })
}

/// Says what went wrong, and what to do about it.
pub fn end(result: Result<u8>) -> ExitCode {
    let code = result.unwrap_or_else(|error| {
        // Further lines of it are none of ours.
        for (number, line) in error::message(&error).lines().enumerate() {
            print::note(format!("{}{line}", if number == 0 { "error: " } else { "  " }));
        }
        if let Some(hint) = error::hint(&error) {
            print::note(format!("hint: {hint}"));
        }
        error::exit_code(&error)
    });
    ExitCode::from(code)
}

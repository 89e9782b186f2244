//! `bee version`.

use anyhow::Result;
use clikit::print;

pub fn run() -> Result<()> {
    Ok(print::line(env!("CARGO_PKG_VERSION"))?)
}

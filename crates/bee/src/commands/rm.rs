//! `bee rm`.

use anyhow::Result;
use clikit::print;

use crate::cli::{Cli, Remove};

pub fn run(cli: &Cli, arguments: &Remove) -> Result<()> {
    let bytes = super::store(cli)?.remove(&arguments.references)?;
    print::note(format_args!("freed {:.1} kB", bytes as f64 / 1000.0));
    for reference in &arguments.references {
        print::line(reference)?;
    }
    Ok(())
}

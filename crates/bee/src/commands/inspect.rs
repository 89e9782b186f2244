//! `bee inspect`.

use anyhow::Result;
use bee::inspect::Contents;
use clikit::print;
use serde_json::json;

use crate::cli::{Cli, Inspect};

pub fn run(cli: &Cli, arguments: &Inspect) -> Result<()> {
    let object = super::run::stored(cli, &arguments.probe)?;
    let contents = Contents::parse(&object)?;
    if arguments.json && !arguments.mermaid {
        let json = json!({ "version": 2, "probe": arguments.probe, "contents": contents });
        return Ok(print::json(format_args!("{json:#}"))?);
    }
    for line in if arguments.mermaid { contents.mermaid() } else { contents.lines() } {
        print::line(line)?;
    }
    Ok(())
}

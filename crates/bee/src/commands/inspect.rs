//! `bee inspect`.

use anyhow::Result;
use bee::inspect::Contents;
use clikit::print;
use serde_json::json;

use crate::cli::{Cli, Inspect};

pub fn run(cli: &Cli, arguments: &Inspect) -> Result<()> {
    let object = super::run::stored(cli, &arguments.probe)?;
    let contents = Contents::parse(&object)?;
    if arguments.mermaid {
        contents.mermaid().iter().try_for_each(print::line)?;
    } else if arguments.json {
        print::json(format_args!("{:#}", json!({ "version": 1, "probe": arguments.probe, "contents": contents })))?;
    } else {
        contents.lines().iter().try_for_each(print::line)?;
    }
    Ok(())
}

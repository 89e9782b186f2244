//! `bee inspect`.

use anyhow::Result;
use bee::contents::Contents;
use serde_json::json;

use crate::cli::{Cli, Inspect};

pub fn run(cli: &Cli, arguments: &Inspect) -> Result<()> {
    let object = super::run::stored(cli, &arguments.probe)?;
    let contents = Contents::of(&object)?;
    if arguments.mermaid {
        print!("{}", contents.mermaid());
    } else if arguments.json {
        println!("{:#}", json!({ "version": 1, "probe": arguments.probe, "contents": contents }));
    } else {
        print!("{contents}");
    }
    Ok(())
}

//! `bee list`.

use anyhow::{Result, bail};
use bee::store::Entry;
use clikit::{escaped, print};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use crate::cli::{Cli, List};

pub fn run(cli: &Cli, arguments: &List) -> Result<()> {
    let store = super::store(cli)?;
    let entries = store.entries()?;
    if arguments.json {
        print::json(format_args!("{:#}", entries.iter().map(object).collect::<serde_json::Value>()))?;
    } else if entries.is_empty() {
        print::note(format_args!("nothing is stored in {} yet", store.folder().display()));
    } else {
        print::lines(table(&entries).trim_fmt())?;
    }
    let damaged: Vec<_> = entries.iter().filter_map(|entry| Some((entry, entry.size.as_ref().err()?))).collect();
    for (entry, why) in &damaged {
        print::note(format_args!("{}: {why}; build it again, which replaces it", entry.reference));
    }
    match damaged.len() {
        0 => Ok(()),
        count => bail!("{count} of {} probes in {} damaged", entries.len(), store.folder().display()),
    }
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["NAME", "DIGEST", "PLATFORM", "SIZE", "CREATED"]);
    for entry in entries {
        let row = [
            entry.reference.clone(),
            short(&entry.digest).to_owned(),
            entry.platforms.join(","),
            entry.size.as_ref().map_or("damaged".to_owned(), |bytes| format!("{:.1} kB", *bytes as f64 / 1000.0)),
            entry.created.map_or(String::new(), |time| time.strftime("%F %T UTC").to_string()),
        ];
        // Before the table is laid out: a row is one line.
        table.add_row(row.iter().map(|cell| escaped(cell)));
    }
    table
}

fn object(entry: &Entry) -> serde_json::Value {
    json!({
        "name": entry.reference,
        "digest": entry.digest,
        "platform": super::platform(entry),
        "size": entry.size.as_ref().ok(),
        "created": entry.created,
        "damage": entry.size.as_ref().err().map(ToString::to_string),
    })
}

/// Twelve digits, as container tools show them.
fn short(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

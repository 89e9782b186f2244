//! `query`: PromQL, answered as a table.

use anyhow::Result;
use clikit::{escaped, print};
use comfy_table::{Table, presets::NOTHING};
use serde_json::json;

use crate::{promql, workshop::Workshop};

pub async fn run(workshop: &Workshop, promql: &str) -> Result<()> {
    let samples = promql::query(&workshop.client().await?, promql).await?;
    if workshop.options.json {
        return Ok(print::json(json!({ "version": 1, "result": samples }))?);
    }
    let mut names: Vec<_> = samples.iter().flat_map(|sample| sample.labels.keys()).collect();
    names.sort();
    names.dedup();
    let mut table = Table::new();
    // Each cell by itself, or its width would be another.
    table.load_style(NOTHING).set_header(names.iter().map(|name| escaped(name)).chain(["VALUE".into()]));
    for sample in &samples {
        let labels = names.iter().map(|name| escaped(sample.label(name)));
        table.add_row(labels.chain([sample.value.to_string().into()]));
    }
    Ok(print::lines(table)?)
}

//! `query`: PromQL, answered as a table.

use anyhow::Result;
use comfy_table::{Table, presets::NOTHING};
use serde_json::json;

use crate::{promql, workshop::Workshop};

pub async fn run(workshop: &Workshop, promql: &str) -> Result<()> {
    let samples = promql::query(&workshop.client().await?, promql).await?;
    if workshop.options.json {
        println!("{}", json!({ "version": 1, "result": samples }));
        return Ok(());
    }
    let mut names: Vec<_> = samples.iter().flat_map(|sample| sample.labels.keys()).collect();
    names.sort();
    names.dedup();
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(names.iter().map(|name| name.as_str()).chain(["VALUE"]));
    for sample in &samples {
        let labels = names.iter().map(|name| sample.label(name).to_owned());
        table.add_row(labels.chain([sample.value.to_string()]));
    }
    println!("{table}");
    Ok(())
}

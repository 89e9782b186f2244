//! `status`: the cluster, who uses how much memory, where to look, which labs are done. It never waits.

use std::time::Duration;

use anyhow::Result;
use clikit::{escaped, print};
use comfy_table::{Table, presets::NOTHING};
use futures::future::join_all;
use lab_cli::exit;
use serde::Serialize;

use crate::{check::graph, labs, live::Live, wait, workshop::Workshop};

/// A cluster that hangs must not make `status` hang.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Status {
    version: u32,
    cluster: String,
    running: bool,
    kubeconfig: String,
    graph: Option<String>,
    labs: Vec<LabStatus>,
    memory: Vec<Memory>,
}

#[derive(Serialize)]
struct LabStatus {
    lab: u8,
    title: &'static str,
    done: bool,
    /// The first thing that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

#[derive(Serialize)]
struct Memory {
    component: String,
    bytes: u64,
}

pub async fn run(workshop: &Workshop) -> Result<u8> {
    let state = workshop.cluster.state()?;
    let labs = if state.running { join_all((2..=6).map(|lab| look(workshop, lab))).await } else { vec![] };
    let graph = wait::within(PATIENCE, graph::address(workshop)).await;
    let status = Status {
        version: 1,
        cluster: workshop.cluster.name().to_owned(),
        running: state.running,
        kubeconfig: workshop.cluster.kubeconfig().display().to_string(),
        graph: graph.and_then(Result::ok),
        labs,
        memory: state.memory.into_iter().map(|(component, bytes)| Memory { component, bytes }).collect(),
    };
    if workshop.options.json {
        print::json(serde_json::to_string(&status)?)?;
    } else {
        show(&status)?;
    }
    Ok(exit::OK)
}

async fn look(workshop: &Workshop, number: u8) -> LabStatus {
    let lab = labs::lab(number, workshop);
    let live = Live::silent();
    let missing = wait::within(PATIENCE, async {
        for check in &lab.checks {
            if let Err(finding) = (check.run)(workshop, &live).await {
                return Some(finding.to_string());
            }
        }
        None
    });
    let missing = missing.await.unwrap_or_else(|| Some("no answer in time".to_owned()));
    LabStatus { lab: number, title: lab.title, done: missing.is_none(), missing }
}

fn show(status: &Status) -> Result<()> {
    print::line(format!(
        "cluster {} is {}",
        status.cluster,
        if status.running { "running" } else { "not running: `cargo xtask lab 2` starts it" }
    ))?;
    if status.running {
        print::line(format!("kubeconfig  {}", status.kubeconfig))?;
    }
    if let Some(graph) = &status.graph {
        print::line(format!("graph       {graph}"))?;
    }
    for lab in &status.labs {
        let note = lab.missing.as_deref().unwrap_or("done");
        print::line(format!("lab {}       {note}", lab.lab))?;
    }
    if status.memory.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["COMPONENT", "MEMORY"]);
    for Memory { component, bytes } in &status.memory {
        table.add_row([escaped(component), format!("{:.0} MB", *bytes as f64 / 1e6).into()]);
    }
    let total: u64 = status.memory.iter().map(|memory| memory.bytes).sum();
    table.add_row(["all together".to_owned(), format!("{:.0} MB", total as f64 / 1e6)]);
    Ok(print::lines(format!("\n{table}"))?)
}

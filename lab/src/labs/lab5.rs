//! Lab 5, BumbleBee on the cluster: the probe on every node, scraped by Prometheus, and traffic for it to see.

use anyhow::{Result, ensure};

use super::Lab;
use crate::{
    check::{self, bookinfo, connections, targets},
    cmd,
    kubernetes::{exec, pods, rollout::Workload},
    live::Live,
    outcome::Outcome,
    steps::{self, Step},
    wait::{self, NotYet},
    workshop::Workshop,
};

const MANIFEST: &str = "lab5/bumblebee.yaml";
const PAGE: &str = "http://localhost:9080/productpage";
/// As many as the workshop makes.
const REQUESTS: usize = 20;

pub fn lab(workshop: &Workshop) -> Lab {
    let steps = vec![
        steps::apply("run the probe on every node and have it scraped", MANIFEST),
        Step::new("wait until Prometheus scrapes every node's", "cargo xtask query up", |workshop, live| {
            Box::pin(scraped(workshop, live))
        }),
        Step::new(
            format!("make {REQUESTS} requests in the productpage pod"),
            traffic_in_shell(workshop),
            |workshop, live| Box::pin(first_traffic(workshop, live)),
        ),
    ];
    let checks =
        vec![check::ready(Workload::daemon_set("default", "bumblebee"), 5), targets::check(), connections::check()];
    let undo = vec![steps::delete("remove the probe", MANIFEST)];
    Lab { number: 5, title: "BumbleBee on the cluster", steps, checks, undo }
}

async fn scraped(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let client = workshop.client().await?;
    if targets::all_up(&client).await.is_ok() {
        return Ok(Outcome::Unchanged);
    }
    let ask = || async { targets::all_up(&client).await.map_err(NotYet::found) };
    wait::poll("every target to be up", workshop.timeout(), live, ask).await?;
    Ok(Outcome::Changed)
}

pub fn traffic_in_shell(workshop: &Workshop) -> String {
    format!("kubectl exec deploy/productpage-v1 -- {}", cmd::line(workshop.profile.requests(PAGE, REQUESTS)))
}

/// Lab 4's pods may still be starting: what they can't answer yet, the graph would lack.
async fn first_traffic(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let client = workshop.client().await?;
    let ask = || async { bookinfo::pods_ready(&client).await.map_err(NotYet::found) };
    wait::poll("Bookinfo to be ready", workshop.timeout(), live, ask).await?;
    traffic(workshop, live).await
}

/// The workshop's requests, from within the productpage pod.
pub async fn traffic(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let client = workshop.client().await?;
    live.waiting(format!("{REQUESTS} requests for {PAGE}"));
    let pod = pods::one_ready(&client, "default", "productpage").await?;
    let output = exec::run(&client, "default", &pod, &workshop.profile.requests(PAGE, REQUESTS)).await?;
    ensure!(
        output.exit_code == 0,
        "requests in the productpage pod failed: {}",
        check::last_line(&output.stdout, &output.stderr)
    );
    Ok(Outcome::Changed)
}

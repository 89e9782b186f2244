//! Lab 5, BumbleBee on the cluster: the probe on every node, scraped by Prometheus, and traffic for it to see.

use anyhow::{Result, ensure};
use kube::Client;

use super::Lab;
use crate::{
    check::{self, bookinfo, connections, targets},
    cmd,
    finding::Finding,
    kubernetes::{exec, pods, rollout::Workload},
    labs::steps::{self, Step},
    live::Live,
    outcome::Outcome,
    wait::{self, NotYet},
    workshop::Workshop,
};

const MANIFEST: &str = "lab5/bumblebee.yaml";
const PAGE: &str = "http://localhost:9080/productpage";
const ROLLOUT: &str = "kubectl rollout status daemonset/bumblebee && kubectl rollout status deployment/productpage-v1";
/// As many as the workshop makes.
const REQUESTS: usize = 20;

pub fn lab(workshop: &Workshop) -> Lab {
    let steps = vec![
        steps::apply("run the probe on every node and have it scraped", MANIFEST),
        Step::new("wait until the probe and Bookinfo run", ROLLOUT, |workshop, live| Box::pin(running(workshop, live))),
        Step::new(
            format!("make {REQUESTS} requests in the productpage pod"),
            traffic_in_shell(workshop),
            |workshop, live| Box::pin(traffic(workshop, live)),
        ),
    ];
    let checks = vec![check::ready(probe(), 5), targets::check(), connections::check()];
    let undo = vec![steps::delete("remove the probe", MANIFEST)];
    Lab { number: 5, title: "BumbleBee on the cluster", steps, checks, undo }
}

/// A connection that is made before the probe runs is not counted, and one that nobody answers is not in the graph. Prometheus
/// may start later: what was counted stays.
async fn running(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let client = workshop.client().await?;
    if all_run(&client).await.is_ok() {
        return Ok(Outcome::Unchanged);
    }
    let ask = || async { all_run(&client).await.map_err(NotYet::found) };
    wait::poll("the probe and Bookinfo", workshop.timeout(), live, ask).await?;
    Ok(Outcome::Changed)
}

async fn all_run(client: &Client) -> Result<(), Finding> {
    probe().ready(client, 5).await?;
    for name in bookinfo::DEPLOYMENTS {
        Workload::deployment("default", name).ready(client, 4).await?;
    }
    Ok(())
}

fn probe() -> Workload {
    Workload::daemon_set("default", "bumblebee")
}

pub fn traffic_in_shell(workshop: &Workshop) -> String {
    format!("kubectl exec deploy/productpage-v1 -- {}", cmd::line(workshop.profile.requests(PAGE, REQUESTS)))
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

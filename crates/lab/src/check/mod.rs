//! When a lab is done, and if it is not: which object, which condition, why, and what to do.

pub mod bookinfo;
pub mod connections;
pub mod graph;
pub mod nodes;
pub mod targets;

use kube::Client;

use crate::{finding::Finding, kubernetes::rollout::Workload, workshop::Workshop};

pub type Check = lab_engine::check::Check<Workshop>;

/// A workload's pods all run its latest version and are ready. `lab` is the one that makes it.
pub fn ready(workload: Workload, lab: u8) -> Check {
    let title = format!("{workload} is ready");
    Check::new(title, move |workshop, _| {
        let workload = workload.clone();
        Box::pin(async move { workload.ready(&client(workshop).await?, lab).await })
    })
}

/// The cluster's client; a cluster that is not there is a finding as well.
pub async fn client(workshop: &Workshop) -> Result<Client, Finding> {
    workshop.client().await.map_err(|error| {
        let finding = Finding::new(format!("cluster {}", workshop.cluster.name()), "can't be reached").unreachable();
        let message = crate::error::message(&error);
        match workshop.cluster.ails() {
            Some(obstacle) => finding.because(obstacle.what).because(message).fix(obstacle.fix),
            None => finding.because(message).cluster_down(),
        }
    })
}

/// The last thing that a program said, on stderr if it said anything there.
pub fn last_line(stdout: &str, stderr: &str) -> String {
    let said = if stderr.trim().is_empty() { stdout } else { stderr };
    said.trim_end().lines().next_back().unwrap_or("nothing was said").to_owned()
}

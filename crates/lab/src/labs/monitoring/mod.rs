//! What lab 3 installs: Prometheus, its operator and the exporters, by our manifests or by the upstream chart.

mod helm;
mod kinds;
mod offline;
mod upstream;

use std::path::Path;

use anyhow::Result;
use lab_cli::Profile;

use super::steps::Step;
use crate::{
    kubernetes::{apply::Applier, manifest, rollout::Workload},
    workshop::Workshop,
};

/// What lab 3 consists of.
pub struct Monitoring {
    pub title: &'static str,
    pub steps: Vec<Step>,
    pub workloads: Vec<Workload>,
    pub undo: Vec<Step>,
}

/// The namespace of lab 3, in both profiles.
const NAMESPACE: &str = "prometheus";
const NAMESPACE_FILE: &str = "lab3/namespace.yaml";

/// It comes first: helm would make it without what its pods may ask for.
fn make_namespace() -> Step {
    let shell = format!("kubectl apply --server-side -f manifests/{NAMESPACE_FILE}");
    Step::new("make its namespace", shell, |workshop, live| {
        Box::pin(async move {
            let objects = manifest::read(&workshop.paths.checkout.join("manifests").join(NAMESPACE_FILE))?;
            Applier::new(workshop.client().await?, workshop.cluster.ours(), live).apply(objects).await
        })
    })
}

/// What lab 3 runs in both profiles, under the names that the kube-prometheus-stack chart gives to release `prom`.
const WORKLOADS: [Workload; 4] = [
    Workload::deployment(NAMESPACE, "prom-kube-prometheus-stack-operator"),
    Workload::deployment(NAMESPACE, "prom-kube-state-metrics"),
    Workload::stateful_set(NAMESPACE, "prometheus-prom-kube-prometheus-stack-prometheus"),
    Workload::daemon_set(NAMESPACE, "prom-prometheus-node-exporter"),
];

/// Lab 3 as the profile has it.
pub fn monitoring(workshop: &Workshop) -> Monitoring {
    match workshop.options.profile() {
        Profile::Offline => offline::monitoring(),
        Profile::Upstream => upstream::monitoring(&workshop.pins),
    }
}

/// Writes into a directory what the profile's own tools know of a lab that failed.
pub fn diagnostics(workshop: &Workshop, into: &Path) -> Result<()> {
    match workshop.options.profile() {
        Profile::Offline => Ok(()),
        Profile::Upstream => upstream::diagnostics(workshop, into),
    }
}

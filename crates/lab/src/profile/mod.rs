//! What the labs install: [`offline`], images that are built here, or [`upstream`], the upstream projects' charts and images.
//!
//! The labs are one code path. Where the two profiles must differ, a lab asks `workshop.profile`; it never asks which one it is.

mod bookinfo;
mod helm;
mod kinds;
mod offline;
mod upstream;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use kube::api::DynamicObject;
use lab_cli::{Options, pins::pins};

use crate::{
    kubernetes::{apply::Applier, manifest, rollout::Workload},
    steps::Step,
    workshop::Workshop,
};

/// What differs between the profiles.
pub trait Profile: Send + Sync {
    /// Those images of ours that the labs' pods run, by the last part of their names.
    fn images(&self) -> &'static [&'static str];

    /// The registries that the nodes pull other images from, `host:port`.
    fn registries(&self) -> &'static [&'static str] {
        &[]
    }

    /// Makes an object of a manifest run this profile's images. The manifests name ours, MetalLB's its own.
    fn adapt(&self, object: &mut DynamicObject);

    /// What a person would have to change in the manifest of Bookinfo, for `--explain`; nothing if its images are the profile's.
    fn bookinfo_in_words(&self) -> Option<String> {
        None
    }

    /// The command that asks for a page inside the productpage container, each time over a connection of its own.
    fn requests(&self, url: &str, count: usize) -> Vec<String>;

    /// Prometheus, its operator and its exporters, as lab 3 installs them.
    fn monitoring(&self) -> Monitoring;

    /// How long a lab waits for its conditions before it calls them failed.
    fn patience(&self) -> Duration;

    /// Writes into a folder what the profile's own tools know of a lab that failed.
    fn diagnostics(&self, _workshop: &Workshop, _into: &Path) -> Result<()> {
        Ok(())
    }
}

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

/// The profile that the options choose.
pub fn choose(options: &Options) -> Result<Arc<dyn Profile>> {
    Ok(match options.profile() {
        lab_cli::Profile::Offline => Arc::new(offline::Offline),
        lab_cli::Profile::Upstream => Arc::new(upstream::Upstream::new(pins()?)),
    })
}

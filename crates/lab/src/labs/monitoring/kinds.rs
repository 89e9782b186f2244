//! The operator's kinds: cluster-wide, and perhaps there already, for somebody else's operator.

use anyhow::Result;
use kube::Client;

use crate::{
    kubernetes::{
        apply::Applier,
        crds::{self, Definition},
    },
    labs::steps::Step,
    live::Live,
    outcome::Outcome,
    workshop::Workshop,
};

const GROUP: &str = "monitoring.coreos.com";
/// The operator watches each of its kinds, whether the labs use it or not.
const KINDS: [&str; 10] = [
    "alertmanagerconfigs",
    "alertmanagers",
    "podmonitors",
    "probes",
    "prometheusagents",
    "prometheuses",
    "prometheusrules",
    "scrapeconfigs",
    "servicemonitors",
    "thanosrulers",
];

/// Makes the cluster's kinds those of our operator.
pub async fn install(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let client = workshop.client().await?;
    let outdated = crds::outdated(&client, definitions(workshop)).await?;
    Applier::new(client, workshop.cluster.ours(), live).apply(outdated).await
}

/// Whether the cluster has all of them, whoever made them.
pub async fn are_there(client: &Client) -> Result<bool> {
    let present = crds::names(client).await?;
    Ok(KINDS.iter().all(|plural| present.contains(&format!("{plural}.{GROUP}"))))
}

/// The step that removes them: on a cluster that is not ours those that we made.
pub fn remove() -> Step {
    let shell = "kubectl delete -f prometheus-operator/example/prometheus-operator-crd/";
    Step::new("remove the operator's kinds", shell, |workshop, live| {
        Box::pin(async move {
            let objects = crds::named(&definitions(workshop))?;
            Applier::new(workshop.client().await?, workshop.cluster.ours(), live).delete(objects).await
        })
    })
}

fn definitions(workshop: &Workshop) -> Vec<Definition> {
    crds::in_folder(&workshop.paths.programs.join("manifests/prometheus-operator-crds"), GROUP, &KINDS)
}

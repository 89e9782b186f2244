//! Lab 3, Prometheus: the real operator and what it makes, under the names of the kube-prometheus-stack chart for release
//! `prom`. Grafana is the one part of the chart that the offline profile lacks.

use anyhow::Result;

use super::{Lab, Step, steps};
use crate::{
    check::Check,
    cluster::Outcome,
    kubernetes::{
        apply::Applier,
        crds::{self, Definition},
        rollout::Workload,
    },
    live::Live,
    workshop::Workshop,
};

const NAMESPACE: &str = "prometheus";
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

pub fn lab(_workshop: &Workshop) -> Lab {
    let shell = "kubectl apply --server-side -f prometheus-operator/example/prometheus-operator-crd/";
    let steps = vec![
        Step::new("install the operator's kinds", shell, |workshop, live| Box::pin(kinds(workshop, live))),
        steps::apply("install the operator", "lab3/operator.yaml"),
        steps::apply("install Prometheus", "lab3/prometheus.yaml"),
        steps::apply("install kube-state-metrics", "lab3/kube-state-metrics.yaml"),
        steps::apply("install node exporter", "lab3/node-exporter.yaml"),
    ];
    let workloads = [
        Workload::deployment(NAMESPACE, "prom-kube-prometheus-stack-operator"),
        Workload::deployment(NAMESPACE, "prom-kube-state-metrics"),
        Workload::stateful_set(NAMESPACE, "prometheus-prom-kube-prometheus-stack-prometheus"),
        Workload::daemon_set(NAMESPACE, "prom-prometheus-node-exporter"),
    ];
    let checks = workloads.into_iter().map(|workload| Check::ready(workload, 3)).collect();
    let undo = vec![
        steps::delete("remove node exporter", "lab3/node-exporter.yaml"),
        steps::delete("remove kube-state-metrics", "lab3/kube-state-metrics.yaml"),
        steps::delete("remove Prometheus", "lab3/prometheus.yaml"),
        steps::delete("remove the operator", "lab3/operator.yaml"),
        Step::new("remove the operator's kinds", "kubectl delete -f prometheus-operator-crd/", |workshop, live| {
            Box::pin(async move {
                let objects = crds::named(&definitions(workshop))?;
                Applier::new(workshop.client().await?, workshop.cluster.ours(), live).delete(objects).await
            })
        }),
    ];
    Lab { number: 3, title: "Prometheus, by its operator (offline: without Grafana)", steps, checks, undo }
}

async fn kinds(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let client = workshop.client().await?;
    let outdated = crds::outdated(&client, definitions(workshop)).await?;
    Applier::new(client, workshop.cluster.ours(), live).apply(outdated).await
}

fn definitions(workshop: &Workshop) -> Vec<Definition> {
    crds::in_folder(&workshop.paths.programs.join("manifests/prometheus-operator-crds"), GROUP, &KINDS)
}

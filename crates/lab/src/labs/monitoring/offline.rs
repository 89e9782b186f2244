//! Prometheus by its operator and our manifests, from images that are built here; without Grafana.

use super::{Monitoring, NAMESPACE_FILE, WORKLOADS, kinds, make_namespace};
use crate::labs::steps::{self, Step};

/// Lab 3 of the offline profile.
pub fn monitoring() -> Monitoring {
    let shell = "kubectl apply --server-side -f prometheus-operator/example/prometheus-operator-crd/";
    let steps = vec![
        Step::new("install the operator's kinds", shell, |workshop, live| Box::pin(kinds::install(workshop, live))),
        make_namespace(),
        steps::apply("install the operator", "lab3/operator.yaml"),
        steps::apply("install Prometheus", "lab3/prometheus.yaml"),
        steps::apply("install kube-state-metrics", "lab3/kube-state-metrics.yaml"),
        steps::apply("install node exporter", "lab3/node-exporter.yaml"),
    ];
    let undo = vec![
        steps::delete("remove node exporter", "lab3/node-exporter.yaml"),
        steps::delete("remove kube-state-metrics", "lab3/kube-state-metrics.yaml"),
        steps::delete("remove Prometheus", "lab3/prometheus.yaml"),
        steps::delete("remove the operator", "lab3/operator.yaml"),
        steps::delete("remove its namespace", NAMESPACE_FILE),
        kinds::remove(),
    ];
    let title = "Prometheus, by its operator (offline: without Grafana)";
    Monitoring { title, steps, workloads: WORKLOADS.to_vec(), undo }
}

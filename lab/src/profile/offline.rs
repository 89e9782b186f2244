//! The offline profile: images that we build from our own programs and from Go modules; no image registry is asked.

use std::time::Duration;

use anyhow::Result;
use kube::api::DynamicObject;

use super::{Monitoring, Profile, WORKLOADS};
use crate::{
    cluster::Outcome,
    images,
    kubernetes::{
        apply::Applier,
        crds::{self, Definition},
        manifest,
    },
    labs::{Step, steps},
    live::Live,
    workshop::Workshop,
};

pub struct Offline;

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

impl Profile for Offline {
    fn images(&self) -> &'static [&'static str] {
        &[
            "metallb-controller",
            "metallb-speaker",
            "prometheus-operator",
            "prometheus-config-reloader",
            "kube-state-metrics",
            "prometheus",
            "node-exporter",
            "bookinfo",
            "kebpf",
            "bee",
        ]
    }

    /// Our manifests name our images already.
    fn adapt(&self, object: &mut DynamicObject) {
        manifest::rewrite(&mut object.data, &|text| {
            let name = text.strip_prefix("quay.io/metallb/")?.split(':').next()?;
            Some(images::reference(&format!("metallb-{name}")))
        });
    }

    fn requests(&self, url: &str, count: usize) -> Vec<String> {
        ["bookinfo", "get", url, "--repeat", &count.to_string()].map(str::to_owned).to_vec()
    }

    fn monitoring(&self) -> Monitoring {
        let shell = "kubectl apply --server-side -f prometheus-operator/example/prometheus-operator-crd/";
        let steps = vec![
            Step::new("install the operator's kinds", shell, |workshop, live| Box::pin(kinds(workshop, live))),
            steps::apply("install the operator", "lab3/operator.yaml"),
            steps::apply("install Prometheus", "lab3/prometheus.yaml"),
            steps::apply("install kube-state-metrics", "lab3/kube-state-metrics.yaml"),
            steps::apply("install node exporter", "lab3/node-exporter.yaml"),
        ];
        let shell = "kubectl delete -f prometheus-operator/example/prometheus-operator-crd/";
        let undo = vec![
            steps::delete("remove node exporter", "lab3/node-exporter.yaml"),
            steps::delete("remove kube-state-metrics", "lab3/kube-state-metrics.yaml"),
            steps::delete("remove Prometheus", "lab3/prometheus.yaml"),
            steps::delete("remove the operator", "lab3/operator.yaml"),
            Step::new("remove the operator's kinds", shell, |workshop, live| Box::pin(remove_kinds(workshop, live))),
        ];
        let title = "Prometheus, by its operator (offline: without Grafana)";
        Monitoring { title, steps, workloads: WORKLOADS.to_vec(), undo }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(180)
    }
}

async fn kinds(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let client = workshop.client().await?;
    let outdated = crds::outdated(&client, definitions(workshop)).await?;
    Applier::new(client, workshop.cluster.ours(), live).apply(outdated).await
}

async fn remove_kinds(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let objects = crds::named(&definitions(workshop))?;
    Applier::new(workshop.client().await?, workshop.cluster.ours(), live).delete(objects).await
}

fn definitions(workshop: &Workshop) -> Vec<Definition> {
    crds::in_folder(&workshop.paths.programs.join("manifests/prometheus-operator-crds"), GROUP, &KINDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metallb_runs_our_images() {
        let text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: controller}, \
                    spec: {template: {spec: {containers: [{image: 'quay.io/metallb/controller:v0.15.2'}]}}}}";
        let mut object = manifest::parse(text).unwrap().remove(0);
        Offline.adapt(&mut object);
        let container = &object.data["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "localhost/ebpf-lab/metallb-controller:lab");
    }
}

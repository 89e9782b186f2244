//! Lab 6, kebpf: the live graph of which services talk to each other.

use anyhow::Result;

use super::{Lab, steps};
use crate::{
    check::{Check, graph},
    cluster::ServicePort,
    kubernetes::rollout::Workload,
    workshop::Workshop,
};

const MANIFEST: &str = "lab6/kebpf.yaml";

pub fn lab(_workshop: &Workshop) -> Lab {
    Lab {
        number: 6,
        title: "kebpf, the graph of who talks to whom",
        steps: vec![steps::apply("install kebpf", MANIFEST)],
        checks: vec![
            Check::ready(Workload::deployment("default", "kebpf"), 6),
            graph::page_answers(),
            graph::holds_bookinfo(),
        ],
        undo: vec![steps::delete("remove kebpf", MANIFEST)],
    }
}

/// The address at which a browser on this machine reaches the graph.
pub async fn graph_address(workshop: &Workshop) -> Result<String> {
    let page = ServicePort { namespace: "default".into(), service: "kebpf".into(), port: 80 };
    workshop.cluster.reach(&workshop.client().await?, &page).await
}

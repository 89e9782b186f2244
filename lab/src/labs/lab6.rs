//! Lab 6, kebpf: the live graph of which services talk to each other.

use super::Lab;
use crate::{
    check::{self, graph},
    kubernetes::rollout::Workload,
    steps,
    workshop::Workshop,
};

const MANIFEST: &str = "lab6/kebpf.yaml";

pub fn lab(_workshop: &Workshop) -> Lab {
    Lab {
        number: 6,
        title: "kebpf, the graph of who talks to whom",
        steps: vec![steps::apply("install kebpf", MANIFEST)],
        checks: vec![
            check::ready(Workload::deployment("default", "kebpf"), 6),
            graph::page_answers(),
            graph::holds_bookinfo(),
        ],
        undo: vec![steps::delete("remove kebpf", MANIFEST)],
    }
}

//! Lab 3, Prometheus: its operator, Prometheus itself and the exporters, in namespace `prometheus`. How they are installed, and
//! whether Grafana is among them, is the profile's: [`super::monitoring`].

use super::{Lab, monitoring::monitoring};
use crate::{check, workshop::Workshop};

pub fn lab(workshop: &Workshop) -> Lab {
    let monitoring = monitoring(workshop);
    let checks = monitoring.workloads.into_iter().map(|workload| check::ready(workload, 3)).collect();
    Lab { number: 3, title: monitoring.title, steps: monitoring.steps, checks, undo: monitoring.undo }
}

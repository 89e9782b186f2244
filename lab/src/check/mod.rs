//! When a lab is done, and if it is not: which object, which condition, why, and what to do.

pub mod bookinfo;
pub mod connections;
pub mod graph;
pub mod nodes;
pub mod probe;
pub mod targets;

use std::fmt;

use anyhow::Result;
use futures::future::BoxFuture;
use kube::Client;
use serde::Serialize;

use crate::{kubernetes::rollout::Workload, live::Live, workshop::Workshop};

/// One condition of a lab.
pub struct Check {
    /// The condition, as a sentence that is true when it holds: `every bumblebee target is up`.
    pub title: String,
    pub run: CheckFn,
}

/// Asks once, never waits: the engine asks again until its deadline.
pub type CheckFn = Box<dyn for<'a> Fn(&'a Workshop, &'a Live) -> BoxFuture<'a, Result<(), Finding>> + Send + Sync>;

/// What is wrong, for the reader who has to mend it.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The object, as kubectl names it: `daemonset/bumblebee in namespace default`.
    pub object: String,
    /// The condition that does not hold: `2 of 3 pods ready`.
    pub condition: String,
    /// What the cluster says about it: events, waiting reasons, last log lines.
    pub why: Vec<String>,
    /// What to do.
    pub mend: String,
}

impl Check {
    pub fn new<F>(title: impl Into<String>, run: F) -> Self
    where
        F: for<'a> Fn(&'a Workshop, &'a Live) -> BoxFuture<'a, Result<(), Finding>> + Send + Sync + 'static,
    {
        Self { title: title.into(), run: Box::new(run) }
    }

    /// A workload's pods all run its latest version and are ready. `lab` is the one that makes it.
    pub fn ready(workload: Workload, lab: u8) -> Self {
        let title = format!("{workload} is ready");
        Self::new(title, move |workshop, _| {
            let workload = workload.clone();
            Box::pin(async move { workload.ready(&client(workshop).await?, lab).await })
        })
    }
}

impl Finding {
    pub fn new(object: impl Into<String>, condition: impl Into<String>) -> Self {
        Self { object: object.into(), condition: condition.into(), why: vec![], mend: String::new() }
    }

    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.why.push(reason.into());
        self
    }

    pub fn why(mut self, reasons: Vec<String>) -> Self {
        self.why.extend(reasons);
        self
    }

    pub fn mend(mut self, what: impl Into<String>) -> Self {
        self.mend = what.into();
        self
    }

    /// For an API server that does not answer.
    pub fn cluster_down(self) -> Self {
        self.mend("is the cluster up? `cargo xtask status` tells, `cargo xtask lab 2` starts it")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.condition)?;
        self.why.first().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

/// The cluster's client; a cluster that is not there is a finding as well.
pub async fn client(workshop: &Workshop) -> Result<Client, Finding> {
    workshop.client().await.map_err(|error| {
        Finding::new(format!("cluster {}", workshop.cluster.name()), "can't be reached")
            .because(crate::error::message(&error))
            .cluster_down()
    })
}

/// The last thing that a program said, on stderr if it said anything there.
pub fn last_line(stdout: &str, stderr: &str) -> String {
    let said = if stderr.trim().is_empty() { stdout } else { stderr };
    said.trim_end().lines().next_back().unwrap_or("nothing was said").to_owned()
}

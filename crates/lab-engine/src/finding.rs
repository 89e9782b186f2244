//! What a check finds wrong: which object, which condition, why, and what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong, for the reader who has to fix it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// The object, as kubectl names it: `daemonset/bumblebee in namespace default`.
    pub object: String,
    /// The condition that does not hold: `2 of 3 pods ready`.
    pub condition: String,
    /// What the cluster says about it: events, waiting reasons, last log lines.
    pub why: Vec<String>,
    /// What to do.
    pub fix: String,
    /// That nobody was there to ask, so that no other question would be answered.
    #[serde(skip)]
    pub unreachable: bool,
}

impl Finding {
    pub fn new(object: impl Into<String>, condition: impl Into<String>) -> Self {
        Self { object: object.into(), condition: condition.into(), why: vec![], fix: String::new(), unreachable: false }
    }

    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.why.push(reason.into());
        self
    }

    pub fn why(mut self, reasons: Vec<String>) -> Self {
        self.why.extend(reasons);
        self
    }

    pub fn fix(mut self, what: impl Into<String>) -> Self {
        self.fix = what.into();
        self
    }

    pub fn unreachable(self) -> Self {
        Self { unreachable: true, ..self }
    }

    /// For an API server that does not answer.
    pub fn cluster_down(self) -> Self {
        self.fix("is the cluster up? `cargo xtask status` tells, `cargo xtask lab 2` starts it")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.condition)?;
        self.why.first().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

//! Why something can't be on this machine, and what fixes it.

/// Both are sentences for the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    pub what: String,
    pub fix: String,
}

impl Obstacle {
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

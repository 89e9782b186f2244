//! Why something can't be on this machine, and what mends it.

/// Both are sentences for the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    pub what: String,
    pub mending: String,
}

impl Obstacle {
    pub fn new(what: impl Into<String>, mending: impl Into<String>) -> Self {
        Self { what: what.into(), mending: mending.into() }
    }
}

//! One figure of the benchmark, beside what is asked.

use std::fmt;

use serde_json::{Value, json};

/// A measured value.
pub struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    pub asked: Asked,
}

/// What a value has to be.
pub enum Asked {
    AtMost(f64),
    AtLeast(f64),
    /// It stands there to compare with.
    Nothing,
}

impl Figure {
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str, asked: Asked) -> Self {
        Self { what: what.into(), value, unit, asked }
    }

    pub fn holds(&self) -> bool {
        match self.asked {
            Asked::AtMost(most) => self.value <= most,
            Asked::AtLeast(least) => self.value >= least,
            Asked::Nothing => true,
        }
    }

    pub fn json(&self) -> Value {
        let (at_most, at_least) = match self.asked {
            Asked::AtMost(most) => (Some(most), None),
            Asked::AtLeast(least) => (None, Some(least)),
            Asked::Nothing => (None, None),
        };
        json!({ "what": self.what, "value": self.value, "unit": self.unit, "at_most": at_most, "at_least": at_least, "holds": self.holds() })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = match self.asked {
            Asked::AtMost(most) => format!("at most {most}"),
            Asked::AtLeast(least) => format!("at least {least}"),
            Asked::Nothing => String::new(),
        };
        let verdict = if self.holds() { "" } else { "  ✗" };
        write!(f, "{:<66} {:>10.3} {:<8} {asked}{verdict}", self.what, self.value, self.unit)
    }
}

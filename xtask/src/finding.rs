//! One thing about a machine that was looked at, and how to fix it.

use std::fmt;

use lab_cli::Obstacle;
use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub what: String,
    pub verdict: Verdict,
    /// What was measured.
    pub measured: String,
    /// How to fix it, when it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// It will do, but not well.
    Warning,
    /// The labs can't run.
    Refusal,
}

impl Finding {
    pub fn refusal(what: &str, obstacle: Obstacle) -> Self {
        Self::bad(what, Verdict::Refusal, obstacle.what, &obstacle.fix)
    }

    pub fn ok(what: &str, measured: impl Into<String>) -> Self {
        Self { what: what.to_owned(), verdict: Verdict::Ok, measured: measured.into(), fix: None }
    }

    pub fn bad(what: &str, verdict: Verdict, measured: impl Into<String>, fix: &str) -> Self {
        Self { what: what.to_owned(), verdict, measured: measured.into(), fix: Some(fix.to_owned()) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Ok => "ok     ",
            Verdict::Warning => "warning",
            Verdict::Refusal => "REFUSED",
        };
        write!(f, "{mark}  {}: {}", self.what, self.measured)?;
        match &self.fix {
            Some(fix) => write!(f, "\n         fix: {fix}"),
            None => Ok(()),
        }
    }
}

//! What became of each step and check: lines for a person on stderr, JSON for a program on stdout.

use std::{io::IsTerminal, time::Duration};

use anyhow::{Context, Result};
use clikit::print::{self, Unwritable};
use lab_cli::Options;
use serde::{Deserialize, Serialize};

use crate::{check::Check, finding::Finding, labs::Lab, live, outcome::Outcome, steps::Step};

/// Raised when a field of [`Record`] changes its meaning.
const VERSION: u32 = 2;

/// One step or check, as `--json` prints it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    kind: Kind,
    pub lab: u8,
    index: usize,
    total: usize,
    pub title: String,
    outcome: Became,
    pub seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Step,
    Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Became {
    Changed,
    Unchanged,
    Passed,
    Failed,
}

impl Record {
    pub fn step<W>(lab: u8, index: usize, total: usize, step: &Step<W>, took: Duration) -> Self {
        Self::new(Kind::Step, lab, (index, total), step.title.clone(), took)
    }

    pub fn check<W>(lab: u8, index: usize, total: usize, check: &Check<W>, took: Duration) -> Self {
        Self::new(Kind::Check, lab, (index, total), check.title.clone(), took)
    }

    fn new(kind: Kind, lab: u8, (index, total): (usize, usize), title: String, took: Duration) -> Self {
        let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
        Self {
            version: VERSION,
            kind,
            lab,
            index,
            total,
            title,
            outcome: Became::Failed,
            seconds,
            error: None,
            finding: None,
        }
    }

    pub fn done(mut self, outcome: Outcome) -> Self {
        self.outcome = match (self.kind, outcome) {
            (Kind::Check, _) => Became::Passed,
            (Kind::Step, Outcome::Changed) => Became::Changed,
            (Kind::Step, Outcome::Unchanged) => Became::Unchanged,
        };
        self
    }

    pub fn failed(mut self, error: String, finding: Option<Finding>) -> Self {
        self.error = Some(error);
        self.finding = finding;
        self
    }

    fn line(&self) -> String {
        let Self { index, total, title, seconds, .. } = self;
        let mark = if self.error.is_some() { "✗" } else { "✓" };
        let note = if self.outcome == Became::Unchanged { ", nothing to do" } else { "" };
        match self.kind {
            Kind::Step => format!("{mark} [{index}/{total}] {title} ({seconds:.1} s{note})"),
            Kind::Check => format!("{mark} {title} ({seconds:.1} s)"),
        }
    }

    /// What is wrong, why, and what to do; one thought a line.
    pub fn explanation(&self) -> Vec<String> {
        match &self.finding {
            Some(finding) => {
                let mut lines = vec![format!("  {}: {}", finding.object, finding.condition)];
                lines.extend(finding.why.iter().flat_map(|why| why.lines()).map(|why| format!("    why: {why}")));
                lines.extend((!finding.fix.is_empty()).then(|| format!("    fix: {}", finding.fix)));
                lines
            }
            None => self.error.iter().map(|error| format!("  {error}")).collect(),
        }
    }
}

/// Collects records and prints them as they come.
pub struct Report {
    json: bool,
    colour: bool,
    records: Vec<Record>,
    /// That standard output took no more at some time.
    unwritable: Option<Unwritable>,
}

impl Report {
    pub fn new(options: &Options) -> Self {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { json: options.json, colour, records: vec![], unwritable: None }
    }

    pub fn begin<W>(&self, lab: &Lab<W>) {
        live::say(&format!("lab {}: {}", lab.number, lab.title));
    }

    pub fn add(&mut self, record: Record) {
        let (line, code) = (record.line(), if record.error.is_some() { 31 } else { 32 });
        match line.split_once(' ') {
            Some((mark, rest)) if self.colour => live::say_marked(mark, code, rest),
            _ => live::say(&line),
        }
        record.explanation().iter().for_each(|line| live::say(line));
        self.add_quietly(record);
    }

    /// For a check that has nothing to say to a person.
    pub fn add_quietly(&mut self, record: Record) {
        if self.json {
            let line = serde_json::to_string(&record).unwrap_or_default();
            // A disk that is full does not end a lab half-way.
            if let Err(unwritable) = print::json(line) {
                self.unwritable.get_or_insert(unwritable);
            }
        }
        self.records.push(record);
    }

    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// # Errors
    /// Something of it could not be printed.
    pub fn was_printed(self) -> Result<()> {
        self.unwritable.map_or(Ok(()), |unwritable| Err(unwritable.into()))
    }

    /// What was done so far, for the program that goes on with the next lab.
    pub fn hand_on(&self) -> Result<String> {
        serde_json::to_string(&self.records).context("failed to write down what was done")
    }

    /// Goes on where another program's report, which has printed it, left off.
    pub fn take_over(&mut self, done: &str) -> Result<()> {
        self.records = serde_json::from_str(done).context("failed to read what was done before")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lab_cli::Cli;

    use super::*;

    fn failed() -> Record {
        let finding = Finding::new("daemonset/bumblebee in namespace default", "2 of 3 pods ready")
            .because("pod bumblebee-x: ErrImageNeverPull")
            .fix("run `cargo xtask images load`");
        let record =
            Record::new(Kind::Check, 5, (1, 3), "daemonset/bumblebee is ready".to_owned(), Duration::from_millis(1234));
        record.failed(finding.to_string(), Some(finding))
    }

    #[test]
    fn a_failed_check_says_object_condition_why_and_fix() {
        assert_eq!(failed().line(), "✗ daemonset/bumblebee is ready (1.2 s)");
        assert_eq!(
            failed().explanation(),
            [
                "  daemonset/bumblebee in namespace default: 2 of 3 pods ready",
                "    why: pod bumblebee-x: ErrImageNeverPull",
                "    fix: run `cargo xtask images load`",
            ]
        );
    }

    #[test]
    fn the_json_of_a_record_is_versioned_and_complete() {
        let json: serde_json::Value = serde_json::to_value(failed()).unwrap();
        assert_eq!(json["version"], 2);
        assert_eq!(
            (json["kind"].as_str(), json["lab"].as_u64(), json["outcome"].as_str()),
            (Some("check"), Some(5), Some("failed"))
        );
        assert_eq!(json["seconds"], 1.234);
        assert_eq!(json["finding"]["fix"], "run `cargo xtask images load`");
    }

    #[test]
    fn what_was_done_is_handed_on_whole() {
        let options = Cli::parse_from(["xtask", "status"]).options;
        let (mut first, mut second) = (Report::new(&options), Report::new(&options));
        first.add_quietly(failed());
        second.take_over(&first.hand_on().unwrap()).unwrap();
        assert_eq!(second.records()[0].explanation(), failed().explanation());
        assert_eq!(second.hand_on().unwrap(), first.hand_on().unwrap());
    }
}

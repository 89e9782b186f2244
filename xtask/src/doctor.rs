//! Whether this machine can run the workshop: measured, before anything is compiled, each lack with its mending.

mod host;
mod kernel;
mod kind;
mod machine;
#[cfg(test)]
mod recorded;

use anyhow::Result;
use clikit::print;
use lab_cli::{ClusterChoice, LabRange, Machine, Obstacle, Options, Paths, Profile, exit};
use serde::Serialize;

use crate::{
    machine::ThisMachine,
    tools::{self, Need},
    versions,
};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub what: String,
    pub verdict: Verdict,
    /// What was measured.
    pub measured: String,
    /// How to mend it, when it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mending: Option<String>,
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
    fn refusal(what: &str, obstacle: Obstacle) -> Self {
        Self::bad(what, Verdict::Refusal, obstacle.what, &obstacle.mending)
    }

    pub fn ok(what: &str, measured: impl Into<String>) -> Self {
        Self { what: what.to_owned(), verdict: Verdict::Ok, measured: measured.into(), mending: None }
    }

    pub fn bad(what: &str, verdict: Verdict, measured: impl Into<String>, mending: &str) -> Self {
        Self { what: what.to_owned(), verdict, measured: measured.into(), mending: Some(mending.to_owned()) }
    }
}

/// `doctor`: looks at everything and prints it; exit code 4 if anything refuses.
pub fn run(paths: &Paths, options: &Options) -> Result<u8> {
    let mut findings = findings(&ThisMachine::new(paths), paths, options, true);
    findings.extend(tool_findings(paths, options));
    findings.extend(versions::findings(paths));
    findings.extend(machine::costs(paths));
    let refused = findings.iter().any(|finding| finding.verdict == Verdict::Refusal);
    if options.json {
        print::json(json(&findings))?;
    } else {
        findings.iter().try_for_each(|finding| print::lines(line(finding)))?;
    }
    Ok(if refused { exit::UNFIT } else { exit::OK })
}

/// Before a lab: the exit code if this machine can't run it, with everything that refuses said at once.
pub fn refuse(paths: &Paths, options: &Options, labs: LabRange) -> Result<Option<u8>> {
    let findings = findings(&ThisMachine::new(paths), paths, options, labs.last > 1);
    let refusals: Vec<_> = findings.iter().filter(|finding| finding.verdict == Verdict::Refusal).collect();
    if refusals.is_empty() {
        return Ok(None);
    }
    print::note("error: this machine can't run the labs");
    refusals.iter().for_each(|finding| line(finding).lines().for_each(print::note));
    Ok(Some(exit::UNFIT))
}

/// Everything about the machine that decides whether the labs run; `with_cluster`: also those that need one.
fn findings(machine: &dyn Machine, paths: &Paths, options: &Options, with_cluster: bool) -> Vec<Finding> {
    let mut findings = machine::findings(machine, paths);
    findings.extend(match options.cluster() {
        _ if !with_cluster => vec![],
        ClusterChoice::Host => host::findings(machine, options.number),
        ClusterChoice::Kind => kind::findings(machine, options),
        // Whoever runs it sees to it.
        ClusterChoice::Context(_) => vec![],
    });
    findings
}

/// Tools that are missing are not refusals: `--install` brings them.
fn tool_findings(paths: &Paths, options: &Options) -> Vec<Finding> {
    let mut all = vec![Need::Probes, Need::Web, Need::Go];
    if options.cluster() == ClusterChoice::Host {
        all.push(Need::Network);
    }
    if options.profile() == Profile::Upstream {
        all.push(Need::Helm);
    }
    let finding = |(name, found): (String, Result<(), String>)| match found {
        Ok(()) => Finding::ok(&name, "found"),
        Err(why) => Finding::bad(&name, Verdict::Warning, why, "run the labs with --install"),
    };
    tools::report(paths, &all).into_iter().map(finding).collect()
}

fn json(findings: &[Finding]) -> serde_json::Value {
    serde_json::json!({ "version": 1, "kind": "doctor", "findings": findings })
}

fn line(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Ok => "ok     ",
        Verdict::Warning => "warning",
        Verdict::Refusal => "REFUSED",
    };
    let mending = finding.mending.as_ref().map(|mending| format!("\n         mend: {mending}")).unwrap_or_default();
    format!("{mark}  {}: {}{mending}", finding.what, finding.measured)
}

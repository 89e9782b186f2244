//! Whether this machine can run the workshop: measured, before anything is compiled, each lack with its fix.

mod host;
mod kernel;
mod kind;
mod machine;
#[cfg(test)]
mod recorded;

use anyhow::Result;
use clikit::print;
use lab_cli::{ClusterChoice, LabRange, Machine, Options, Paths, Profile, exit};

use crate::{
    finding::{Finding, Verdict},
    machine::ThisMachine,
    requirements::{self, Need},
    versions,
};

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
        findings.iter().try_for_each(print::lines)?;
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
    refusals.iter().for_each(|finding| finding.to_string().lines().for_each(print::note));
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
    requirements::report(paths, &all).into_iter().map(finding).collect()
}

fn json(findings: &[Finding]) -> serde_json::Value {
    serde_json::json!({ "version": 2, "kind": "doctor", "findings": findings })
}

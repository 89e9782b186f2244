//! `bee doctor`: it says of each kind of hook what the probes for it find out, and nothing of a user that may load none.

use std::{os::unix::process::CommandExt, process::Command};

use serde_json::Value;
use testkit::findings::Findings;

use crate::unprivileged;

pub fn tells_the_truth(findings: &mut Findings) {
    let as_root = examine(findings, "root", Command::new("/bin/bee"), 0);
    let lacking: Vec<_> = checks(&as_root).filter(|check| check["works"] == false).collect();
    for check in &lacking {
        let may = ["kprobe.multi", "lsm", "perf_event_paranoid"].iter().any(|name| check["name"] == *name);
        findings
            .add(may, format!("doctor: {} does not work: {}; fix: {}", check["name"], check["found"], check["fix"]));
    }
    let worked = checks(&as_root).count() - lacking.len();
    findings.add(worked >= 20, format!("doctor: {worked} of {} work", worked + lacking.len()));
    examine(findings, "uid 65534 with CAP_BPF and CAP_PERFMON", unprivileged::command("/bin/bee"), 0);
    let mut nobody = Command::new("/bin/bee");
    nobody.uid(65_534).gid(65_534);
    let alone = examine(findings, "uid 65534", nobody, 4);
    let named = checks(&alone).any(|check| check["name"] == "capabilities" && check["works"] == false);
    findings.add(named, "doctor: what uid 65534 lacks is named");
}

fn examine(findings: &mut Findings, who: &str, mut bee: Command, code: i32) -> Value {
    let output = bee.args(["doctor", "--json"]).output().unwrap();
    let ended = output.status.code();
    findings.add(ended == Some(code), format!("doctor: as {who} it ends with {ended:?}"));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn checks(report: &Value) -> impl Iterator<Item = &Value> {
    report["checks"].as_array().unwrap().iter()
}

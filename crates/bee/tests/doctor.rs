//! `bee doctor` on this machine, whatever it is and whoever runs it: complete, consistent, and no answer without a next step.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use assert_cmd::Command;

#[test]
fn what_does_not_work_has_a_fix_and_the_exit_code_says_whether_the_workshop_runs() {
    let mut bee = Command::cargo_bin("bee").unwrap();
    let output = bee.args(["doctor", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(if report["workshop"] == true { 0 } else { 4 }));
    let checks = report["checks"].as_array().unwrap();
    for name in ["kernel", "BTF", "capabilities", "tracefs", "kprobe", "tp_btf", "lsm", "ring buffer"] {
        assert!(checks.iter().any(|check| check["name"] == name), "{name} is not looked at");
    }
    for check in checks {
        assert_eq!(check["works"] == false, check["fix"].is_string(), "{check}");
        assert!(!check["found"].as_str().unwrap().contains("os error"), "{check}");
    }
}

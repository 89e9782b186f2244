//! The report as JUnit XML, for CI.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use driver::report::Record;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

pub fn write(path: &Path, records: &[Record]) -> Result<()> {
    let text = report(records).to_string().context("write JUnit XML")?;
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn report(records: &[Record]) -> quick_junit::Report {
    let mut report = quick_junit::Report::new("ebpf-lab");
    for lab in 1..=6 {
        let mut suite = TestSuite::new(format!("lab {lab}"));
        for record in records.iter().filter(|record| record.lab == lab) {
            let status = match &record.error {
                None => TestCaseStatus::success(),
                Some(error) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(error.as_str()).set_description(record.explanation().join("\n"));
                    status
                }
            };
            let mut case = TestCase::new(record.title.as_str(), status);
            case.set_time(Duration::from_secs_f64(record.seconds));
            suite.add_test_case(case);
        }
        if suite.tests > 0 {
            report.add_test_suite(suite);
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_has_a_case_for_each_record() {
        let record = r#"{"version": 1, "kind": "check", "lab": 5, "index": 1, "total": 3, "title": "pods are ready",
                         "outcome": "failed", "seconds": 1.2, "error": "2 of 3 pods ready"}"#;
        let report = report(&[serde_json::from_str(record).unwrap()]);
        assert_eq!((report.tests, report.failures), (1, 1));
    }
}

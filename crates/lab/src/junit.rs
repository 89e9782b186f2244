//! The report as JUnit XML, for CI.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use lab_engine::report::Record;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::caller::{self, OPEN, as_caller};

pub fn write(path: &Path, records: &[Record]) -> Result<()> {
    let text = report(records).to_string().context("failed to write JUnit XML")?;
    // A pipe, a terminal and what leads to them stay what they are.
    if path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
        return as_caller(|| std::fs::write(path, text)).with_context(|| format!("failed to write {}", path.display()));
    }
    caller::write(path, text, OPEN)
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
    fn a_file_is_replaced_and_what_leads_elsewhere_is_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("stdout"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&file, &[]).unwrap();
        let first = std::fs::read(&file).unwrap();
        std::fs::write(&file, "").unwrap();
        write(&link, &[]).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), first);
        assert!(link.is_symlink());
    }

    #[test]
    fn junit_has_a_case_for_each_record() {
        let record = r#"{"version": 1, "kind": "check", "lab": 5, "index": 1, "total": 3, "title": "pods are ready",
                         "outcome": "failed", "seconds": 1.2, "error": "2 of 3 pods ready"}"#;
        let report = report(&[serde_json::from_str(record).unwrap()]);
        assert_eq!((report.tests, report.failures), (1, 1));
    }
}

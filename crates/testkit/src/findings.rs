//! What the guest of a virtual machine found out: a line each on its console, and a verdict that this machine reads there.
//!
//! Both ends of that protocol stand here. A guest that panics, hangs or reboots never comes to a verdict, and that is no pass.

use std::panic::{AssertUnwindSafe, catch_unwind};

const BEGIN: &str = "Linux ";
const GOOD: &str = "ok  ";
const BAD: &str = "FAIL";
const VERDICT: &str = "verdict:";

/// The findings so far.
#[derive(Debug, Default)]
pub struct Findings {
    good: usize,
    bad: usize,
}

impl Findings {
    /// None so far, of a kernel of this release.
    pub fn begin(release: &str) -> Self {
        println!("{BEGIN}{release}");
        Self::default()
    }

    /// Reports one thing that was looked at.
    pub fn add(&mut self, good: bool, what: impl AsRef<str>) {
        println!("{} {}", if good { GOOD } else { BAD }, what.as_ref());
        if good { self.good += 1 } else { self.bad += 1 }
    }

    /// Lets a scene report; one that panics goes wrong, and the next still has its turn.
    pub fn of(&mut self, name: &str, scene: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scene(self))) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
            self.add(false, format!("{name}: {text}"));
        }
    }

    /// The last line.
    pub fn conclude(&self) {
        println!("{}", self.verdict());
    }

    fn verdict(&self) -> String {
        let passed = self.bad == 0 && self.good > 0;
        format!("{VERDICT} {} ({} good, {} bad)", if passed { "passed" } else { "failed" }, self.good, self.bad)
    }
}

/// Reads a console: how far its guest is. What the kernel prints of itself is no progress: it does so when it hangs, too.
pub fn how_far(console: &str) -> usize {
    console.lines().filter(|line| [GOOD, BAD, BEGIN].iter().any(|word| line.starts_with(word))).count()
}

/// Reads a console: whether its guest came to an end and found everything good.
pub fn passed(console: &str) -> bool {
    let verdict = console.lines().rev().find_map(|line| line.trim().strip_prefix(VERDICT));
    verdict.is_some_and(|verdict| verdict.trim_start().starts_with("passed "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_without_a_verdict_is_no_pass() {
        assert!(!passed("ok   all well so far\r\nKernel panic - not syncing\r\n"));
        assert!(!passed(""));
    }

    #[test]
    fn only_what_the_guest_itself_finds_is_progress() {
        let hangs = "Linux 6.1.0\r\nok   one\r\n[   81.0] rcu: INFO: rcu_preempt detected stalls\r\n";
        assert_eq!((how_far(""), how_far(hangs), how_far(&format!("{hangs}FAIL two\r\n"))), (0, 2, 3));
    }

    #[test]
    fn one_bad_finding_fails_them_all_and_none_is_no_pass() {
        let mut findings = Findings::default();
        assert!(!passed(&findings.verdict()), "nothing was looked at");
        findings.add(true, "one");
        assert!(passed(&format!("ok   one\r\n{}\r\n[   9.1] reboot: Power down\r\n", findings.verdict())));
        findings.of("a scene", |_| panic!("a panic of this test's own"));
        findings.add(true, "two");
        assert!(!passed(&findings.verdict()));
    }
}

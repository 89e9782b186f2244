//! `cargo xtask test`: formatting, lints, unit tests and command lines everywhere; probes and labs where root and BPF are; probes
//! in other kernels where qemu and those kernels are.
//!
//! The last line counts all of it. A test that this machine can't do is counted as skipped, with its reason; where root and BPF
//! are there and no privileged test ran, that is a failure.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};
use interface::{Options, Paths, cli::Suite, exit};

use crate::{
    build, kernels, kind, programs,
    tools::{self, Need},
};

/// What a run of tests counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

pub fn run(paths: &Paths, options: &Options, suites: &[Suite]) -> Result<u8> {
    tools::ensure(&[Need::Probes, Need::Web, Need::Go, Need::Network], options.install)?;
    if options.install {
        // Its tests are skipped without it.
        tools::offer(&[Need::Nix]);
    }
    let wanted = |suite: Suite| suites.is_empty() || suites.contains(&suite);
    let unable = unable();
    let mut total = Count::default();
    let mut broken = Vec::new();
    let mut step = |title: &str, count: Result<Count>| {
        let count = count.unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Count { failed: 1, ..Count::default() }
        });
        total = total.plus(count);
        if count.failed > 0 {
            broken.push(title.to_owned());
        }
    };
    if (wanted(Suite::Labs) || wanted(Suite::Kind)) && unable.is_none() {
        programs::start_behind(paths)?;
    }
    if wanted(Suite::Unit) {
        step("formatting", once(paths, "cargo fmt", &["fmt", "--all", "--check"]));
        step(
            "lints",
            once(
                paths,
                "cargo clippy",
                &["clippy", "--release", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"],
            ),
        );
        step("unit tests", cargo_test(paths, &["--workspace"], &[]));
    }
    if wanted(Suite::Kernels) {
        step("probes in other kernels", other_kernels(paths, options));
    }
    let suites: [(Suite, &str, &[&str]); 2] = [
        (Suite::Probes, "probes in this kernel", &["--test", "probes", "--test", "init"]),
        (Suite::Labs, "labs on real clusters", &["--test", "host"]),
    ];
    for (suite, title, targets) in suites {
        if !wanted(suite) {
            continue;
        }
        if let Some(why) = unable {
            println!("skipped: {title}: {why}");
            step(title, Ok(Count { skipped: 1, ..Count::default() }));
            continue;
        }
        step(title, privileged(paths, suite, targets));
    }
    if wanted(Suite::Kind) {
        step("labs on kind", on_kind(paths, options, unable));
    }
    if !broken.is_empty() {
        println!("failed: {}", broken.join(", "));
    }
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    Ok(if total.failed == 0 { exit::OK } else { exit::FAILED })
}

/// The labs on real kind, where its engine and its image of nodes can be made.
fn on_kind(paths: &Paths, options: &Options, unable: Option<&'static str>) -> Result<Count> {
    if let Some(why) = unable.map(str::to_owned).or_else(|| lacks_kind(paths, options.install)) {
        println!("skipped: labs on kind: {why}");
        return Ok(Count { skipped: 1, ..Count::default() });
    }
    kind::ensure(paths, true)?;
    privileged(paths, Suite::Kind, &["--test", "kind"])
}

/// Why the labs can't run on kind here.
fn lacks_kind(paths: &Paths, install: bool) -> Option<String> {
    let scripts = paths.checkout.join("../shared/kind-node");
    if !scripts.is_dir() {
        return Some(
            "there is no ../shared/kind-node beside the checkout to make an engine and an image of nodes".to_owned(),
        );
    }
    tools::ensure(&[Need::KindNode], install).err().map(|error| format!("{error:#} (--install brings them)"))
}

/// The tests that are `#[ignore]`d because they need root; none of them having run is a failure.
fn privileged(paths: &Paths, suite: Suite, targets: &[&str]) -> Result<Count> {
    if matches!(suite, Suite::Labs | Suite::Kind) {
        build::rust(paths, &build::ALL)?;
        programs::join(paths)?;
    }
    let count = cargo_test(paths, &[&["--workspace"], targets].concat(), &["--ignored", "--test-threads=1"])?;
    anyhow::ensure!(count.passed + count.failed > 0, "root and BPF are here, but no test of {targets:?} ran");
    Ok(count)
}

/// The probes in a virtual machine for each kernel that is pinned; one that can't be had is skipped.
fn other_kernels(paths: &Paths, options: &Options) -> Result<Count> {
    let (all, lacking) = kernels::ensure(paths, options.install)?;
    for kernel in &lacking {
        println!("skipped: kernel {}: {}", kernel.name, kernel.why);
    }
    let skipped = Count { skipped: lacking.len(), ..Count::default() };
    let machines = all - lacking.len();
    if machines == 0 {
        return Ok(skipped);
    }
    build::rust(paths, &["bee"])?;
    let mut arguments = vec!["--ignored".to_owned(), "--test-threads=2".to_owned()];
    arguments.extend(lacking.iter().flat_map(|kernel| ["--skip".to_owned(), format!("kernel {}:", kernel.name)]));
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let count = cargo_test(paths, &["--workspace", "--test", "kernels"], &arguments)?;
    anyhow::ensure!(
        count.passed + count.failed == machines,
        "{machines} kernels are here, but not every one was tried"
    );
    Ok(count.plus(skipped))
}

/// Why the privileged tests can't run here.
fn unable() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root (run `sudo -E cargo xtask test`)");
    }
    (!Path::new("/sys/kernel/btf/vmlinux").exists()).then_some("needs a kernel with BTF")
}

fn once(paths: &Paths, title: &str, arguments: &[&str]) -> Result<Count> {
    eprintln!("{title}");
    let status = Command::new("cargo").current_dir(&paths.checkout).args(arguments).status().context("start cargo")?;
    anyhow::ensure!(status.success(), "`cargo {}` failed ({status})", arguments.join(" "));
    Ok(Count { passed: 1, ..Count::default() })
}

/// `cargo test` in the one profile, its output passed through and counted.
fn cargo_test(paths: &Paths, targets: &[&str], arguments: &[&str]) -> Result<Count> {
    let started = Instant::now();
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&paths.checkout).args(["test", "--release", "--locked", "--no-fail-fast"]).args(targets);
    cargo.arg("--").args(arguments).envs(paths.environment()).env("INSTA_UPDATE", "no");
    cargo.env("PATH", kind::search_path(paths));
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("start cargo")?;
    let mut count = Count::default();
    for line in BufReader::new(child.stdout.take().context("read what the tests say")?).lines() {
        let line = line?;
        println!("{line}");
        count = count.plus(counted(&line).unwrap_or_default());
    }
    // The harness knows no test that ends otherwise than passed or failed.
    count.passed = count.passed.saturating_sub(count.skipped);
    let status = child.wait()?;
    eprintln!("{} s", started.elapsed().as_secs());
    // A test binary that did not build or was killed prints no count.
    anyhow::ensure!(status.success() || count.failed > 0, "`cargo test` failed ({status}) without a failed test");
    Ok(count)
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out; …`, and `skipped: …`, which a test says
/// that can't be done here. Ignored tests are not skipped ones: those that need root run in suites of their own.
fn counted(line: &str) -> Option<Count> {
    if line.starts_with("skipped: ") {
        return Some(Count { skipped: 1, ..Count::default() });
    }
    let result = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let before = result.split(word).next()?;
        before.rsplit([' ', ';']).find(|part| !part.is_empty())?.parse().ok()
    };
    Some(Count { passed: number(" passed")?, failed: number(" failed")?, skipped: 0 })
}

impl Count {
    fn plus(self, other: Self) -> Self {
        let Self { passed, failed, skipped } = other;
        Self { passed: self.passed + passed, failed: self.failed + failed, skipped: self.skipped + skipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_from_what_cargo_prints() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(counted(line), Some(Count { passed: 12, failed: 3, skipped: 0 }));
        assert_eq!(counted("test x ... ok"), None);
        assert_eq!(counted("skipped: x: no y here"), Some(Count { passed: 0, failed: 0, skipped: 1 }));
    }
}

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
use clikit::print;
use lab_cli::{Options, Paths, cli::Suite, exit};

use crate::{
    build,
    go_programs::{self, Set},
    go_tools, kernels,
    progress::Line,
    requirements::{self, Need},
};

/// What a run of tests counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Helm is for the upstream profile's trials, which do without the internet.
const NEEDS: [Need; 5] = [Need::Probes, Need::Web, Need::Go, Need::Network, Need::Helm];

const LINTS_OF_LAB_1: [&str; 13] = [
    "clippy",
    "--release",
    "--locked",
    "--workspace",
    "--no-default-features",
    "--bin",
    "bee",
    "--bin",
    "lab1",
    "--lib",
    "--",
    "-D",
    "warnings",
];

pub fn run(paths: &Paths, options: &Options, suites: &[Suite]) -> Result<u8> {
    requirements::ensure(paths, &NEEDS, options.install)?;
    if options.install {
        // Their tests are skipped without them.
        requirements::offer(paths, &[Need::Nix, Need::Registry]);
    }
    if options.install && suites.contains(&Suite::Distributions) {
        requirements::offer(paths, &[Need::Roots]);
    }
    let by_default = |suite| suites.is_empty() && !matches!(suite, Suite::Distributions | Suite::Faults);
    let wanted = |suite: Suite| by_default(suite) || suites.contains(&suite);
    let unable = unable();
    let mut total = Count::default();
    let mut broken = Vec::new();
    let mut step = |title: &str, count: Result<Count>| {
        let count = count.unwrap_or_else(|error| {
            format!("error: {error:#}").lines().for_each(print::note);
            Count { failed: 1, ..Count::default() }
        });
        total = total.plus(count);
        if count.failed > 0 {
            broken.push(title.to_owned());
        }
    };
    if [Suite::Labs, Suite::Kind, Suite::Faults, Suite::Previous].into_iter().any(wanted) && unable.is_none() {
        go_programs::start_behind(paths)?;
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
        // The lints look at the whole bee; this one is what lab 1 is done with.
        step("lints of the bee for lab 1", once(paths, "cargo clippy, lab 1", &LINTS_OF_LAB_1));
        step("unit tests", cargo_test(paths, &["--workspace"], &[]));
    }
    if wanted(Suite::Kernels) {
        step("probes in other kernels", other_kernels(paths, options));
    }
    for part in parts(paths, unable, options, suites).into_iter().filter(|part| wanted(part.suite)) {
        if let Some(why) = part.lacking {
            print::line(format!("skipped: {}: {why}", part.title))?;
            step(part.title, Ok(Count { skipped: 1, ..Count::default() }));
            continue;
        }
        step(part.title, needy(paths, &part));
    }
    if !broken.is_empty() {
        print::line(format!("failed: {}", broken.join(", ")))?;
    }
    print::line(format!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped))?;
    Ok(if total.failed == 0 { exit::OK } else { exit::FAILED })
}

/// Tests that need something of the machine.
struct Part {
    suite: Suite,
    title: &'static str,
    /// Their test targets, and which of their tests.
    targets: &'static [&'static str],
    filter: &'static [&'static str],
    /// Why they can't run here.
    lacking: Option<String>,
}

fn parts(paths: &Paths, unable: Option<&str>, options: &Options, named: &[Suite]) -> [Part; 14] {
    let (unable, no_registry) = (unable.map(str::to_owned), no_registry(paths));
    let part = |suite, title, targets, filter, lacking| Part { suite, title, targets, filter, lacking };
    let no_pulls = unable.clone().or_else(|| no_registry.clone());
    // Nobody who asks for other tests gets a container engine installed.
    let install =
        options.install && (named.is_empty() || named.iter().any(|suite| matches!(suite, Suite::Labs | Suite::Kind)));
    let no_kind = unable.clone().or_else(|| lacking(paths, &[Need::Kind, Need::KindNode], install));
    let no_docker = no_docker(no_kind.as_ref());
    let no_roots = unable.clone().or_else(|| lacking(paths, &[Need::Roots], false));
    // Checks are the same code wherever the cluster runs, and the labs' part breaks each.
    let of_kind: &[&str] = if named.contains(&Suite::Kind) { &[] } else { &["--skip=broken"] };
    let no_previous = unable.clone().or_else(|| no_previous(paths, named));
    [
        part(
            Suite::Unit,
            "images pushed to a registry",
            &["push", "registry", "digests", "interchange", "survival"],
            &["--skip=pulled_and_run", "--skip=full_disk"],
            no_registry,
        ),
        part(
            Suite::Probes,
            "probes pulled from a registry",
            &["registry", "interchange"],
            &["pulled_and_run"],
            no_pulls.clone(),
        ),
        part(
            Suite::Probes,
            "probes in this kernel",
            &[
                "probes",
                "init",
                "kernel",
                "histograms",
                "values",
                "random_layouts",
                "trace_pipe",
                "types",
                "stacks",
                "metrics_of_structs",
                "parameters",
                "endings",
                "refusals",
                "together",
                "bumblebee",
                "recording",
                "words",
                "fuzz",
                "ownership",
            ],
            &[],
            unable.clone(),
        ),
        part(Suite::Probes, "a store on a full disk", &["survival"], &["full_disk"], unable.clone()),
        part(Suite::Labs, "the labs' images", &["images"], &["--skip=docker"], unable.clone()),
        part(Suite::Labs, "the labs' images in Docker", &["images"], &["docker"], no_docker),
        part(Suite::Labs, "bee's metrics in Prometheus", &["scrape"], &[], unable.clone()),
        part(Suite::Distributions, "sudo and packages on bare machines", &["machines"], &[], no_roots.clone()),
        part(Suite::Distributions, "the two commands on bare distributions", &["distributions"], &[], no_roots),
        part(Suite::Labs, "labs on real clusters", &["host"], &["--skip=registry"], unable.clone()),
        part(Suite::Faults, "what goes wrong", &["faults"], &[], unable),
        part(Suite::Labs, "clusters that pull from a registry", &["host"], &["registry"], no_pulls),
        part(Suite::Kind, "labs on kind", &["kind"], of_kind, no_kind),
        part(Suite::Previous, "labs on the previous minor of Kubernetes", &["previous"], &[], no_previous),
    ]
}

/// The tests of a part, which are `#[ignore]`d elsewhere; none of them having run is a failure.
fn needy(paths: &Paths, part: &Part) -> Result<Count> {
    let Part { suite, title, targets, filter, .. } = part;
    if matches!(suite, Suite::Labs | Suite::Kind | Suite::Faults | Suite::Previous) {
        build::rust(paths, &build::ALL)?;
        go_programs::join(paths)?;
    }
    let paths = if *suite == Suite::Previous { &previous(paths)? } else { paths };
    if *suite == Suite::Previous {
        go_programs::join(paths)?;
    }
    let arguments = [&["--ignored", "--test-threads=1"], *filter].concat();
    let targets = targets.iter().flat_map(|target| ["--test", target]);
    let count = cargo_test(paths, &["--workspace"].into_iter().chain(targets).collect::<Vec<_>>(), &arguments)?;
    anyhow::ensure!(count.passed + count.failed > 0, "what {title} need is here, but no test of theirs ran");
    Ok(count)
}

/// The probes in a virtual machine for each kernel that is pinned; one that can't be had is skipped.
fn other_kernels(paths: &Paths, options: &Options) -> Result<Count> {
    let (all, lacking) = kernels::ensure(paths, options.install)?;
    for kernel in &lacking {
        print::line(format!("skipped: kernel {}: {}", kernel.name, kernel.why))?;
    }
    let skipped = Count { skipped: lacking.len(), ..Count::default() };
    let machines = all - lacking.len();
    if machines == 0 {
        return Ok(skipped);
    }
    build::rust(paths, &["bee"])?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut arguments = vec!["--ignored".to_owned(), format!("--test-threads={cores}")];
    arguments.extend(lacking.iter().flat_map(|kernel| ["--skip".to_owned(), format!("kernel {}:", kernel.name)]));
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let count = cargo_test(paths, &["--workspace", "--test", "kernels"], &arguments)?;
    anyhow::ensure!(
        count.passed + count.failed == machines,
        "{machines} kernels are here, but not every one was tried"
    );
    Ok(count.plus(skipped))
}

/// The folders of a cluster of the previous minor. Its images lie in a cache of their own: those of today would be written anew
/// each time.
fn previous(paths: &Paths) -> Result<Paths> {
    let programs = paths.programs.with_file_name(go_programs::folder(&paths.checkout, Set::Previous)?);
    Ok(Paths { programs, cache: paths.cache.join("previous"), ..paths.clone() })
}

/// Why the previous minor is not tried: to build another Kubernetes takes minutes, which nobody waits for unasked.
fn no_previous(paths: &Paths, named: &[Suite]) -> Option<String> {
    let built = previous(paths).is_ok_and(|paths| paths.programs.is_dir());
    let asked = built || named.contains(&Suite::Previous);
    (!asked).then(|| "it is not built yet (`cargo xtask test previous` builds it)".to_owned())
}

/// Why no registry can be started here.
fn no_registry(paths: &Paths) -> Option<String> {
    let missing = requirements::ensure(paths, &[Need::Registry], false).err()?;
    let fix = missing.downcast::<requirements::Missing>().map(|missing| missing.fix).unwrap_or_default();
    Some(format!("needs docker-registry and htpasswd ({fix})"))
}

/// Which of the tools that these need can't be had.
fn lacking(paths: &Paths, needs: &[Need], install: bool) -> Option<String> {
    let missing = requirements::ensure(paths, needs, install).err()?;
    Some(format!("{missing:#} (--install brings them)").replace('\n', ""))
}

/// Why no Docker engine can be asked, where the tests can't start one either.
fn no_docker(no_kind: Option<&String>) -> Option<String> {
    no_kind?;
    let answer = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
    let answers = answer.is_ok_and(|output| output.status.success());
    (!answers).then(|| "needs a Docker engine that answers (`docker version`; DOCKER_HOST names it)".to_owned())
}

/// Why the privileged tests can't run here.
fn unable() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root (run `sudo -E cargo xtask test`)");
    }
    (!Path::new("/sys/kernel/btf/vmlinux").exists()).then_some("needs a kernel with BTF")
}

fn once(paths: &Paths, title: &str, arguments: &[&str]) -> Result<Count> {
    print::note(title);
    let _line = Line::beside(title);
    let status =
        Command::new("cargo").current_dir(&paths.checkout).args(arguments).status().context("failed to start cargo")?;
    anyhow::ensure!(status.success(), "`cargo {}` failed ({status})", arguments.join(" "));
    Ok(Count { passed: 1, ..Count::default() })
}

/// `cargo test` in the one profile, its output passed through and counted.
fn cargo_test(paths: &Paths, targets: &[&str], arguments: &[&str]) -> Result<Count> {
    let started = Instant::now();
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&paths.checkout).args(["test", "--release", "--locked", "--no-fail-fast"]).args(targets);
    cargo.arg("--").args(arguments).envs(paths.environment()).env("PATH", go_tools::path(paths)?);
    // Whoever called sudo for the tests is not behind each program that they start as root.
    cargo.env("INSTA_UPDATE", "no").env_remove("SUDO_UID").env_remove("SUDO_GID");
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("failed to start cargo")?;
    let (mut count, beside) = (Count::default(), Line::beside("cargo test"));
    for line in BufReader::new(child.stdout.take().context("failed to read what the tests say")?).lines() {
        let line = line?;
        print::own(&format!("{line}\n"))?;
        beside.rest();
        count = count.plus(counted(&line).unwrap_or_default());
    }
    // The harness knows no test that ends otherwise than passed or failed.
    count.passed = count.passed.saturating_sub(count.skipped);
    let status = child.wait()?;
    print::note(format!("{} s", started.elapsed().as_secs()));
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

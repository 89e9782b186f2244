//! A workshop on a cluster of the tests' own, driven as a user would.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use lab_cli::{Paths, range::Range};
use serde_json::Value;

use crate::{kind::KindNode, machine, until};

/// One of the tests' clusters; `EBPF_LAB_KEEP=1` leaves them for a look.
#[derive(Clone)]
pub struct TestCluster {
    pub number: u8,
    /// What a user would type to mean it.
    flags: Vec<String>,
    environment: Vec<(String, OsString)>,
    /// The first address that a LoadBalancer Service gets.
    pub first_address: String,
    /// This machine's own address, as the cluster's nodes see it.
    pub machine: String,
    /// What the cluster and its labs may take.
    pub most_memory: u64,
    paths: Paths,
}

/// What one run of `lab` printed and how long it took.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl TestCluster {
    /// The host cluster of this number, as it is.
    pub fn of(number: u8) -> Self {
        let base = machine::base(number);
        Self {
            number,
            flags: flags("host", number),
            environment: vec![],
            first_address: host_of(base.load_balancers(number), 1),
            machine: host_of(base.nodes(number), 254),
            most_memory: 2_000_000_000,
            paths: paths(),
        }
    }

    /// The kind cluster of this number on an engine of the tests' own, with images that are built here.
    pub fn on_kind(number: u8, node: &KindNode) -> Self {
        let more = ["--profile", "offline", "--node-image", node.image()].map(str::to_owned);
        let network = node.network().unwrap_or_default();
        Self {
            flags: [flags("kind", number), more.to_vec()].concat(),
            environment: node.environment(),
            first_address: format!("{network}.{number}.1"),
            machine: format!("{network}.0.1"),
            // Each node of kind has a systemd, and its kubelets are not fed by one shared cache of images.
            most_memory: 2_600_000_000,
            ..Self::of(number)
        }
    }

    /// The same cluster as an ordinary kubeconfig would show it to a stranger: `--on context:NAME`.
    pub fn on_context(number: u8, context: &str) -> Self {
        Self { flags: flags(&format!("context:{context}"), number), ..Self::of(number) }
    }

    /// The same, with another value for a flag.
    pub fn but(&self, flag: &str, value: &str) -> Self {
        let mut flags = self.flags.clone();
        match flags.iter().position(|known| known == flag) {
            Some(at) => flags[at + 1] = value.to_owned(),
            None => flags.extend([flag, value].map(str::to_owned)),
        }
        Self { flags, ..self.clone() }
    }

    /// The same cluster, for a user whose state lies elsewhere.
    pub fn with_state(mut self, folder: &Path) -> Self {
        self.paths.state = folder.to_owned();
        self
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// `lab ARGS…` on this cluster, to its end.
    pub fn lab(&self, args: &[&str]) -> Run {
        Run::of(&mut self.command(args))
    }

    /// `lab ARGS…` on this cluster, for tests that start, signal or kill it themselves.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.paths.bin.join("lab"));
        command.args(&self.flags).args(args);
        command.envs(self.paths.environment()).env("NO_COLOR", "1").envs(self.environment.iter().cloned());
        command
    }

    /// The built-in kubectl on this cluster; panics with its stderr if it fails.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let run = self.try_kubectl(args);
        assert_eq!(run.code, 0, "kubectl {args:?}: {}", run.stderr);
        run.stdout
    }

    pub fn try_kubectl(&self, args: &[&str]) -> Run {
        self.lab(&[&["kubectl"], args].concat())
    }

    /// `kubectl wait` or `rollout status`, for a minute of a quick machine.
    #[track_caller]
    pub fn kubectl_waits(&self, args: &[&str]) {
        let wait = || self.try_kubectl(&[args, &["--timeout=5s"]].concat());
        if !until(Duration::from_secs(60), || wait().code == 0) {
            panic!("kubectl {args:?}: {}{}", wait().stderr, self.kubectl(&["describe", "pods", "-A"]));
        }
    }

    /// `kubectl apply -f -` of these objects.
    pub fn apply(&self, objects: &str) {
        let run = self.try_apply(objects, &[]);
        assert_eq!(run.code, 0, "kubectl apply of\n{objects}: {}", run.stderr);
    }

    pub fn try_apply(&self, objects: &str, more: &[&str]) -> Run {
        use std::io::Write;
        let started = Instant::now();
        let mut command = self.command(&[&["kubectl", "apply", "-f", "-"], more].concat());
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("start lab kubectl");
        child.stdin.take().unwrap().write_all(objects.as_bytes()).unwrap();
        Run::new(child.wait_with_output().unwrap(), started.elapsed())
    }

    /// An instant query: the samples by their labels, each `name=value,…` sorted by name.
    pub fn query(&self, promql: &str) -> BTreeMap<String, f64> {
        let run = self.lab(&["query", promql, "--json"]);
        assert_eq!(run.code, 0, "query {promql}: {}", run.stderr);
        let answer: Value = serde_json::from_str(&run.stdout).expect("query prints JSON");
        let samples = answer["result"].as_array().expect("a result").iter();
        samples.map(|sample| (labels(&sample["labels"]), sample["value"].as_f64().expect("a number"))).collect()
    }

    /// How many bytes the cluster and its labs take, as `status` has it.
    pub fn memory(&self) -> u64 {
        let status: Value = serde_json::from_str(&self.lab(&["status", "--json"]).succeeds().stdout).unwrap();
        let users = status["memory"].as_array().expect("a memory table").iter();
        users.map(|user| user["bytes"].as_u64().expect("bytes")).sum()
    }

    /// `check N` must pass within `wait`.
    #[track_caller]
    pub fn passes(&self, labs: &str, wait: &str) -> Run {
        self.lab(&["check", labs, "--wait", wait]).succeeds()
    }

    /// `check N` must not pass, and what it prints must hold every one of `words`.
    #[track_caller]
    pub fn does_not_pass(&self, lab: &str, words: &[&str]) {
        let run = self.lab(&["check", lab, "--wait", "3s"]);
        assert_eq!(run.code, 3, "check {lab} passed, or failed for another reason:\n{}\n{}", run.stdout, run.stderr);
        for word in words {
            assert!(run.stderr.contains(word), "check {lab} does not say {word:?}:\n{}", run.stderr);
        }
    }
}

fn flags(on: &str, number: u8) -> Vec<String> {
    ["--on", on, "--number", &number.to_string()].map(str::to_owned).to_vec()
}

/// The address of this number in a range of 256.
fn host_of(range: Range, number: u32) -> String {
    Ipv4Addr::from_bits(range.base.to_bits() | number).to_string()
}

fn paths() -> Paths {
    Paths::from_environment().expect("run the end-to-end tests with `cargo xtask test`")
}

impl Run {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let started = Instant::now();
        let output = command.output().expect("start lab");
        Self::new(output, started.elapsed())
    }

    pub fn new(output: Output, took: Duration) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took,
        }
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "exit code {}\n{}\n{}", self.code, self.stdout, self.stderr);
        self
    }

    /// The objects that `--json` printed, one a line.
    pub fn records(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
            .collect()
    }
}

fn labels(metric: &Value) -> String {
    let labels: BTreeMap<_, _> = metric.as_object().expect("labels").iter().collect();
    let pair = |(name, value): (&String, &Value)| format!("{name}={}", value.as_str().unwrap_or_default());
    labels.into_iter().map(pair).collect::<Vec<_>>().join(",")
}

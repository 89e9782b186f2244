//! The command line of `cargo xtask`; its doc comments are the help texts.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

pub use crate::suites::{Bench, Suite};

use crate::Registry;

/// An eBPF and Kubernetes workshop: runs and checks its six labs.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 110, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  cargo xtask lab all --install   install and build what is missing, run the six labs
  cargo xtask lab 3               run lab 3
  cargo xtask check 3             is lab 3 done, and if not, why

Exit codes: 0 done · 1 failed · 2 usage · 3 a check did not pass · 4 this machine lacks something · 5 another lab is running")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run a lab, a range of labs (`2-4`) or `all`, each followed by its check.
    Lab {
        #[arg(value_name = "N|A-B|all")]
        labs: LabRange,
        /// Tear the cluster down at the end.
        #[arg(long)]
        rm: bool,
    },
    /// Say whether labs are done; for each that is not: which object, why, and what to do.
    Check {
        #[arg(value_name = "N|A-B|all")]
        labs: LabRange,
        /// How long to wait for a condition before calling it failed, longer on a slow machine; 0 asks once.
        #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
        wait: Duration,
    },
    /// Show the cluster, its nodes, memory and addresses, and which labs are done. Never waits.
    Status,
    /// Remove the cluster and all it made on this machine; the cache and `work/` stay.
    Clean,
    /// Remove what a lab made, so that it can be done again.
    Reset {
        #[arg(value_name = "N", value_parser = clap::value_parser!(u8).range(1..=6))]
        lab: u8,
    },
    /// Say whether this machine can run the workshop, and how to fix what it lacks. Compiles nothing.
    Doctor,
    /// List what is pinned, what it is for, and until when its makers look after it.
    Versions,
    /// Say whether a version that is locked here has a published hole.
    Advisories {
        /// Write manifests/advisories.txt anew from these databases in OSV's form.
        #[arg(long = "osv", value_name = "FOLDER")]
        databases: Vec<PathBuf>,
    },
    /// Make the vmlinux.h that bee gives to probes anew, from the newest of Debian's kernels.
    Vmlinux,
    /// Run the project's tests: unit tests, command lines, the labs end to end.
    Test {
        /// Only these suites (default: all that this machine can run).
        #[arg(value_enum)]
        suites: Vec<Suite>,
        /// The suite `kernels`.
        #[arg(long)]
        kernels: bool,
    },
    /// Measure how fast the project's parts are, against what is asked of them; needs root.
    Bench {
        #[arg(value_enum)]
        what: Bench,
    },
    /// List the images that the labs use, building what is missing.
    Images {
        #[command(subcommand)]
        action: Option<ImagesAction>,
    },
    /// Print the path of the cluster's kubeconfig file.
    Kubeconfig,
    /// The built-in kubectl on the lab's cluster.
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// A shell with bee and kubectl on PATH and KUBECONFIG set.
    Shell,
    /// Lab 5's requests again: 20 through productpage.
    Traffic,
    /// Ask the cluster's Prometheus, answer as a table.
    Query {
        #[arg(value_name = "PROMQL")]
        promql: String,
    },
    /// Print the address of the graph app.
    Open {
        /// Forward the app to this address, for a browser elsewhere.
        #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:8080")]
        listen: Option<std::net::SocketAddr>,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum ImagesAction {
    /// Load the images into the cluster's nodes.
    Load,
    /// Save the images as archives, for `docker load`, `ctr images import` or `kind load image-archive` elsewhere.
    Save {
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Push the images to a registry, for clusters whose nodes pull from it (see `--registry`).
    ///
    /// Who may push there is what `docker login` wrote down. What the registry has already is not sent again.
    Push(PushOptions),
}

#[derive(Debug, Clone, Default, Args)]
pub struct PushOptions {
    /// Where to; without it, what `--registry` or `lab.toml` says.
    #[arg(value_name = "HOST[:PORT][/PATH]")]
    pub to: Option<Registry>,
    /// Speak plain HTTP. On this machine's own addresses it is used if the registry speaks nothing else.
    #[arg(long)]
    pub plain_http: bool,
    /// Trust this certificate authority (PEM) for the registry, beside those of this machine.
    #[arg(long, value_name = "FILE", conflicts_with = "plain_http")]
    pub registry_ca: Option<PathBuf>,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options for every command")]
pub struct Options {
    /// Where Kubernetes runs: `host` (straight on this Linux machine), `kind`, or `context:NAME` of your kubeconfig.
    ///
    /// Without it: what `lab.toml` in the checkout says, else kind where Docker and kind are found and fit, else host.
    #[arg(long, global = true, value_name = "CLUSTER")]
    pub on: Option<ClusterChoice>,
    /// Which of several clusters side by side, 1 to 99: decides names and addresses. `auto` is the first that nobody uses.
    #[arg(long, global = true, value_name = "N|auto", default_value = "1")]
    pub number: Number,
    /// What the labs install.
    ///
    /// Without it: what `lab.toml` says, else offline on host and upstream on kind and on a context.
    #[arg(long, global = true, value_enum)]
    pub profile: Option<Profile>,
    /// Install the tools that are missing: packages by apt, dnf or pacman, Go by ourselves.
    #[arg(long, global = true)]
    pub install: bool,
    /// Print each step and its equivalent shell command; run nothing.
    #[arg(long, global = true)]
    pub explain: bool,
    /// One JSON object per step and check on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Also write the results as JUnit XML.
    #[arg(long, global = true, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// The longest that one step may take; longer on a slow machine.
    #[arg(long, global = true, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
    /// Show the programs that run and what they print, on stderr.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Where the nodes pull our own images from, as `images push` put them there; without it they are loaded into the nodes.
    #[arg(long, global = true, value_name = "HOST[:PORT][/PATH]")]
    pub registry: Option<Registry>,
    /// A chart of kube-prometheus-stack as a folder or .tgz, in place of the one that helm would fetch.
    #[arg(long, global = true, value_name = "PATH")]
    pub chart: Option<PathBuf>,
    #[command(flatten)]
    pub kind: KindOptions,
}

/// Flags that only `--on kind` has a use for.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options for --on kind")]
pub struct KindOptions {
    /// How many workers beside the control plane [default: 2].
    #[arg(long, global = true, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=9))]
    pub workers: Option<u8>,
    /// The cluster's name [default: ebpf, and ebpf-N for other numbers than 1].
    #[arg(long, global = true)]
    pub name: Option<String>,
    /// The image of the nodes, in place of the pinned one.
    #[arg(long, global = true, value_name = "IMAGE")]
    pub node_image: Option<String>,
    /// A registry that mirrors docker.io, for a room behind one address: the hub limits pulls.
    #[arg(long, global = true, value_name = "URL")]
    pub mirror: Option<String>,
}

impl Options {
    /// Where Kubernetes runs; `xtask` has put the default in, so that only a `lab` started by hand finds none.
    pub fn cluster(&self) -> ClusterChoice {
        self.on.clone().unwrap_or(ClusterChoice::Host)
    }

    /// What the labs install.
    pub fn profile(&self) -> Profile {
        self.profile.unwrap_or(match self.cluster() {
            ClusterChoice::Host => Profile::Offline,
            ClusterChoice::Kind | ClusterChoice::Context(_) => Profile::Upstream,
        })
    }
}

/// A cluster's number, or the wish for one that nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    Auto,
    /// 1 to 99.
    Of(u8),
}

impl FromStr for Number {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "auto" => Ok(Self::Auto),
            Ok(number @ 1..=99) => Ok(Self::Of(number)),
            _ => Err("expected a number from 1 to 99, or auto".to_owned()),
        }
    }
}

/// Which cluster the labs run on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ClusterChoice {
    /// Kubernetes' own programs started straight on this machine.
    Host,
    /// KinD, in Docker or Podman.
    Kind,
    /// A context of the user's kubeconfig: a cluster that is not ours.
    Context(String),
}

impl FromStr for ClusterChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "host" => Ok(Self::Host),
            None if text == "kind" => Ok(Self::Kind),
            Some(("context", name)) if !name.is_empty() => Ok(Self::Context(name.to_owned())),
            _ => Err("expected host, kind or context:NAME".to_owned()),
        }
    }
}

impl TryFrom<String> for ClusterChoice {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for ClusterChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Kind => f.write_str("kind"),
            Self::Context(name) => write!(f, "context:{name}"),
        }
    }
}

/// What the labs install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Images that are built here; needs no image registry.
    Offline,
    /// The upstream projects' charts and images; needs the internet.
    Upstream,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offline => "offline",
            Self::Upstream => "upstream",
        })
    }
}

/// A lab, a range of labs, or all of them; never empty, always within 1..=6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabRange {
    pub first: u8,
    pub last: u8,
}

impl LabRange {
    pub fn iter(self) -> impl Iterator<Item = u8> {
        self.first..=self.last
    }

    pub fn contains(self, lab: u8) -> bool {
        (self.first..=self.last).contains(&lab)
    }
}

impl FromStr for LabRange {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = match text {
            "all" => ("1", "6"),
            _ => text.split_once('-').unwrap_or((text, text)),
        };
        let number = |text: &str| text.parse::<u8>().ok().filter(|lab| (1..=6).contains(lab));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err("the labs are 1 to 6: expected a number, a range such as 2-4, or all".to_owned()),
        }
    }
}

/// Reads `90`, `90s`, `2m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("expected a time such as 90s, 2m or 1h".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a time such as 90s, 2m or 1h".to_owned())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_labs_reads_numbers_ranges_and_all() {
        assert_eq!("all".parse(), Ok(LabRange { first: 1, last: 6 }));
        assert_eq!("2-4".parse(), Ok(LabRange { first: 2, last: 4 }));
        assert_eq!("5".parse(), Ok(LabRange { first: 5, last: 5 }));
        for wrong in ["0", "7", "4-2", "", "x", "1-", "-2"] {
            assert!(wrong.parse::<LabRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_is_1_to_99_or_auto() {
        assert_eq!("auto".parse(), Ok(Number::Auto));
        assert_eq!("99".parse(), Ok(Number::Of(99)));
        for wrong in ["0", "100", "one", ""] {
            assert!(wrong.parse::<Number>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_profile_follows_the_cluster_unless_it_is_named() {
        let options = |line: &[&str]| Cli::parse_from([&["xtask", "status"], line].concat()).options;
        assert_eq!(options(&[]).profile(), Profile::Offline);
        assert_eq!(options(&["--on", "kind"]).profile(), Profile::Upstream);
        assert_eq!(options(&["--on", "context:room", "--profile", "offline"]).profile(), Profile::Offline);
    }

    #[test]
    fn times_take_units() {
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert!(duration("2 parsecs").is_err());
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}

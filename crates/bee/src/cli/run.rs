//! What `bee run` and `bee replay` are told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use bee::decode::filter::Filter;
use bee::export::map::MOST_SERIES;
use bee::object::map_sizes::MapSize;
use bee::object::params::Parameter;
use bee::output::Format;
use bee::run::{BucketsOf, Speed, ValueOf};
use clap::Args;
use jiff::SignedDuration;

use super::PullPolicy;

/// Load probes into the kernel, show what their maps hold and serve it to Prometheus, until Ctrl-C
///
/// Several probes run together: each is attached by itself, or none stays; they share the metrics, the table and the output. What an
/// option asks for (a parameter, a variant, a filter) is for those that have it.
///
/// Needs root, or CAP_BPF and CAP_PERFMON; without them it runs itself again through sudo.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bee run my_probe:v1\n  curl localhost:9091/metrics    # in a second terminal\n  bee run my_probe:v1 --output columns --filter 'dport==443' --timeout 1m | less\n  bee run connections:v1 files:v1\n  bee run my_probe:v1 --pin-maps /sys/fs/bpf/mine"
)]
pub struct Run {
    /// Compiled probes: each a file, or else a name in the store, or else in the registry that the name begins with
    #[arg(value_name = "FILE|REF", required = true)]
    pub probes: Vec<PathBuf>,

    /// Only this variant of a probe that is written for several hooks; the default is the first that the kernel takes
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,

    /// Set one of the probe's parameters, which are its global variables, best `const volatile` (`bee inspect` lists them), or a part of
    /// one: limit=5, took=5ms, state=TCP_CLOSE, ports=80,443, opts.deep=true, list[2]=7. May be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub param: Vec<Parameter>,

    /// How many entries one of the probe's maps has, or bytes a ring buffer, where user space is to say it; may be repeated
    #[arg(long, value_name = "NAME=N")]
    pub map_size: Vec<MapSize>,

    /// Show only events and elements like this: FIELD==VALUE, !=, >=, <=, >, < or FIELD~REGEX, before it MAP: for one map only;
    /// or BumbleBee's MAP,FIELD,REGEX. May be repeated, all must hold. Metrics stay whole
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<Filter>,

    /// The upper bounds of histograms' buckets, as in 10,100,1000, or log2:COUNT, or linear:START:WIDTH:COUNT; or of one map's, as in
    /// MAP,[10,100,1000]. May be repeated [default: the probe's own, else log2:36]
    #[arg(short = 'b', long, value_name = "BOUNDS", allow_hyphen_values = true)]
    pub hist_buckets: Vec<BucketsOf>,

    /// The field of events that is the value of histograms, or MAP,FIELD for one map; may be repeated [default: value, else le]
    #[arg(short = 'k', long, value_name = "FIELD")]
    pub hist_value_key: Vec<ValueOf>,

    /// Show each CPU's values of this per-CPU map, with the label cpu, and not their sum; may be repeated
    #[arg(long, value_name = "MAP")]
    pub per_cpu: Vec<String>,

    /// The most series that one map may become; what is more is added up in one, whose labels say overflow
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=MOST_SERIES as i64))]
    pub max_series: u32,

    /// Stop after this long, as in 30s or 5m
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<SignedDuration>,

    /// Have the kernel time the probe's programs (some 50 ns a run): bee_program_run_seconds_total. Needs root
    #[arg(long)]
    pub run_time: bool,

    /// Show what the programs say with bpf_printk: {"trace":"…","program":"…","comm":"…","pid":…}. Needs root and tracefs
    #[arg(long)]
    pub trace_pipe: bool,

    /// What is written to standard output; the default is a table on a terminal, and JSON elsewhere
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,

    /// BumbleBee's spelling of --output json
    #[arg(long, conflicts_with = "output")]
    pub no_tty: bool,

    /// Pin the maps in this bpffs directory during the run, for other tools
    #[arg(long, value_name = "FOLDER")]
    pub pin_maps: Option<PathBuf>,

    /// The same for the programs
    #[arg(long, value_name = "FOLDER")]
    pub pin_progs: Option<PathBuf>,

    /// Write what libbpf says while it loads the probes, the verifier's own words among it, to debug.log in the current folder
    #[arg(short, long)]
    pub debug: bool,

    /// Record the run in this file, for `bee replay`: needs no root there
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    #[command(flatten)]
    pub serve: Serve,

    /// When to ask the registry that the name begins with
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub pull: PullPolicy,
}

/// Show a recording that `bee run --record` made, as if it ran now: the table, the logs, the metrics
///
/// Needs neither root nor BPF. Its last state stays until Ctrl-C. Places in the kernel's code stay numbers: only its own kernel knows
/// their names.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sudo bee run my_probe:v1 --record monday.bee\n  bee replay monday.bee --speed 10\n  bee replay monday.bee --speed max --output json --timeout 0s | jq"
)]
pub struct Replay {
    /// The recording; one that is cut off is shown up to there
    #[arg(value_name = "FILE")]
    pub recording: PathBuf,

    /// How fast time passes, as in 10 or 0.5; max is as fast as possible
    #[arg(long, value_name = "NUMBER|max", default_value = "1")]
    pub speed: Speed,

    /// Show only events and elements like this, as for run; may be repeated
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<Filter>,

    /// Stop this long after the recording ends
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<SignedDuration>,

    /// What is written to standard output; the default is a table on a terminal, and JSON elsewhere
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,

    #[command(flatten)]
    pub serve: Serve,
}

/// Where the metrics are.
#[derive(Debug, Args)]
pub struct Serve {
    /// The address that /metrics is served on; 0.0.0.0 and :: are all of this machine's [default: 127.0.0.1, or in a pod ::]
    #[arg(long, value_name = "ADDRESS", overrides_with = "listen")]
    pub listen: Option<IpAddr>,

    /// The port that /metrics is served on
    #[arg(long, value_name = "PORT", default_value_t = 9091)]
    pub prom_port: u16,
}

impl Serve {
    /// By hand it is for this machine alone; a pod's own loopback address nobody else reaches.
    pub fn address(&self) -> SocketAddr {
        let is_in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let usual = if is_in_pod { IpAddr::from(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::LOCALHOST.into() };
        SocketAddr::new(self.listen.unwrap_or(usual), self.prom_port)
    }
}

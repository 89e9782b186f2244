//! The commands that speak to registries.

use std::path::PathBuf;

use bee::store::Reference;
use clap::{Args, ValueEnum};

/// Remember the name and password for a registry, once it has taken them
///
/// What no option says is asked for on the terminal. They are written to config.json in bee's own folder, not encrypted but readable
/// by nobody else, in docker's form; what docker knows, with its credential helpers, bee knows as well.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bee login ghcr.io --username teacher --password-stdin < token.txt")]
pub struct Login {
    /// The registry
    #[arg(value_name = "HOST[:PORT]")]
    pub host: String,

    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,

    /// BumbleBee's, without use here
    #[arg(short, long, hide = true)]
    pub debug: bool,
}

/// Send a probe to the registry that its name begins with
///
/// Prints the digest of what the registry has then. Only what it lacks is sent.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bee build probe.c ghcr.io/teacher/my_probe:v1\n  bee push ghcr.io/teacher/my_probe:v1"
)]
pub struct Push {
    /// The probe, as in ghcr.io/teacher/my_probe:v1
    #[arg(value_name = "REF")]
    pub reference: Reference,
}

/// Fetch a probe from the registry that its name begins with into the store
///
/// Prints its digest. Nothing is stored that is no probe or not what its digest names.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bee pull ghcr.io/teacher/my_probe:v1\n  bee run ghcr.io/teacher/my_probe:v1")]
pub struct Pull {
    /// The probe, as in ghcr.io/teacher/my_probe:v1
    #[arg(value_name = "REF")]
    pub reference: Reference,

    /// All processors that it is there for, as push and export need it; by default only this machine's is fetched
    #[arg(long)]
    pub all_platforms: bool,
}

/// Make a container image that runs a probe: bee, its libraries and the probe, nothing else
///
/// Needs no Docker and no base image. The container needs root and the capabilities BPF and PERFMON, no more; what is given to it as
/// arguments, `bee run` gets.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bee package my_probe:v1 ghcr.io/teacher/my_probe-runner:v1
  bee package my_probe:v1 my_probe-runner:v1 --output image.tar
  docker load --input image.tar
  docker run --cap-drop ALL --cap-add BPF --cap-add PERFMON --publish 9091:9091 my_probe-runner:v1")]
pub struct Package {
    /// The probe in the store
    #[arg(value_name = "REF")]
    pub reference: Reference,

    /// The image's name; without --output it is pushed to the registry that it begins with
    #[arg(value_name = "IMAGE", value_parser = Reference::parse_new)]
    pub image: Reference,

    /// Write the image here, as `docker load`, `ctr images import` and `kind load image-archive` take it
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// BumbleBee's container engine and base image
    #[arg(short, long, hide = true)]
    pub builder: Option<String>,
    #[arg(long, hide = true)]
    pub bee_image: Option<String>,
}

/// When `run` asks the registry that a name begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PullPolicy {
    /// For what the store lacks
    #[default]
    Missing,
    /// Each time, for what the name stands for now
    Always,
    /// Not at all
    Never,
}

//! The commands on the store of probes.

use std::path::PathBuf;

use bee::store::Reference;
use clap::Args;
use clap_complete::Shell;

/// Give a probe in the store a second name
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bee tag my_probe:v1 ghcr.io/teacher/my_probe:v1")]
pub struct Tag {
    /// The name that it has
    #[arg(value_name = "REF")]
    pub from: Reference,

    /// The name that it gets; one that named another probe names this one from now on
    #[arg(value_name = "NEW", value_parser = Reference::parse_new)]
    pub to: Reference,
}

/// Remove probes from the store, with all that no other name needs
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bee rm my_probe:v1 my_probe:v2")]
pub struct Remove {
    #[arg(value_name = "REF", required = true)]
    pub references: Vec<Reference>,
}

/// Say what a probe in the store is, in its author's words
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bee describe my_probe:v1")]
pub struct Describe {
    #[arg(value_name = "REF")]
    pub reference: Reference,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Show what is in a probe: programs and hooks, maps and their memory, metrics and their labels
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bee inspect my_probe:v1\n  bee inspect probe.o --mermaid")]
pub struct Inspect {
    /// A compiled probe: a file, or else a name in the store
    #[arg(value_name = "FILE|REF")]
    pub probe: PathBuf,

    /// One JSON object instead of text
    #[arg(long, conflicts_with = "mermaid")]
    pub json: bool,

    /// A mermaid flowchart of programs and the maps that they use
    #[arg(long)]
    pub mermaid: bool,
}

/// Write probes of the store into one file, for a room without a registry
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bee export --output probes.tar my_probe:v1 tcpconnect:v1\n  bee import probes.tar    # elsewhere"
)]
pub struct Export {
    #[arg(value_name = "REF", required = true)]
    pub references: Vec<Reference>,

    /// The file, a tar archive of an OCI image layout
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Put the probes of a file that `export` wrote into the store
///
/// Nothing of it is stored that is no probe or not what its digest names.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bee import probes.tar")]
pub struct Import {
    pub file: PathBuf,
}

/// Print a script that completes bee's command line in a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bee completion bash > /etc/bash_completion.d/bee")]
pub struct Completion {
    #[arg(value_enum)]
    pub shell: Shell,
}

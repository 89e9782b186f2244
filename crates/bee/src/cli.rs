//! The command line. Its doc comments are the help.

mod global;
mod registry;
mod run;
mod store;

use std::path::PathBuf;

use anyhow::Result;
use bee::compile::Vmlinux;
use bee::decode::architecture::Architecture;
use bee::init::{Language, Map, Output, ProgramType};
use bee::store::Reference;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clikit::print;

pub use global::{Global, Registry};
pub use registry::{Login, Package, Pull, PullPolicy, Push};
pub use run::{Replay, Run};
pub use store::{Completion, Describe, Export, Import, Inspect, Remove, Tag};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed for a reason that no other code names
  2  the command line was not understood
  3  the probe is at fault: not compiled, no BPF, a bad map, or refused by the verifier
  4  this machine lacks something: clang, the right to load, a hook, file, kfunc or option

First steps:
  bee init
  bee build probe.c my_probe:v1
  bee run my_probe:v1";

/// Builds, stores and runs eBPF probes; their maps become logs and Prometheus metrics
#[derive(Debug, Parser)]
#[command(name = "bee", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What the program was called with; nothing if it was for help, which is printed. Ends it with what was not understood.
    pub fn read() -> Result<Option<Self>> {
        let matches = global::hide_where_idle(Self::command()).try_get_matches();
        match matches.and_then(|matches| Self::from_arg_matches(&matches)) {
            Ok(cli) => Ok(Some(cli)),
            Err(not_understood) if not_understood.use_stderr() => not_understood.exit(),
            Err(help) => {
                print::written(help.print())?;
                Ok(None)
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Init(Init),
    Build(Build),
    Lint(Lint),
    List(List),
    Tag(Tag),
    #[command(name = "rm")]
    Remove(Remove),
    Describe(Describe),
    Inspect(Inspect),
    Export(Export),
    Import(Import),
    Login(Login),
    Push(Push),
    Pull(Pull),
    Package(Package),
    Run(Run),
    Replay(Replay),
    Doctor(Doctor),
    Completion(Completion),
    /// Print bee's version
    Version,
}

/// Write the first version of a probe, in C, to start from
///
/// What no option says is asked for on the terminal.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bee init --program-type Network --map RingBuffer --output-type print --file probe.c"
)]
pub struct Init {
    /// The language to write the probe in
    #[arg(short, long, ignore_case = true)]
    pub language: Option<Language>,

    /// What the probe watches: connections, or files that are opened
    #[arg(long, ignore_case = true)]
    pub program_type: Option<ProgramType>,

    /// How the probe hands over its data: each event, or one value per key
    #[arg(short, long, ignore_case = true)]
    pub map: Option<Map>,

    /// What becomes of the data: printed, or a Prometheus metric
    #[arg(short, long, ignore_case = true)]
    pub output_type: Option<Output>,

    /// The file to write; one that exists is never overwritten unasked
    #[arg(short, long)]
    pub file: Option<PathBuf>,
}

/// Compile a probe and put it into the store, or into a file
///
/// Needs clang and nothing else: "vmlinux.h", "bee.h", "solo_types.h" and libbpf's "bpf/bpf_helpers.h" and companions come with bee.
/// The compiler is `clang` on PATH, or what the variable BPF_CLANG names.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bee build probe.c my_probe:v1\n  bee build probe.c my_probe:v1 --arch amd64,arm64\n  bee build probe.c my_probe:v1 --link more.c\n  bee build probe.c --output-file probe.o --cflags=-DPORT=443"
)]
pub struct Build {
    /// The probe's C source
    pub source: PathBuf,

    /// Its name in the store, as in my_probe:v1; without a tag it is latest
    #[arg(value_name = "REF", required_unless_present = "output_file", value_parser = Reference::parse_new)]
    pub reference: Option<Reference>,

    /// Write the compiled object here
    #[arg(short, long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Another source of the same probe, linked with the first into one object; may be repeated
    #[arg(long, value_name = "SOURCE")]
    pub link: Vec<PathBuf>,

    /// The processor to build for; several, as in amd64,arm64, become one image. The default is this machine's
    #[arg(long, value_delimiter = ',')]
    pub arch: Vec<Architecture>,

    /// Whose types "vmlinux.h" holds
    #[arg(long, value_enum, default_value_t)]
    pub vmlinux: Vmlinux,

    /// What the probe is for, as `describe` shows it
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// Who made it
    #[arg(long, value_name = "TEXT")]
    pub authors: Option<String>,

    /// Its licence, as in GPL-2.0
    #[arg(long, alias = "licence", value_name = "SPDX")]
    pub license: Option<String>,

    /// Where its source is published
    #[arg(long = "source", value_name = "URL")]
    pub source_url: Option<String>,

    /// More arguments for clang, which runs in the source's folder; may be repeated
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub cflags: Vec<String>,

    /// Only write the object, and store no image
    #[arg(long, requires = "output_file")]
    pub binary_only: bool,

    /// BumbleBee's container for the compiler, and its script there
    #[arg(short = 'i', long, hide = true)]
    pub build_image: Option<String>,
    #[arg(short, long, hide = true)]
    pub builder: Option<String>,
    #[arg(short, long, hide = true)]
    pub local: bool,
    #[arg(long, hide = true)]
    pub build_script: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub build_script_out: bool,
}

/// Say what is likely wrong with a probe that compiles, with file and line
///
/// Padding that leaks kernel memory, text that is cut off, maps that take too much memory, labels that make endless series, hooks
/// and maps that bee does not know. `build` looks for the same and warns. Ends with 3 if it finds something.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bee lint probe.c\n  bee lint probe.o --memory 128 --json")]
pub struct Lint {
    /// The probe's C source, or a compiled object, best with its source beside it
    #[arg(value_name = "FILE")]
    pub probe: PathBuf,

    /// How many megabytes of the kernel's memory all maps together may take when they are full
    #[arg(long, value_name = "MB", default_value_t = bee::lint::MEMORY >> 20)]
    pub memory: u64,

    /// More arguments for clang, as for build; may be repeated
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub cflags: Vec<String>,

    /// One JSON array instead of text
    #[arg(long)]
    pub json: bool,
}

/// List the probes in the store
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bee list --json")]
pub struct List {
    /// One JSON array instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Say what this machine can run, and how to fix what it can't
///
/// Each kind of hook is tried with a program that does nothing. Needs the right to load probes, as run does. Ends with 4 if the
/// workshop's probes can't run here.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo bee doctor")]
pub struct Doctor {
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

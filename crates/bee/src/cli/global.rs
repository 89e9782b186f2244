//! The options of every command, which stand before or after it as with BumbleBee: where bee keeps things, and how it speaks to registries.
//!
//! clap looks at each level of a command line alone, so what options have to do with each other is checked where they are used.

use std::path::PathBuf;

use clap::{Arg, Args, Command};

const REGISTRY: &str = "Registry";
/// Who speaks to one.
const SPEAKERS: [&str; 5] = ["login", "push", "pull", "package", "run"];

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The store of built probes, an OCI image layout [default: ~/.bumblebee/store]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub storage: Option<PathBuf>,

    /// Accepted as BumbleBee's; bee says what it does without it
    #[arg(short, long, global = true)]
    pub verbose: bool,

    #[command(flatten)]
    pub registry: Registry,
}

/// How to speak to a registry, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = REGISTRY)]
pub struct Registry {
    /// Log in by this name; otherwise as `bee login` or docker did
    #[arg(short, long, global = true, value_name = "NAME")]
    pub username: Option<String>,

    /// The password that goes with it; whoever lists this machine's processes sees it here, `bee login --password-stdin` keeps it out of sight
    #[arg(short, long, global = true, value_name = "PASSWORD")]
    pub password: Option<String>,

    /// A file with logins, in docker's form; may be repeated [default: config.json in bee's folder, then docker's]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Vec<PathBuf>,

    /// bee's own folder [default: ~/.bumblebee]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub config_dir: Option<PathBuf>,

    /// Trust this certificate authority (PEM), beside those of this machine
    #[arg(long, global = true, value_name = "FILE")]
    pub registry_ca: Option<PathBuf>,

    /// Skip TLS verification (insecure)
    #[arg(long, global = true)]
    pub insecure: bool,

    /// Speak HTTP without TLS; on this machine's own addresses it is used if the registry speaks nothing else
    #[arg(long, global = true)]
    pub plain_http: bool,
}

/// Leaves the options for registries out of the help of commands that speak to none, which take them all the same.
pub fn hide_where_idle(mut command: Command) -> Command {
    command.build();
    for idle in command.get_subcommands_mut().filter(|it| !SPEAKERS.contains(&it.get_name())) {
        *idle = std::mem::take(idle).mut_args(hide_if_registry);
    }
    command
}

fn hide_if_registry(option: Arg) -> Arg {
    if option.get_help_heading() == Some(REGISTRY) { option.hide(true) } else { option }
}

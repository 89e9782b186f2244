//! `bee run`: finds the probes, as whoever asks, and hands them to the library, as root.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::{Context, Result, bail};
use bee::export::map::SeriesBounds;
use bee::kernel::pins::PinOptions;
use bee::output::Format;
use bee::run::{NamedObject, RunOptions, ShowOptions};
use bee::store::{Error, Reference};
use clap::ValueEnum;
use clikit::print;
use jiff::SignedDuration;

use super::privilege;
use crate::cli::{Cli, PullPolicy, Run};

pub fn run(cli: &Cli, arguments: &Run) -> Result<()> {
    let mut probes = vec![];
    for probe in &arguments.probes {
        probes.push(NamedObject { name: probe.display().to_string(), object: find(cli, probe, arguments.pull)? });
    }
    let options = RunOptions {
        probes,
        variant: arguments.variant.clone(),
        parameters: arguments.param.clone(),
        map_sizes: arguments.map_size.clone(),
        bounds: SeriesBounds { most: arguments.max_series as usize },
        histogram_buckets: arguments.hist_buckets.clone(),
        histogram_values: arguments.hist_value_key.clone(),
        per_cpu: arguments.per_cpu.clone(),
        run_time: arguments.run_time,
        record: arguments.record.clone(),
        pins: PinOptions { maps: arguments.pin_maps.clone(), programs: arguments.pin_progs.clone() },
        trace_pipe: arguments.trace_pipe,
        debug: arguments.debug.then(|| "debug.log".into()),
        show: ShowOptions {
            format: format(arguments.output, arguments.no_tty)?,
            metrics: arguments.serve.address(),
            filters: arguments.filter.clone(),
            timeout: arguments.timeout.map(SignedDuration::unsigned_abs),
        },
    };
    // Before root is asked for: a mistyped name must not cost a password.
    let prepared = bee::run::prepare(options)?;
    if !privilege::may_load_probes() {
        return Err(privilege::become_root(&again(cli, arguments)?));
    }
    Ok(bee::run::run(prepared)?)
}

/// A table on a terminal, JSON elsewhere, unless something else is wanted.
///
/// # Errors
/// A table was asked for, and there is no terminal to draw it on.
pub fn format(wanted: Option<Format>, no_tty: bool) -> Result<Format> {
    let is_terminal = io::stdout().is_terminal();
    match wanted {
        Some(Format::Table) if !is_terminal => {
            bail!("standard output is not a terminal: use --output json or columns")
        }
        Some(format) => Ok(format),
        None if is_terminal && !no_tty => Ok(Format::Table),
        None => Ok(Format::Json),
    }
}

/// A regular file wins over a name in the store; a folder never does, many people build `tcpconnect` beside one of that name. What
/// the store lacks, or what is asked for each time, comes from the registry that the name begins with.
fn find(cli: &Cli, probe: &Path, pull: PullPolicy) -> Result<Vec<u8>> {
    if probe.is_file() {
        return super::object(probe);
    }
    let (store, reference) = (super::store(cli)?, named(probe)?);
    let has_registry = reference.host().is_some();
    let stored = store.program(&reference);
    match (pull, &stored) {
        (PullPolicy::Always, _) => {}
        (PullPolicy::Missing, Err(Error::Unknown { .. })) if has_registry => {
            print::note(format_args!("{reference} is not in the store: pulling it"));
        }
        _ => return Ok(stored?),
    }
    super::registry::fetch(&store, &reference, &cli.global.registry)?;
    Ok(store.program(&reference)?)
}

/// The same without registries.
pub fn stored(cli: &Cli, probe: &Path) -> Result<Vec<u8>> {
    if probe.is_file() { super::object(probe) } else { Ok(super::store(cli)?.program(&named(probe)?)?) }
}

fn named(probe: &Path) -> Result<Reference> {
    let text = probe.to_string_lossy();
    text.parse().with_context(|| format!("there is no file {text}"))
}

/// The command line for sudo: root's home folder is another, so the caller's store is named.
fn again(cli: &Cli, arguments: &Run) -> Result<Vec<OsString>> {
    let store = std::path::absolute(super::store(cli)?.folder()).context("failed to find the current folder")?;
    let mut again: Vec<OsString> = vec!["--storage".into(), store.into(), "run".into()];
    let output = arguments.output.and_then(|format| format.to_possible_value());
    again.extend(output.map(|format| format!("--output={}", format.get_name()).into()));
    again.extend(arguments.no_tty.then(|| "--no-tty".into()));
    again.extend(arguments.variant.as_ref().map(|variant| format!("--variant={variant}").into()));
    again.extend(arguments.debug.then(|| "--debug".into()));
    again.extend(arguments.trace_pipe.then(|| "--trace-pipe".into()));
    again.extend(arguments.run_time.then(|| "--run-time".into()));
    again.extend(arguments.param.iter().map(|parameter| format!("--param={parameter}").into()));
    again.extend(arguments.map_size.iter().map(|size| format!("--map-size={size}").into()));
    again.extend(arguments.filter.iter().map(|filter| format!("--filter={filter}").into()));
    again.extend(arguments.hist_buckets.iter().map(|buckets| format!("--hist-buckets={buckets}").into()));
    again.extend(arguments.hist_value_key.iter().map(|field| format!("--hist-value-key={field}").into()));
    again.extend(arguments.per_cpu.iter().map(|map| format!("--per-cpu={map}").into()));
    again.push(format!("--max-series={}", arguments.max_series).into());
    again.extend(arguments.timeout.map(|timeout| format!("--timeout={timeout:#}").into()));
    for (option, path) in
        [("--pin-maps", &arguments.pin_maps), ("--pin-progs", &arguments.pin_progs), ("--record", &arguments.record)]
    {
        if let Some(path) = path {
            again.extend([option.into(), path.into()]);
        }
    }
    let metrics = arguments.serve.address();
    again.push(format!("--listen={}", metrics.ip()).into());
    again.extend([format!("--prom-port={}", metrics.port()).into(), "--".into()]);
    again.extend(arguments.probes.iter().map(OsString::from));
    Ok(again)
}

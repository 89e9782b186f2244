//! Runs probes: attaches them, shows their events, serves their metrics, until a signal ends it. A recording is shown the same way.

mod histograms;
mod live;
mod prepare;
mod replay;
mod trace;

use std::error::Error as StdError;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clikit::print;

use crate::allowance::Accounts;
use crate::atomic_file::Draft;
use crate::decode::filter::{self, Filter};
use crate::export::map::SeriesBounds;
use crate::export::state::Running;
use crate::kernel::pins::{self, PinOptions, Pins};
use crate::kernel::probe::{Probe, ProbeError};
use crate::kernel::sys;
use crate::kernel::trace_pipe;
use crate::kernel::verifier_log;
use crate::metrics;
use crate::metrics::server::{self, PortTaken};
use crate::object::map_sizes::{self, MapSize};
use crate::object::params::{self, Parameter};
use crate::object::variants::NoSuchVariant;
use crate::object::{self, Inspection, by_cpu, measures};
use crate::output::{self, Format, Output, Title};
use crate::recording::{self, Recorder, Recording};
use crate::run::replay::Replay;
use crate::shutdown::End;

pub use histograms::{BucketsOf, ValueOf};
use live::Live;
use prepare::Candidate;
pub use prepare::{Prepared, prepare};
pub use replay::Speed;
use trace::Trace;

/// What to run, and how.
pub struct RunOptions {
    pub probes: Vec<NamedObject>,
    /// Only this variant of the programs, of those probes that have it.
    pub variant: Option<String>,
    /// Values for the probes' parameters.
    pub parameters: Vec<Parameter>,
    /// How large the probes' maps are to be.
    pub map_sizes: Vec<MapSize>,
    pub bounds: SeriesBounds,
    /// What is said of histograms, instead of what the probes do.
    pub histogram_buckets: Vec<BucketsOf>,
    pub histogram_values: Vec<ValueOf>,
    /// Maps whose CPUs are told apart.
    pub per_cpu: Vec<String>,
    /// Let the kernel count and time the runs of programs.
    pub run_time: bool,
    /// The file to record the run in.
    pub record: Option<PathBuf>,
    pub pins: PinOptions,
    /// Show what the programs say with `bpf_printk`.
    pub trace_pipe: bool,
    /// The file for what libbpf says.
    pub debug: Option<PathBuf>,
    pub show: ShowOptions,
}

/// A probe's object, and its name for the reader.
pub struct NamedObject {
    pub name: String,
    pub object: Vec<u8>,
}

/// How a run is shown, live or recorded.
pub struct ShowOptions {
    pub format: Format,
    /// Where the metrics are served.
    pub metrics: SocketAddr,
    /// What is shown has to satisfy all of them.
    pub filters: Vec<Filter>,
    /// How long to run; until a signal comes if it does not say.
    pub timeout: Option<Duration>,
}

/// Why a probe does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot run {name}")]
    Object { name: String, source: object::Error },
    /// Of several probes.
    #[error("{}", .0.iter().map(with_its_causes).collect::<Vec<_>>().join("; "))]
    Several(Vec<Error>),
    #[error("probe {0} was given twice")]
    Twice(String),
    #[error("probes {first} and {second} both have a metric {metric} (map {map}): rename the map in one of them")]
    SameMetric { first: String, second: String, map: String, metric: String },
    #[error(transparent)]
    Variant(#[from] NoSuchVariant),
    #[error(transparent)]
    Parameter(#[from] params::Error),
    #[error(transparent)]
    MapSize(#[from] map_sizes::Error),
    #[error(transparent)]
    Filter(#[from] filter::Unanswered),
    #[error("--hist-buckets and --hist-value-key need a histogram map; the probe has none")]
    NoHistogram,
    #[error("map {map} is no histogram of the probe; histograms: {known}")]
    NotAHistogram { map: String, known: String },
    #[error("--hist-buckets cannot change histogram {map}: the probe itself counts in its buckets")]
    KeptBuckets { map: String },
    #[error(
        "map {map} is a histogram of a field {field:?}, and its events have no such integer: name another with --hist-value-key"
    )]
    NoValue { map: String, field: String },
    #[error("map {map} can't be shown by CPU: {why}")]
    ByCpu { map: String, why: String },
    #[error("failed to enable BPF run-time statistics (needs root and Linux 5.8)")]
    RunTime(#[source] io::Error),
    #[error(transparent)]
    Port(#[from] PortTaken),
    #[error("probe {name}")]
    Probe { name: String, source: ProbeError },
    #[error("failed to read the probes' events")]
    Events(#[source] ProbeError),
    #[error(transparent)]
    Recording(#[from] recording::Error),
    #[error("failed to write {file}")]
    Debug { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Pin(#[from] pins::Error),
    #[error("--output folded needs a map with stacks: see kernel_stack_id and kernel_address in solo_types.h")]
    NoStacks,
    #[error(transparent)]
    TracePipe(#[from] trace_pipe::Error),
    #[error("failed to wait for signals")]
    Signals(#[source] io::Error),
    #[error("failed to start the metrics' thread")]
    Thread(#[source] io::Error),
    #[error("failed to write the output")]
    Output(#[source] io::Error),
}

/// On one line.
fn with_its_causes(error: &Error) -> String {
    let mut said = error.to_string();
    let mut cause = StdError::source(error);
    while let Some(next) = cause {
        said.push_str(&format!(": {next}"));
        cause = next.source();
    }
    said
}

/// Runs probes until SIGINT or SIGTERM, or until nobody reads the output any more. Events that the kernel has by then are still shown.
/// If one can't be attached, none stays attached.
pub fn run(prepared: Prepared) -> Result<(), Error> {
    let Prepared { options, candidates } = prepared;
    let session = Session::open(options.show)?;
    options.pins.check()?;
    if let Some(file) = options.debug {
        verifier_log::write_to(&file).map_err(|source| Error::Debug { file, source })?;
    }
    let file = options.record.as_deref().map(recording::create).transpose()?;
    let mut trace = options.trace_pipe.then(Trace::open).transpose()?;
    let probes = candidates.iter().map(attach).collect::<Result<Vec<_>, _>>()?;
    let mut running = Running::new(session.options.filters.clone(), options.bounds, Accounts::unbounded());
    for (Candidate { name, inspection, .. }, probe) in candidates.iter().zip(&probes) {
        let added = running.add(name, inspection, probe);
        added.map_err(|source| Error::Probe { name: name.clone(), source })?;
    }
    running.trace_pipe = trace.is_some();
    if let Some(trace) = &mut trace {
        trace.listen_to(&probes);
    }
    say_of(&candidates, &probes, options.trace_pipe);
    let names = candidates.iter().map(|candidate| candidate.name.as_str());
    let _pins = Pins::new(&options.pins, &names.zip(&probes).collect::<Vec<_>>())?;
    let _timing = timing(options.run_time, session.options.format)?;
    let states = candidates.iter().zip(&probes).map(|(candidate, probe)| (candidate.name.clone(), state(probe)));
    let title = Title::new(states, session.address);
    let objects: Vec<_> = candidates.iter().map(|candidate| candidate.object.as_slice()).collect();
    session.show(Feed::Kernel(Live { probes, trace }), running, &title, file.map(|file| (file, objects)))
}

/// What a probe's author may not know of how it runs.
fn say_of(candidates: &[Candidate], probes: &[Probe], trace_pipe: bool) {
    for (Candidate { name, inspection, usual, .. }, probe) in candidates.iter().zip(probes) {
        for size in usual {
            print::note(format_args!("{name}: {size}"));
        }
        for left_out in &probe.left_out {
            print::note(format_args!("{name}: {left_out}"));
        }
        for note in notes(inspection, probe, trace_pipe) {
            print::note(format_args!("{name}: {note}"));
        }
    }
}

/// What is said of a probe before it shows anything.
fn notes(inspection: &Inspection, probe: &Probe, trace_pipe: bool) -> Vec<String> {
    let (mut notes, is_shown) = (vec![], trace_pipe && inspection.prints);
    if inspection.maps.is_empty() && probe.iterators().is_empty() && !is_shown {
        notes.push(object::EXPORTS_NOTHING.to_owned());
    }
    if inspection.prints && !is_shown {
        notes.push(object::PRINTS.to_owned());
    }
    notes.extend(inspection.maps.iter().flat_map(|map| [measures::note(map), by_cpu::note(map)]).flatten());
    notes
}

fn attach(candidate: &Candidate) -> Result<Probe, Error> {
    let probe = Probe::attach(&candidate.inspection, &candidate.variants);
    probe.map_err(|source| Error::Probe { name: candidate.name.clone(), source })
}

/// Shows a recording as if it ran now. Its last state stays until a signal comes or, if there is a timeout, for so long.
pub fn replay(recording: Recording, speed: Speed, mut show: ShowOptions) -> Result<(), Error> {
    prepare::check_filters(&show.filters, recording.inspections())?;
    prepare::check_format(show.format, recording.inspections())?;
    let replay = Replay::new(recording, speed, show.timeout.take());
    let session = Session::open(show)?;
    let running = replay.running(session.options.filters.clone())?;
    let title = replay.title(session.address);
    session.show(Feed::Recording(Box::new(replay)), running, &title, None)
}

/// Where a run's data comes from.
enum Feed {
    Kernel(Live),
    Recording(Box<Replay>),
}

impl Feed {
    /// Hands everything to the output until the end; calls `opened` before the first event.
    fn consume(
        self,
        running: &Running,
        end: &End,
        output: &dyn Output,
        opened: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Self::Kernel(source) => live::consume(source, running, end, output, opened),
            Self::Recording(replay) => {
                opened()?;
                replay::consume(*replay, running, end, output).map_err(Error::Output)
            }
        }
    }
}

/// What is taken before anything is attached: the port and the signals.
struct Session {
    listener: TcpListener,
    /// Where the listener is: port 0 is any that is free.
    address: SocketAddr,
    end: End,
    options: ShowOptions,
}

impl Session {
    fn open(options: ShowOptions) -> Result<Self, Error> {
        let (listener, address) = server::listen(options.metrics)?;
        let end = End::at_signals().map_err(Error::Signals)?;
        Ok(Self { listener, address, end, options })
    }

    /// Serves the metrics and shows the data, until the end; with a file, and the probes' objects, it is recorded as well. Whoever
    /// reads metrics may take it that events count from then on.
    fn show(
        self,
        feed: Feed,
        running: Running,
        title: &Title,
        record: Option<(Draft, Vec<&[u8]>)>,
    ) -> Result<(), Error> {
        let running = Arc::new(running);
        let end = self.end.after(self.options.timeout);
        let mut output = output::open(self.options.format, title, &running, &end).map_err(Error::Output)?;
        if let Some((file, objects)) = record {
            output = Box::new(Recorder::new(file, &running, &objects, title, output)?);
        }
        feed.consume(&running, &end, &*output, || serve(self.listener, running.clone()))?;
        output.finish().map_err(Error::Output)
    }
}

/// In a thread of its own.
fn serve(listener: TcpListener, running: Arc<Running>) -> Result<(), Error> {
    let serves = move || server::serve(listener, move |format| metrics::text(&running, format));
    thread::Builder::new().name("metrics".to_owned()).spawn(serves).map(drop).map_err(Error::Thread)
}

/// Who looks at the terminal sees what the probe costs, where the kernel says so.
fn timing(wanted: bool, format: Format) -> Result<Option<OwnedFd>, Error> {
    if !wanted && format != Format::Table {
        return Ok(None);
    }
    match sys::time_runs() {
        Err(error) if wanted => Err(Error::RunTime(error)),
        timing => Ok(timing.ok()),
    }
}

/// `attached (tp_btf)`, and why not by what stands before it.
fn state(probe: &Probe) -> String {
    let variant = probe.variant.as_ref().map(|variant| format!(" ({variant})")).unwrap_or_default();
    let refused: Vec<_> = probe.refused.iter().map(ToString::to_string).collect();
    if refused.is_empty() {
        format!("attached{variant}")
    } else {
        format!("attached{variant}, not as {}", refused.join("; "))
    }
}

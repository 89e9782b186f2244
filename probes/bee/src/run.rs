//! Runs a probe: attaches it, shows its events, serves its metrics, until a signal ends it.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::events::Consumer;
use crate::filter::{self, Filter};
use crate::histogram::Buckets;
use crate::http::{self, PortTaken};
use crate::metrics;
use crate::object::{self, Inspection, Kind, Source};
use crate::output::{json::JsonLines, terminal};
use crate::parameters::{self, Parameter};
use crate::probe::{self, Probe, ProbeError};
use crate::programs::Programs;
use crate::raw;
use crate::series::{Exported, Losses};
use crate::variants::{self, NoSuchVariant};

/// How often the elements of a printed hash are looked at, and iterators run.
const LOOK: Duration = Duration::from_secs(1);
/// How long the consumer of events rests. A consumer that is woken by each event costs the traced program five times as much as the
/// event itself.
const REST: Duration = Duration::from_millis(5);
/// After so long without an event the consumer waits to be woken: the first event after it costs its program more, and bee that has
/// nothing to do does next to nothing.
const IDLE: Duration = Duration::from_millis(50);
/// But it looks as often as this whether it shall end.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// What to run, and how.
pub struct RunOptions {
    /// The probe's name, for the reader.
    pub name: String,
    pub object: Vec<u8>,
    /// Only this variant of the probe's programs.
    pub variant: Option<String>,
    /// A live table instead of JSON lines.
    pub terminal: bool,
    /// The metrics' port.
    pub port: u16,
    /// Values for the probe's parameters.
    pub parameters: Vec<Parameter>,
    /// What is shown has to satisfy all of them.
    pub filters: Vec<Filter>,
    /// The buckets of histograms instead of those that the probe declares, and the field of events that is their value.
    pub buckets: Option<Buckets>,
    pub histogram_value: Option<String>,
    /// The most series that one map may become.
    pub most_series: usize,
    /// How long to run; until a signal comes if it does not say.
    pub timeout: Option<Duration>,
    /// Let the kernel count and time the runs of programs.
    pub run_time: bool,
}

/// Why a probe does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{name} is no probe that bee can run")]
    Object { name: String, source: object::Error },
    #[error(transparent)]
    Variant(#[from] NoSuchVariant),
    #[error(transparent)]
    Parameter(#[from] parameters::Error),
    #[error(transparent)]
    Filter(#[from] filter::Unanswered),
    #[error(
        "map {map} is a histogram of a field {field:?}, and its events have no such integer: name another with --hist-value-key"
    )]
    NoValue { map: String, field: String },
    #[error("the kernel does not time the runs of programs; it takes root and Linux 5.8")]
    RunTime(#[source] io::Error),
    #[error(transparent)]
    Port(#[from] PortTaken),
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error("can't wait for signals")]
    Signals(#[source] io::Error),
    #[error("can't start the metrics' thread")]
    Thread(#[source] io::Error),
    #[error("can't write the output")]
    Output(#[source] io::Error),
}

/// A probe that runs.
pub(crate) struct Running {
    pub maps: Vec<Exported>,
    filters: Vec<Filter>,
    pub losses: Losses,
    pub programs: Programs,
}

impl Running {
    /// Whether the filters let an event, or an element of this key, be shown.
    pub fn shows(&self, exported: &Exported, record: &[u8]) -> bool {
        self.filters.iter().all(|filter| filter.takes(&exported.map.name, &exported.labels, record))
    }
}

/// When a run ends.
pub(crate) struct End {
    signal: Arc<AtomicBool>,
    due: Option<Instant>,
}

impl End {
    fn has_come(&self) -> bool {
        self.signal.load(Ordering::Relaxed) || self.due.is_some_and(|due| Instant::now() >= due)
    }
}

/// A probe that was looked at and not loaded yet.
pub struct Prepared {
    options: RunOptions,
    inspection: Inspection,
    /// The variants to try.
    variants: Vec<Option<String>>,
}

/// Looks at a probe. What is wrong with it, or with what was asked of it, is found without the right to load it.
///
/// # Errors
/// It is no probe, or has no such variant.
pub fn prepare(options: RunOptions) -> Result<Prepared, Error> {
    let mut inspection =
        object::inspect(&options.object).map_err(|source| Error::Object { name: options.name.clone(), source })?;
    probe::check_hooks(&inspection)?;
    let variants = variants::choose(probe::variants_of(&inspection)?, options.variant.as_deref())?;
    inspection.constants = parameters::constants(&inspection.btf, &options.parameters)?;
    histograms_value(&mut inspection, options.histogram_value.as_deref())?;
    let labels = || inspection.maps.iter().map(|map| (map.name.as_str(), map.labels()));
    options.filters.iter().try_for_each(|filter| filter.check(labels()))?;
    Ok(Prepared { options, inspection, variants })
}

fn histograms_value(inspection: &mut Inspection, field: Option<&str>) -> Result<(), Error> {
    for map in inspection.maps.iter_mut().filter(|map| map.kind == Kind::Histogram) {
        if matches!(map.source, Source::Elements { .. }) {
            continue;
        }
        map.value = field.unwrap_or(&map.value).to_owned();
        if map.value().is_none() {
            return Err(Error::NoValue { map: map.name.clone(), field: map.value.clone() });
        }
    }
    Ok(())
}

/// Runs a probe until SIGINT or SIGTERM, or until nobody reads its output any more. Events that the kernel has by then are still shown.
pub fn run(prepared: Prepared) -> Result<(), Error> {
    let Prepared { options, inspection, variants } = prepared;
    let listener = http::listen(options.port)?;
    let end = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, end.clone()).map_err(Error::Signals)?;
    }
    let probe = Probe::attach(&inspection, variants)?;
    let running = Arc::new(running(&probe, &inspection, &options)?);
    let _timing = timing(&options)?;
    let end = End { signal: end, due: options.timeout.map(|timeout| Instant::now() + timeout) };
    let served = running.clone();
    let serve = move || http::serve(listener, move |format| metrics::text(&served, format));
    thread::Builder::new().name("metrics".to_owned()).spawn(serve).map_err(Error::Thread)?;
    let attached = attached(&probe);
    if options.terminal {
        terminal::show(&options, &attached, &probe, &running, &end)
    } else {
        eprintln!("{}: {attached}; metrics: localhost:{}/metrics", options.name, options.port);
        print(&probe, &running, &end)
    }
}

/// Who looks at the terminal sees what the probe costs, where the kernel says so.
fn timing(options: &RunOptions) -> Result<Option<OwnedFd>, Error> {
    if !options.run_time && !options.terminal {
        return Ok(None);
    }
    match raw::time_runs() {
        Err(error) if options.run_time => Err(Error::RunTime(error)),
        timing => Ok(timing.ok()),
    }
}

fn running(probe: &Probe, inspection: &Inspection, options: &RunOptions) -> Result<Running, ProbeError> {
    let filters = options.filters.clone();
    let exported = |map| Exported::new(probe, map, options.buckets.clone(), options.most_series);
    let maps = inspection.maps.iter().map(exported).collect::<Result<Vec<_>, _>>()?;
    let losses = Losses::new(probe, &inspection.btf, &maps);
    Ok(Running { maps, filters, losses, programs: Programs::new(probe) })
}

/// `attached (tp_btf)`, and why not by what stands before it.
fn attached(probe: &Probe) -> String {
    let variant = probe.variant.as_ref().map(|variant| format!(" ({variant})")).unwrap_or_default();
    let refused: Vec<_> = probe.refused.iter().map(ToString::to_string).collect();
    if refused.is_empty() {
        format!("attached{variant}")
    } else {
        format!("attached{variant}, not as {}", refused.join("; "))
    }
}

/// Takes events from all buffers until the end; `each` gets every event, `text` what each iterator writes, `round` is called between
/// the rests.
pub(crate) fn consume(
    probe: &Probe,
    running: &Running,
    end: &End,
    each: &dyn Fn(&Exported, &[u8]),
    text: &dyn Fn(&str, &str),
    round: &mut dyn FnMut() -> io::Result<bool>,
) -> Result<(), Error> {
    let buffers: Vec<_> =
        running.maps.iter().filter(|exported| matches!(exported.map.source, Source::Events(_))).collect();
    let names: Vec<_> = buffers.iter().map(|exported| exported.map.name.as_str()).collect();
    // Asking for the time at each event would cost more than adding it up.
    let (now, came) = (Cell::new(Instant::now()), Cell::new(Instant::now()));
    let take = |index: usize, record: &[u8]| {
        came.set(now.get());
        buffers[index].add(record);
        each(buffers[index], record);
    };
    let lost = |index: usize, count| running.losses.add(&buffers[index].map, count);
    let events = probe.events(&names, Consumer { take: &take, lost: &lost })?;
    let (mut last, mut looked) = (false, None);
    loop {
        now.set(Instant::now());
        let more = events.take_some();
        if looked.is_none_or(|at: Instant| at.elapsed() >= LOOK) {
            looked = Some(now.get());
            probe.iterate().iter().for_each(|(program, written)| text(program, written));
        }
        if !round().map_err(Error::Output)? || (last && !more) {
            return Ok(());
        }
        // One more look after the signal: what was sent before it belongs to the run.
        last = end.has_come();
        if last || more {
            continue;
        }
        match now.get() - came.get() >= IDLE {
            true => events.wait(LONGEST_WAIT),
            false => thread::sleep(REST),
        }
    }
}

/// JSON lines on standard output.
fn print(probe: &Probe, running: &Running, end: &End) -> Result<(), Error> {
    let output = Mutex::new(JsonLines::new(io::BufWriter::with_capacity(1 << 16, io::stdout())));
    let output = || output.lock().unwrap_or_else(PoisonError::into_inner);
    let each = |exported: &Exported, record: &[u8]| {
        if exported.map.kind == Kind::Print && running.shows(exported, record) {
            output().event(exported, record);
        }
    };
    let mut looked = Instant::now();
    let mut round = || {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            running
                .maps
                .iter()
                .filter(|exported| exported.map.kind == Kind::Print)
                .for_each(|exported| output().elements(exported, &|key| running.shows(exported, key)));
        }
        match output().flush() {
            // Nobody reads any more: that is how `bee run | head` ends.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            flushed => flushed.map(|()| true),
        }
    };
    let text = |program: &str, text: &str| output().text(program, text);
    consume(probe, running, end, &each, &text, &mut round)
}

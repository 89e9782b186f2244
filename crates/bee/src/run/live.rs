//! Takes events from the kernel's buffers and looks at the maps' elements, as long as the run lasts.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::export::state::Running;
use crate::kernel::probe::{Probe, ProbeError};
use crate::kernel::ring_reader::{Consumer, Events};
use crate::object::Source;
use crate::output::Output;
use crate::run::Error;
use crate::run::trace::Trace;
use crate::shutdown::End;

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

/// Where the data of a run comes from.
pub struct Live {
    pub probes: Vec<Probe>,
    pub trace: Option<Trace>,
}

/// Hands everything to the output until the end, or until the output wants no more. Calls `opened` when no event is missed any more:
/// what a program sends to a perf buffer that is not open is lost.
pub fn consume(
    source: Live,
    running: &Running,
    end: &End,
    output: &dyn Output,
    opened: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let Live { probes, mut trace } = source;
    let probes = probes.as_slice();
    let maps = 0..running.maps.len();
    let buffers: Vec<_> = maps.filter(|map| matches!(running.maps[*map].map.source, Source::Events(_))).collect();
    // Asking for the time at each event would cost more than adding it up.
    let (now, came) = (Cell::new(Instant::now()), Cell::new(Instant::now()));
    let consumer = Consumer {
        take: &|buffer, record| {
            came.set(now.get());
            if let Some(notice) = running.maps[buffers[buffer]].add(record) {
                output.notice(&notice);
            }
            output.event(buffers[buffer], record);
        },
        lost: &|buffer, count| {
            let exported = &running.maps[buffers[buffer]];
            running.probes[exported.probe].losses.add(&exported.map, count);
        },
    };
    let events = events(probes, running, &buffers, consumer).map_err(Error::Events)?;
    opened()?;
    let (mut last, mut looked) = (false, None);
    loop {
        now.set(Instant::now());
        let more = events.take_some();
        if let Some(trace) = &mut trace {
            trace.show(output);
        }
        if looked.is_none_or(|at: Instant| at.elapsed() >= LOOK) {
            looked = Some(now.get());
            run_iterators(probes, output);
            look(running, output);
        }
        let goes_on = output.round().map_err(Error::Output)?;
        if !goes_on || (last && !more) || end.is_drained() {
            return finish(running, trace, output);
        }
        // One more look after the signal: what was sent before it belongs to the run.
        last = end.has_come();
        if last || more {
            continue;
        }
        rest(&events, now.get() - came.get());
    }
}

/// Shows once more what there is.
fn finish(running: &Running, trace: Option<Trace>, output: &dyn Output) -> Result<(), Error> {
    look(running, output);
    if let Some(mut trace) = trace {
        trace.end(output);
    }
    output.round().map(drop).map_err(Error::Output)
}

fn events<'a>(
    probes: &'a [Probe],
    running: &Running,
    buffers: &[usize],
    consumer: Consumer<'a>,
) -> Result<Events<'a>, ProbeError> {
    let mut maps = vec![];
    for buffer in buffers {
        let exported = &running.maps[*buffer];
        let name = exported.map.name.as_str();
        maps.push((name, probes[exported.probe].map(name)?));
    }
    let rests = probes.iter().filter_map(|probe| probe.rests.as_ref()).collect();
    Events::new(&maps, rests, consumer)
}

fn rest(events: &Events, idle: Duration) {
    if idle >= IDLE {
        events.wait(LONGEST_WAIT);
    } else {
        events.rest(REST);
    }
}

fn run_iterators(probes: &[Probe], output: &dyn Output) {
    for (index, probe) in probes.iter().enumerate() {
        for (program, text) in probe.iterate() {
            output.text(index, program, &text);
        }
    }
}

/// Reads the elements that the output wants. A map that can't be read says so with its metrics.
fn look(running: &Running, output: &dyn Output) {
    for (index, exported) in running.maps.iter().enumerate().filter(|(index, _)| output.wants(*index)) {
        if let (Source::Elements { .. }, Ok(elements)) = (&exported.map.source, exported.elements()) {
            output.elements(index, &elements);
        }
    }
}

//! Shows a recording as if it ran now.

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use crate::allowance::{Accounts, Allowance, Held};
use crate::decode::filter::Filter;
use crate::decode::host;
use crate::export::cardinality::ENTRY;
use crate::export::losses::Losses;
use crate::export::map::{Exported, MOST_SERIES, SeriesBounds};
use crate::export::source::Backing;
use crate::export::state::{Instance, Running};
use crate::kernel::map_reader::Elements;
use crate::kernel::prog_stats::Programs;
use crate::object::Source;
use crate::output::{Output, Title};
use crate::recording::{Error, Frame, Recording, functions, stacks};
use crate::shutdown::End;

/// What the output notes of an element, and what an account takes besides its name.
const ELEMENT: usize = 48;
const ACCOUNT: usize = 80;

/// How often the output has its turn.
const TURN: Duration = Duration::from_millis(20);

/// How fast time passes: 2 is twice as fast as it was, and nothing as fast as it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(Option<f64>);

/// The text is not a speed.
#[derive(Debug, thiserror::Error)]
#[error("invalid speed {0:?}: expected a number, as in 2 or 0.5, or max")]
pub struct Malformed(String);

impl FromStr for Speed {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self(None)),
            Ok(0.0) => Ok(Self(None)),
            Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(Self(Some(speed))),
            _ => Err(Malformed(text.to_owned())),
        }
    }
}

impl Speed {
    /// How long after the start something is shown that was so long after the start.
    fn after(self, at: Duration) -> Duration {
        let after = self.0.map(|speed| Duration::try_from_secs_f64(at.as_secs_f64() / speed).unwrap_or(Duration::MAX));
        after.unwrap_or_default()
    }
}

/// A recording that is shown.
pub struct Replay {
    recording: Recording,
    speed: Speed,
    /// How long its last state stays.
    timeout: Option<Duration>,
    /// For the elements that each map has, and the accounts of each probe.
    elements: Vec<Held>,
    accounts: Vec<Held>,
}

impl Replay {
    pub fn new(recording: Recording, speed: Speed, timeout: Option<Duration>) -> Self {
        host::recorded_on(recording.header.origin);
        Self { recording, speed, timeout, elements: vec![], accounts: vec![] }
    }

    pub fn title(&self, metrics: SocketAddr) -> Title {
        let probes = self.recording.header.probes.iter();
        Title::new(probes.map(|probe| (probe.name.clone(), format!("recorded, {}", probe.state))), metrics)
    }

    /// What the probes and maps were before the first frame.
    pub fn running(&self, filters: Vec<Filter>) -> Result<Running, Error> {
        let Recording { header, inspections, .. } = &self.recording;
        let bounds = SeriesBounds { most: header.most_series.min(MOST_SERIES) };
        let mut running = Running::new(filters, bounds, Accounts::of_a_file(&self.recording.allowance));
        running.trace_pipe = header.trace_pipe;
        for (index, (probe, inspection)) in header.probes.iter().zip(inspections).enumerate() {
            let known = probe.maps.iter().filter(|map| map.loss_known).map(|map| map.name.clone());
            let losses = Losses::recorded(known);
            let iterators = probe.iterators.clone();
            running.probes.push(Instance {
                name: probe.name.clone(),
                losses,
                programs: Programs::recorded(),
                iterators,
            });
            for map in &inspection.maps {
                let room = probe.maps.iter().find(|recorded| recorded.name == map.name).map_or(0, |map| map.room);
                running.maps.push(Exported::new(
                    index,
                    map,
                    Backing::recorded(room),
                    &running.bounds,
                    &running.accounts,
                ));
            }
        }
        Ok(running)
    }

    /// Takes a frame to the maps and to the output.
    fn apply(&mut self, frame: Frame, running: &Running, output: &dyn Output) -> Result<(), Error> {
        match frame {
            Frame::Event { map, record } => {
                if let Some(notice) = exported(running, map)?.add(&record) {
                    output.notice(&notice);
                }
                output.event(map, &record);
            }
            Frame::Elements { map, elements } => {
                let exported = exported(running, map)?;
                self.hold(map, exported, &elements)?;
                if output.wants(map) {
                    output.elements(map, &elements);
                }
                exported.tell(elements);
            }
            Frame::Lost { map, more } => {
                let exported = exported(running, map)?;
                running.probes[exported.probe].losses.add(&exported.map, more);
            }
            Frame::Text { probe, program, text } => {
                instance(running, probe)?;
                output.text(probe, &program, &text);
            }
            Frame::Accounts { probe, accounts } => {
                let programs = &instance(running, probe)?.programs;
                let size = accounts.iter().map(|(name, _)| name.len() + ACCOUNT).sum();
                held(&mut self.accounts, probe, &self.recording.allowance).set(size)?;
                programs.set(accounts);
            }
            Frame::Stack { probe, id, addresses } => {
                let inspection = self.recording.inspections.get(probe);
                let table = inspection.and_then(|inspection| inspection.stacks.as_ref());
                let (_, table) = table.ok_or_else(|| Error::damaged("a probe has a stack and no map for it"))?;
                self.recording.allowance.take(size_of_val(addresses.as_slice()) + ENTRY)?;
                if !table.tell(id, addresses) {
                    return Err(Error::damaged("it has too many stacks"));
                }
            }
            Frame::UserFunctions(named) => stacks::learn(named, &self.recording.allowance),
            Frame::Trace(line) => {
                if let Some((probe, _)) = line.whose {
                    instance(running, probe)?;
                }
                output.trace(&line);
            }
            Frame::Functions(named) => functions::learn(named, &self.recording.allowance),
        }
        Ok(())
    }

    /// Elements are kept until the next ones come, and only if they have the size that the map says.
    fn hold(&mut self, map: usize, exported: &Exported, elements: &Elements) -> Result<(), Error> {
        let Source::Elements { key, value, .. } = &exported.map.source else {
            return Err(Error::damaged("a buffer has elements"));
        };
        if elements.key_size != key.size || elements.value_size < value.size {
            return Err(Error::damaged(format!("map {} has elements of another size", exported.map.name)));
        }
        let (keys, count) = (elements.keys.len(), elements.len());
        // Where there are more than may be series, it is written down which ones are.
        let admitted = if count > exported.most() { keys + ENTRY * exported.most() } else { 0 };
        let size = keys + elements.values.len() + ELEMENT * count + admitted;
        Ok(held(&mut self.elements, map, &self.recording.allowance).set(size)?)
    }
}

fn exported(running: &Running, map: usize) -> Result<&Exported, Error> {
    running.maps.get(map).ok_or_else(|| Error::damaged(format!("it has no map {map}")))
}

fn instance(running: &Running, probe: usize) -> Result<&Instance, Error> {
    running.probes.get(probe).ok_or_else(|| Error::damaged("it lacks a probe"))
}

/// What is held for a map or probe of this number, which there is.
fn held<'a>(all: &'a mut Vec<Held>, number: usize, allowance: &Allowance) -> &'a mut Held {
    while all.len() <= number {
        all.push(allowance.hold());
    }
    &mut all[number]
}

/// Shows all frames at their time, and then the last state, until the end.
pub fn consume(mut replay: Replay, running: &Running, end: &End, output: &dyn Output) -> io::Result<()> {
    let start = Instant::now();
    let mut turns = Turns { end, output, last: start };
    let over = loop {
        match replay.recording.frames.next() {
            Ok(None) => break "the recording is over".to_owned(),
            Ok(Some((at, frame))) => {
                // A time that never comes is one that a clock can't show.
                if !turns.until(start.checked_add(replay.speed.after(at)))? {
                    return Ok(());
                }
                if let Err(error) = replay.apply(frame, running, output) {
                    break format!("the recording ends early: {error}");
                }
            }
            Err(error) => break format!("the recording ends early: {error}"),
        }
    };
    let until = replay.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let goes_on = if until.is_some() { "" } else { "; Ctrl-C ends" };
    output.notice(&format!("{over}{goes_on}"));
    turns.until(until)?;
    output.round().map(drop)
}

/// The output's turns, in which it writes and draws.
struct Turns<'a> {
    end: &'a End,
    output: &'a dyn Output,
    last: Instant,
}

impl Turns<'_> {
    /// Waits until a time, which has come already where it is past; whether the run goes on.
    fn until(&mut self, due: Option<Instant>) -> io::Result<bool> {
        loop {
            let now = Instant::now();
            if now - self.last >= TURN {
                self.last = now;
                if !self.output.round()? || self.end.has_come() {
                    return Ok(false);
                }
            }
            match due.map(|due| due.saturating_duration_since(now)) {
                Some(Duration::ZERO) => return Ok(true),
                rest => thread::sleep(rest.unwrap_or(TURN).min(TURN)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_as_fast_as_it_is_told_to() {
        let after = |speed: &str| speed.parse::<Speed>().unwrap().after(Duration::from_secs(6));
        assert_eq!(after("2"), Duration::from_secs(3));
        assert_eq!(after("0.5"), Duration::from_secs(12));
        assert_eq!((after("0"), after("max")), (Duration::ZERO, Duration::ZERO));
        for wrong in ["-1", "fast", "inf", "NaN", ""] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
    }
}

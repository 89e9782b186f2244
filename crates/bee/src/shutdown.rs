//! Stop condition of a run: SIGINT, SIGTERM or a timeout. Whatever the load, a run ends within a second of it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// How long events that were there at the end are still taken.
const DRAIN: Duration = Duration::from_millis(400);
/// How long the output is still waited for.
const OVERDUE: Duration = Duration::from_millis(700);
/// What a second signal ends the process with, as a shell would say it of the first.
const KILLED: i32 = 128;

#[derive(Clone)]
pub struct End {
    signal: Arc<AtomicBool>,
    due: Option<Instant>,
    /// When it was seen to have come.
    came: Arc<OnceLock<Instant>>,
}

impl End {
    /// At SIGINT or SIGTERM, which no longer end the process; a second one does, at once.
    pub fn at_signals() -> io::Result<Self> {
        let end = Self::never();
        for number in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset.
            flag::register_conditional_shutdown(number, KILLED + number, end.signal.clone())?;
            flag::register(number, end.signal.clone())?;
        }
        Ok(end)
    }

    pub fn never() -> Self {
        Self { signal: Arc::default(), due: None, came: Arc::default() }
    }

    /// At the latest after so long, from now on.
    pub fn after(self, timeout: Option<Duration>) -> Self {
        // A time that a clock can't show never comes.
        Self { due: timeout.and_then(|timeout| Instant::now().checked_add(timeout)), ..self }
    }

    pub fn has_come(&self) -> bool {
        self.since().is_some()
    }

    /// Whether nothing more is taken, however much there is.
    pub fn is_drained(&self) -> bool {
        self.since().is_some_and(|since| since >= DRAIN)
    }

    /// Whether nobody waits any more for who reads the output.
    pub fn is_overdue(&self) -> bool {
        self.since().is_some_and(|since| since >= OVERDUE)
    }

    /// How long ago it came, if it has.
    fn since(&self) -> Option<Duration> {
        let has_come = self.signal.load(Ordering::Relaxed) || self.due.is_some_and(|due| Instant::now() >= due);
        has_come.then(|| self.came.get_or_init(Instant::now).elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_drained_before_its_output_is_given_up() {
        let end = End::never().after(Some(Duration::ZERO));
        assert!(end.has_come() && !end.is_overdue());
        assert!(DRAIN < OVERDUE && OVERDUE < Duration::from_secs(1));
        assert!(!End::never().has_come() && !End::never().is_overdue());
    }
}

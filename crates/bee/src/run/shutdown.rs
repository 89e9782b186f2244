//! When a run ends: when a signal comes, or its time is over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

pub struct End {
    signal: Arc<AtomicBool>,
    due: Option<Instant>,
}

impl End {
    /// At SIGINT or SIGTERM, which no longer end the process.
    pub fn at_signals() -> io::Result<Self> {
        let signal = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            flag::register(number, signal.clone())?;
        }
        Ok(Self { signal, due: None })
    }

    /// At the latest after so long, from now on.
    pub fn after(self, timeout: Option<Duration>) -> Self {
        // A time that a clock can't show never comes.
        Self { due: timeout.and_then(|timeout| Instant::now().checked_add(timeout)), ..self }
    }

    pub fn has_come(&self) -> bool {
        self.signal.load(Ordering::Relaxed) || self.due.is_some_and(|due| Instant::now() >= due)
    }
}

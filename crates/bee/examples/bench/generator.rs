//! What makes events: system calls in a busy loop on a processor of its own.

use std::time::{Duration, Instant};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::{Pid, getpgid, getppid, getsid},
};

/// The generator's processor, and the reader's.
pub const GENERATORS: usize = 0;
pub const READERS: &str = "1";
/// How many events one `getpgid` makes.
const BURST: u64 = 16;
/// Calls between two looks at the clock.
const CALLS: u64 = 100;

/// What one system call makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    One,
    Burst,
}

#[derive(Debug, Clone, Copy)]
pub enum Rate {
    EventsPerSecond(u64),
    /// As fast as the processor makes them.
    Full,
}

/// What was made.
pub struct Made {
    pub events: u64,
    pub time: Duration,
}

impl Made {
    pub fn a_second(&self) -> f64 {
        self.events as f64 / self.time.as_secs_f64()
    }
}

/// Makes events for so long, on the thread that calls.
pub fn flood(call: Call, rate: Rate, time: Duration) -> Made {
    pin(GENERATORS);
    let each = if call == Call::Burst { BURST } else { 1 };
    let started = Instant::now();
    let mut events = 0;
    while started.elapsed() < time {
        let is_ahead = match rate {
            Rate::EventsPerSecond(rate) => events as f64 > rate as f64 * started.elapsed().as_secs_f64(),
            Rate::Full => false,
        };
        if is_ahead {
            continue;
        }
        for _ in 0..CALLS {
            match call {
                Call::One => drop(getppid()),
                Call::Burst => drop(getpgid(None)),
            }
        }
        events += CALLS * each;
    }
    Made { events, time: started.elapsed() }
}

/// Makes this many elements of a hash.
pub fn fill(elements: i32) {
    for id in 0..elements {
        // Nobody has such a number; the probe has seen the call all the same.
        let _ = getsid(Some(Pid::from_raw((1 << 24) + id)));
    }
}

/// Binds the thread that calls to a processor.
pub fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).expect("run on one processor");
}

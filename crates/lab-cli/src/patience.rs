//! Deadlines that hold on any machine. A time is given as a quiet machine with two cores needs it, and passes the more slowly here the
//! longer a known piece of work takes here: nothing is given up because a machine is slow, and nothing is waited for longer than it
//! says on one that is quick.
//!
//! A machine may be slow by nature (its processor is emulated), by a limit (a quota of its control group) or because others use it,
//! and the last two change within seconds: so the work is done again at every look, not once.

use std::{
    hint::black_box,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// What the work takes on the quiet machine: two cores of a small server of 2025.
const THERE: Duration = Duration::from_millis(16);
/// A machine that is slower than so many times is waited for no longer.
pub const MOST: f64 = 60.0;

/// The work: on each of two cores, new memory filled and read, as programs do that start. It is longer than a scheduler's turn, so that
/// what others do at the same time shows.
const CORES: usize = 2;
const ROUNDS: u8 = 8;
const BYTES: usize = 1 << 20;

/// How often the work is done at most, for all that wait: it takes a hundredth of a quiet machine's time then.
const EVERY: Duration = Duration::from_secs(1);

/// The rest of a time.
#[derive(Debug)]
pub struct Patience {
    left: Duration,
    looked: Instant,
}

impl Patience {
    pub fn of(time: Duration) -> Self {
        Self { left: time, looked: Instant::now() }
    }

    /// Whether the time has passed. Ask between two looks at what is waited for, at least every second.
    pub fn is_over(&mut self) -> bool {
        self.is_over_at(pace)
    }

    fn is_over_at(&mut self, pace: impl FnOnce() -> f64) -> bool {
        if self.looked.elapsed() >= self.left.min(EVERY) {
            let pace = pace();
            self.left = self.left.saturating_sub(self.looked.elapsed().div_f64(pace));
            self.looked = Instant::now();
        }
        self.left.is_zero()
    }
}

/// A time as this machine needs it now, for programs that take a deadline but can't be asked in between.
pub fn stretched(time: Duration) -> Duration {
    time.mul_f64(pace())
}

/// How many times slower than a quiet machine this one is at the moment, 1 to [`MOST`].
pub fn pace() -> f64 {
    static LATEST: Mutex<Option<(Instant, f64)>> = Mutex::new(None);
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, pace)) = latest.filter(|(at, _)| at.elapsed() < EVERY) {
        return pace;
    }
    let pace = measured();
    *latest = Some((Instant::now(), pace));
    pace
}

fn measured() -> f64 {
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CORES {
            scope.spawn(work);
        }
    });
    started.elapsed().div_duration_f64(THERE).clamp(1.0, MOST)
}

fn work() {
    for round in 0..ROUNDS {
        let mut memory = vec![0u8; BYTES];
        for (at, byte) in memory.iter_mut().enumerate() {
            *byte = round.wrapping_add(at as u8);
        }
        black_box(memory.iter().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks until the time is over; how much passed by then.
    fn passed(time: Duration, pace: f64) -> Duration {
        let (mut patience, started) = (Patience::of(time), Instant::now());
        while !patience.is_over_at(|| pace) {
            thread::sleep(Duration::from_millis(1));
        }
        started.elapsed()
    }

    #[test]
    fn a_time_passes_as_it_is_on_a_quick_machine_and_as_much_more_slowly_as_another_is() {
        let time = Duration::from_millis(60);
        let (quick, slow) = (passed(time, 1.0), passed(time, 4.0));
        assert!(quick >= time && slow >= time * 4, "{quick:?}, {slow:?}");
        assert!(Patience::of(Duration::ZERO).is_over(), "what is not to be waited for is not");
    }

    #[test]
    fn a_machine_that_others_use_is_slower() {
        let quiet = (0..5).map(|_| measured()).fold(MOST, f64::min);
        let stop = std::sync::atomic::AtomicBool::new(false);
        let others = 8 * thread::available_parallelism().map_or(1, usize::from);
        let busy = thread::scope(|scope| {
            for _ in 0..others {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let busy = (0..5).map(|_| measured()).fold(MOST, f64::min);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            busy
        });
        assert!(quiet >= 1.0 && (busy > quiet || busy == MOST), "{quiet} alone, {busy} beside {others} others");
    }
}

//! How long work will still take, from how fast it went so far on this machine.

use std::time::{Duration, Instant};

/// What went before this is no measure yet.
const EARLY: Duration = Duration::from_secs(5);
const LITTLE: f64 = 0.02;

/// Work that has begun.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
}

impl Pace {
    pub fn begin() -> Self {
        Self { began: Instant::now() }
    }

    /// The time that is left when so much of all is done, in any unit; nothing while it is too early to tell.
    pub fn left(&self, done: f64, all: f64) -> Option<Duration> {
        left(self.began.elapsed(), done, all)
    }
}

fn left(took: Duration, done: f64, all: f64) -> Option<Duration> {
    let is_early = took < EARLY || done < all * LITTLE;
    (!is_early).then(|| took.mul_f64((all - done).max(0.0) / done.max(f64::MIN_POSITIVE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_the_pace_so_far() {
        let seconds = Duration::from_secs;
        assert_eq!(left(seconds(60), 1.0, 4.0), Some(seconds(180)));
        assert_eq!(left(seconds(60), 4.0, 4.0), Some(seconds(0)));
        assert_eq!(left(seconds(60), 5.0, 4.0), Some(seconds(0)), "more came than was known of");
        assert_eq!(left(seconds(1), 3.0, 4.0), None, "a second is no measure");
        assert_eq!(left(seconds(60), 0.0, 4.0), None);
        assert_eq!(left(seconds(60), 0.0, 0.0).map(|left| left.as_secs()), Some(0), "there is nothing to do");
    }
}

//! How much of what a file says is kept in memory. Files come from other people, and a small one may stand for much: it is compressed, what
//! it says once counts a thousand times. So all that is kept because of one, objects and their types, elements, series, names, is taken
//! from one account. What is made of that for a scrape, and goes with it, has another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// All that is kept of one file, in bytes.
pub const MOST: usize = 64 << 20;

/// What is taken at a time by what grows.
const STEP: usize = 64 << 10;

/// What is left. Copies are of the same account.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<AtomicUsize>);

/// There is not so much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it needs more than {} MB of memory", MOST >> 20)]
pub struct Exceeded;

/// What a run, or a recording that is shown, takes memory from: for what is kept, and for what is made of that when somebody asks.
#[derive(Debug, Clone)]
pub struct Accounts {
    pub kept: Allowance,
    pub answers: Allowance,
}

impl Accounts {
    /// Of probes that run: how much that is, whoever runs them has decided.
    pub fn unbounded() -> Self {
        Self { kept: Allowance::unbounded(), answers: Allowance::unbounded() }
    }

    /// Of a recording, of which so much is still to be kept.
    pub fn of_a_file(kept: &Allowance) -> Self {
        Self { kept: kept.clone(), answers: Allowance::of_a_file() }
    }
}

/// What is taken, until this is dropped.
#[derive(Debug)]
pub struct Held {
    allowance: Allowance,
    bytes: usize,
}

impl Allowance {
    /// For what a file says.
    pub fn of_a_file() -> Self {
        Self(Arc::new(AtomicUsize::new(MOST)))
    }

    /// For what the kernel says of probes that run: how much that is, whoever runs them has decided.
    pub fn unbounded() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }

    /// Takes bytes for good.
    pub fn take(&self, bytes: usize) -> Result<(), Exceeded> {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).map(drop).map_err(|_| Exceeded)
    }

    /// Nothing yet, for what is given back again.
    pub fn hold(&self) -> Held {
        Held { allowance: self.clone(), bytes: 0 }
    }
}

impl Held {
    /// Where it comes from.
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// Takes more.
    pub fn add(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.allowance.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Takes more if it holds less than this; somewhat more than that, for what grows by little.
    pub fn cover(&mut self, bytes: usize) -> Result<(), Exceeded> {
        if bytes <= self.bytes { Ok(()) } else { self.add((bytes - self.bytes).max(STEP)) }
    }

    /// Holds so much instead of what it held.
    pub fn set(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.allowance.0.fetch_add(std::mem::take(&mut self.bytes), Relaxed);
        self.add(bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.allowance.0.fetch_add(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_taken_from_one_account_and_what_was_held_comes_back() {
        let allowance = Allowance::of_a_file();
        let mut held = allowance.hold();
        held.add(MOST - 10).unwrap();
        assert_eq!(
            (allowance.clone().take(11), allowance.take(10), held.add(1)),
            (Err(Exceeded), Ok(()), Err(Exceeded))
        );
        held.set(MOST - 10).unwrap();
        drop(held);
        assert_eq!((allowance.take(MOST - 10), allowance.take(1)), (Ok(()), Err(Exceeded)));
        Allowance::unbounded().take(1 << 50).unwrap();
    }
}

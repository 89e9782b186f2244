//! A map may become so many series and no more: each costs memory here and in Prometheus. Those that there are stay, what comes later
//! is added up in one more, so that a sum over all of them stays right.

use std::collections::{HashMap, HashSet};
use std::mem;

use crate::allowance::{Allowance, Held};
use crate::decode::canonical::Canonical;

/// What an entry of a table takes besides its key.
pub const ENTRY: usize = 64;
/// What is kept is shown, and takes so many times as much then: there is room for no more than can be.
const SHOWN: usize = 3;

/// Values by key, up to a number of keys; all others in one.
#[derive(Debug)]
pub struct Bounded<Value> {
    most: usize,
    /// What a value takes, and what is held for all of them.
    each: usize,
    held: Held,
    by_key: HashMap<Vec<u8>, Value>,
    /// Where what has no room goes.
    others: Option<Value>,
    /// How often something had no room.
    pub left_out: u64,
    /// Where keys are made canonical.
    key: Vec<u8>,
}

impl<Value: Default> Bounded<Value> {
    /// Of values that take `each` bytes.
    pub fn new(most: usize, each: usize, allowance: &Allowance) -> Self {
        Self { most, each, held: allowance.hold(), by_key: HashMap::new(), others: None, left_out: 0, key: vec![] }
    }

    /// Changes the value of a record's key, or of all that have no room.
    pub fn change(&mut self, record: &[u8], canonical: &Canonical, change: impl FnOnce(&mut Value)) {
        if canonical.keeps(record) {
            return self.change_key(record, change);
        }
        let mut key = mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(record);
        canonical.apply(&mut key);
        self.change_key(&key, change);
        self.key = key;
    }

    fn change_key(&mut self, key: &[u8], change: impl FnOnce(&mut Value)) {
        if let Some(value) = self.by_key.get_mut(key) {
            change(value);
        } else if self.by_key.len() < self.most && self.held.add(SHOWN * (key.len() + self.each + ENTRY)).is_ok() {
            change(self.by_key.entry(key.to_vec()).or_default());
        } else {
            self.left_out += 1;
            change(self.others.get_or_insert_default());
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Value)> {
        self.by_key.iter().map(|(key, value)| (key.as_slice(), value))
    }

    pub fn most(&self) -> usize {
        self.most
    }

    pub fn others(&self) -> Option<&Value> {
        self.others.as_ref()
    }
}

/// The keys of a hash that are series, once it has more than may be: the kernel lists them in any order, and a series that comes and
/// goes would look like a counter that was reset.
#[derive(Debug, Default)]
pub struct Admitted(HashSet<Vec<u8>>);

impl Admitted {
    /// Looks through all keys of the hash: those that were admitted and are still there stay so, others fill the rest.
    pub fn look<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]> + Clone, count: usize, most: usize) {
        if count <= most {
            self.0.clear();
            return;
        }
        let there: HashSet<&[u8]> = keys.clone().collect();
        self.0.retain(|key| there.contains(key.as_slice()));
        for key in keys {
            if self.0.len() >= most {
                return;
            }
            if !self.0.contains(key) {
                self.0.insert(key.to_vec());
            }
        }
    }

    /// Whether a key is a series of its own. As long as there is room for all, all are.
    pub fn has(&self, key: &[u8]) -> bool {
        self.0.is_empty() || self.0.contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_added_up_and_counted() {
        let mut counts = Bounded::<i128>::new(2, size_of::<i128>(), &Allowance::unbounded());
        for key in [b"a", b"b", b"c", b"a", b"d"] {
            counts.change(key, &Canonical::default(), |count| *count += 1);
        }
        let mut all: Vec<_> = counts.iter().map(|(key, count)| (key.to_vec(), *count)).collect();
        all.sort();
        assert_eq!(all, [(b"a".to_vec(), 2), (b"b".to_vec(), 1)]);
        assert_eq!((counts.others(), counts.left_out), (Some(&2), 2));
    }

    #[test]
    fn a_key_that_was_admitted_stays_until_it_is_deleted() {
        let mut admitted = Admitted::default();
        let look = |admitted: &mut Admitted, keys: &[&[u8]]| {
            admitted.look(keys.iter().copied(), keys.len(), 2);
            keys.iter().filter(|key| admitted.has(key)).map(|key| key.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(look(&mut admitted, &[b"a", b"b"]), [b"a", b"b"]);
        assert_eq!(look(&mut admitted, &[b"a", b"b", b"c"]), [b"a", b"b"]);
        assert_eq!(look(&mut admitted, &[b"c", b"d", b"b", b"a"]), [b"b", b"a"]);
        assert_eq!(look(&mut admitted, &[b"c", b"d", b"b"]), [b"c", b"b"]);
        assert_eq!(look(&mut admitted, &[b"d"]), [b"d"]);
    }
}

//! Which elements of a hash or array are new or changed since they were shown last.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::kernel::map_reader::Elements;

/// What was shown last of each map, by key. A key that is deleted is forgotten. Keys and values are remembered by their hashes: maps have
/// hundreds of thousands, and two that nobody chose are the same once in more looks than there will be.
#[derive(Default)]
pub struct Changes {
    hasher: RandomState,
    shown: HashMap<usize, HashMap<u64, Shown>>,
    looks: u64,
}

struct Shown {
    value: u64,
    /// In which look the key was there last.
    look: u64,
}

impl Changes {
    /// The elements to show now, of those that the filters let through. What did not change is not copied: there may be many.
    pub fn take<'a>(
        &mut self,
        map: usize,
        elements: &'a Elements,
        shows: &dyn Fn(&[u8]) -> bool,
    ) -> Vec<(&'a [u8], &'a [u8])> {
        self.looks += 1;
        let (shown, look) = (self.shown.entry(map).or_default(), self.looks);
        let mut changed = vec![];
        for (key, value) in elements.iter().filter(|(key, _)| shows(key)) {
            let hash = self.hasher.hash_one(value);
            let before = shown.insert(self.hasher.hash_one(key), Shown { value: hash, look });
            if before.is_none_or(|before| before.value != hash) {
                changed.push((key, value));
            }
        }
        shown.retain(|_, before| before.look == look);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(pairs: &[(u8, u8)]) -> Elements {
        let (keys, values) = pairs.iter().copied().unzip();
        Elements { keys, values, key_size: 1, value_size: 1 }
    }

    #[test]
    fn an_element_is_shown_when_it_is_new_or_changed_and_again_after_it_was_deleted() {
        let mut changes = Changes::default();
        let mut shown = |map, pairs: &[(u8, u8)]| {
            let elements = elements(pairs);
            changes
                .take(map, &elements, &|key| key != [9])
                .iter()
                .map(|(key, value)| (key[0], value[0]))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(0, &[(1, 1), (2, 1), (9, 1)]), [(1, 1), (2, 1)]);
        assert_eq!(shown(0, &[(1, 1), (2, 2)]), [(2, 2)]);
        assert_eq!(shown(1, &[(1, 1)]), [(1, 1)], "another map");
        assert_eq!(shown(0, &[(2, 2)]), []);
        assert_eq!(shown(0, &[(1, 1), (2, 2)]), [(1, 1)]);
    }
}

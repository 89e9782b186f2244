//! Which elements of a hash or array are new or changed since they were shown last.

use std::collections::HashMap;

use crate::elements::Elements;

/// What was shown last of each map, by key. A key that is deleted is forgotten.
#[derive(Default)]
pub struct Changes(HashMap<usize, HashMap<Vec<u8>, Vec<u8>>>);

impl Changes {
    /// The elements to show now, of those that the filters let through.
    pub fn of<'a>(
        &mut self,
        map: usize,
        elements: &'a Elements,
        shows: &dyn Fn(&[u8]) -> bool,
    ) -> Vec<(&'a [u8], &'a [u8])> {
        let before = self.0.remove(&map).unwrap_or_default();
        let now: HashMap<_, _> = elements.iter().filter(|(key, _)| shows(key)).collect();
        let is_new = |(key, value): &(&[u8], &[u8])| {
            now.contains_key(key) && before.get(*key).is_none_or(|shown| shown.as_slice() != *value)
        };
        let changed = elements.iter().filter(is_new).collect();
        self.0.insert(map, now.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect());
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
                .of(map, &elements, &|key| key != [9])
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

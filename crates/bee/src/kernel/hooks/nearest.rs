//! What was meant by a name that there is not, found among a hundred thousand: each is looked at once, as it is read, and compared
//! letter by letter only if its length and its letters allow it to be more alike than the best so far.

/// Names less alike than this are no suggestion.
const ALIKE: f64 = 0.85;
/// A beginning of so many letters in common counts more, each with so much of what is not alike: Winkler's weights, as strsim has them.
const BEGINNING: usize = 4;
const WEIGHT: f64 = 0.1;
/// More than two ways to add up the same numbers differ by.
const ROUNDING: f64 = 1e-9;

/// A search for one name.
#[derive(Debug)]
pub struct Search<'a> {
    wanted: &'a str,
    /// How often each letter is in it.
    letters: [u16; 128],
    best: Option<(f64, String)>,
    looked_at: usize,
    compared: usize,
    is_there: bool,
}

impl<'a> Search<'a> {
    pub fn new(wanted: &'a str) -> Self {
        let mut letters = [0u16; 128];
        for letter in wanted.bytes().filter(u8::is_ascii) {
            letters[usize::from(letter)] = letters[usize::from(letter)].saturating_add(1);
        }
        Self { wanted, letters, best: None, looked_at: 0, compared: 0, is_there: false }
    }

    pub fn look_at(&mut self, name: &str) {
        self.looked_at += 1;
        self.is_there |= name == self.wanted;
        let least = self.best.as_ref().map_or(ALIKE, |(alike, _)| *alike);
        if self.most_alike(name) < least - ROUNDING {
            return;
        }
        self.compared += 1;
        let alike = strsim::jaro_winkler(self.wanted, name);
        if alike >= ALIKE && self.is_better(alike, name) {
            self.best = Some((alike, name.to_owned()));
        }
    }

    /// Of two that are as much alike it is the first in the alphabet, in whatever order they come.
    fn is_better(&self, alike: f64, name: &str) -> bool {
        match &self.best {
            Some((best, known)) => alike > *best || alike == *best && name < known.as_str(),
            None => true,
        }
    }

    /// Whether any name was looked at.
    pub fn saw_names(&self) -> bool {
        self.looked_at > 0
    }

    /// Whether the name itself was among them.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// The name that is most like one that there is not.
    pub fn nearest(self) -> Option<String> {
        self.best.map(|(_, name)| name)
    }

    /// What the likeness of a name is at most: as if all letters that both have were in the same places.
    fn most_alike(&self, name: &str) -> f64 {
        if !self.wanted.is_ascii() || !name.is_ascii() {
            return 1.0;
        }
        let mut letters = self.letters;
        let mut common = 0u32;
        for letter in name.bytes() {
            let left = &mut letters[usize::from(letter)];
            common += u32::from(*left > 0);
            *left = left.saturating_sub(1);
        }
        if common == 0 {
            return 0.0;
        }
        let common = f64::from(common);
        let jaro = (common / self.wanted.len() as f64 + common / name.len() as f64 + 1.0) / 3.0;
        let beginning = self.wanted.bytes().zip(name.bytes()).take(BEGINNING).take_while(|(a, b)| a == b).count();
        jaro + WEIGHT * beginning as f64 * (1.0 - jaro)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search<'a>(wanted: &'a str, names: impl IntoIterator<Item = &'a str>) -> Search<'a> {
        let mut search = Search::new(wanted);
        for name in names {
            search.look_at(name);
        }
        search
    }

    #[test]
    fn the_nearest_name_is_one_that_is_much_alike_or_none() {
        let names = ["tcp_v4_connect", "tcp_v6_connect", "udp_sendmsg"];
        assert_eq!(search("tcp_v4_conect", names).nearest().as_deref(), Some("tcp_v4_connect"));
        assert_eq!(search("blk_start", names).nearest(), None);
        assert!(search("udp_sendmsg", names).is_there() && !search("udp_sendmgs", names).is_there());
    }

    /// The work, not the time: a kernel's worth of names that are all made of the same words.
    #[test]
    fn of_a_hundred_thousand_names_few_are_compared_letter_by_letter() {
        let words = |text: &'static str| text.split(' ');
        let mut names = vec![];
        for first in words("tcp udp ip ip6 inet sock sk skb net dev vfs ext4 xfs btrfs blk bio mm vma page slab") {
            for second in words("v4 v6 get put set do new free alloc init exit add del find hash sync read write open")
            {
                for third in words("connect close send recv queue lock unlock table entry state timer work cache list")
                {
                    for last in ["", "_rcu", "_slow", "_fast", "_locked", "_nowait", "_one", "_all", "_begin", "_end"] {
                        names.extend(
                            ["", "__"].map(|first_of_all| format!("{first_of_all}{first}_{second}_{third}{last}")),
                        );
                    }
                }
            }
        }
        let search = search("tcp_v4_conect", names.iter().map(String::as_str));
        assert!(search.looked_at > 100_000 && search.compared * 100 < search.looked_at, "{search:?}");
        assert_eq!(search.nearest().as_deref(), Some("tcp_v4_connect"));
    }

    proptest! {
        /// Names of few letters, so that many are alike, and some of letters that are none of ASCII.
        #[test]
        fn what_is_not_compared_would_not_have_been_the_nearest(
            wanted in "[a-dé_]{1,9}",
            names in prop::collection::vec("[a-dé_]{0,12}", 0..40),
        ) {
            let alike = |name: &&String| strsim::jaro_winkler(&wanted, name);
            let best = names.iter().map(|name| alike(&name)).filter(|alike| *alike >= ALIKE).max_by(f64::total_cmp);
            let found = search(&wanted, names.iter().map(String::as_str)).nearest();
            prop_assert_eq!(found.as_ref().map(|name| alike(&name)), best);
        }
    }
}

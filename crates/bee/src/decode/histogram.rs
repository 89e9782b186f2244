//! Histograms: how many events had which value, by upper bounds that stay the same for the whole run.

use std::fmt;
use std::str::FromStr;

/// The upper bounds of the buckets, ascending; above the last one only `+Inf` counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets(Vec<i128>);

/// More would be as many series for each set of labels.
const MOST: usize = 100;
/// Powers of two up to 2^35: nanoseconds from 1 to half a minute, bytes to 32 GB.
const POWERS: u32 = 36;

/// A text that is no list of buckets; says what one looks like.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid buckets {0:?}: expected ascending bounds as in 10,100,1000, or log2:COUNT, or linear:START:WIDTH:COUNT; {MOST} at most"
)]
pub struct Malformed(String);

impl Default for Buckets {
    fn default() -> Self {
        Self::powers_of_two(POWERS)
    }
}

impl FromStr for Buckets {
    type Err = Malformed;

    fn from_str(written: &str) -> Result<Self, Malformed> {
        // BumbleBee has them in brackets.
        let text = written.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(written);
        let bounds = if let Some(count) = text.strip_prefix("log2:") {
            powers(count)
        } else if let Some(parts) = text.strip_prefix("linear:") {
            linear(parts)
        } else {
            numbers(text, ',')
        };
        match bounds {
            Some(bounds) if is_valid(&bounds) => Ok(Self(bounds)),
            _ => Err(Malformed(written.to_owned())),
        }
    }
}

/// So many powers of two.
fn powers(count: &str) -> Option<Vec<i128>> {
    let count = count.parse().ok()?;
    if count <= 63 { Some(Buckets::powers_of_two(count).0) } else { None }
}

/// The bounds of `START:WIDTH:COUNT`.
fn linear(parts: &str) -> Option<Vec<i128>> {
    let [start, width, count] = numbers(parts, ':')?[..] else { return None };
    if !(0..=MOST as i128).contains(&count) {
        return None;
    }
    Some((0..count).map(|index| start + index * width).collect())
}

/// Numbers of 64 bits.
fn numbers(list: &str, separator: char) -> Option<Vec<i128>> {
    list.split(separator).map(|number| number.trim().parse::<i64>().ok().map(i128::from)).collect()
}

/// Some bounds, not too many, that ascend.
fn is_valid(bounds: &[i128]) -> bool {
    (1..=MOST).contains(&bounds.len()) && bounds.is_sorted_by(|a, b| a < b)
}

impl Buckets {
    /// How many bounds there are; never none.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What a histogram with these takes, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Histogram>() + (self.len() + 1) * size_of::<u64>()
    }

    fn powers_of_two(count: u32) -> Self {
        Self((0..count).map(|power| 1 << power).collect())
    }
}

/// As a list of bounds.
impl fmt::Display for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(i128::to_string).collect::<Vec<_>>().join(","))
    }
}

/// What was observed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// By bucket, not added up; the last one is for what is above all bounds.
    counts: Vec<u64>,
    /// All values together; `None` if nobody added them up.
    pub sum: Option<i128>,
}

impl Histogram {
    pub fn observe(&mut self, buckets: &Buckets, value: i128) {
        self.counts.resize(buckets.0.len() + 1, 0);
        self.counts[buckets.0.partition_point(|bound| *bound < value)] += 1;
        *self.sum.get_or_insert_default() += value;
    }

    /// Adds so many values in the bucket of this number, or above all bounds.
    pub fn put(&mut self, buckets: &Buckets, bucket: usize, count: u64) {
        self.counts.resize(buckets.0.len() + 1, 0);
        self.counts[bucket.min(buckets.0.len())] += count;
    }

    /// What it takes, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.counts.len() * size_of::<u64>()
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each bound, as Prometheus writes it, and how many values were at most that.
    pub fn cumulative(&self, buckets: &Buckets) -> Vec<(String, u64)> {
        let bounds = buckets.0.iter().map(i128::to_string).chain(["+Inf".to_owned()]);
        let (mut cumulative, mut below) = (Vec::with_capacity(self.counts.len()), 0);
        for (bound, count) in bounds.zip(&self.counts) {
            below += count;
            cumulative.push((bound, below));
        }
        cumulative
    }

    /// Adds what another one has observed, in the same buckets.
    pub fn add(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        if let Some(sum) = other.sum {
            *self.sum.get_or_insert_default() += sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(text: &str) -> Vec<i128> {
        text.parse::<Buckets>().unwrap().0
    }

    #[test]
    fn values_count_in_the_first_bucket_that_holds_them_and_all_above() {
        let buckets: Buckets = "10,100".parse().unwrap();
        let mut histogram = Histogram::default();
        [-5, 10, 11, 1000].into_iter().for_each(|value| histogram.observe(&buckets, value));
        let cumulative: Vec<_> = histogram.cumulative(&buckets);
        assert_eq!(cumulative, [("10".to_owned(), 2), ("100".to_owned(), 3), ("+Inf".to_owned(), 4)]);
        assert_eq!((histogram.count(), histogram.sum), (4, Some(1016)));
        let mut both = Histogram::default();
        both.add(&histogram);
        both.add(&histogram);
        assert_eq!((both.count(), both.sum), (8, Some(2032)));
    }

    #[test]
    fn bounds_are_listed_or_made() {
        assert_eq!(bounds("log2:4"), [1, 2, 4, 8]);
        assert_eq!(bounds("linear:0:50:3"), [0, 50, 100]);
        assert_eq!(bounds("-1, 7"), [-1, 7]);
        for wrong in ["", "3,2", "1,1", "log2:64", "log2:0", "linear:0:0:3", "linear:0:1:101", "linear:1:2", "many"] {
            assert!(wrong.parse::<Buckets>().is_err(), "{wrong}");
        }
    }
}

//! What the outputs show of a map beside its series: the largest values, the elements as they are, the sums over all CPUs.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::decode::layout::{Layout, Shape};
use crate::decode::{decode, integer_at, number};
use crate::export::map::{Exported, Totals, Unreadable, lock, of_each_cpu};
use crate::object::{Kind, Source};

/// The values of its labels, and its own: of a struct, each number.
pub type Shown = (Vec<String>, Vec<i128>);

impl Exported {
    /// What its numbers are called.
    pub fn columns(&self) -> Vec<&str> {
        match self.measures.as_slice() {
            [] => vec!["value"],
            [number] if number.name.is_empty() => vec!["value"],
            numbers => numbers.iter().map(|number| number.name.as_str()).collect(),
        }
    }

    /// Those with the largest values (of a histogram: the most events; of a struct: of its first number), the largest first. Only these are
    /// decoded.
    pub fn largest(&self, most: usize, shown: &dyn Fn(&[u8]) -> bool) -> Result<Vec<Shown>, Unreadable> {
        let elements = self.elements()?;
        let (kept, _held) = self.kept(&elements)?;
        let (events, observed) = (lock(&self.events), lock(&self.observed));
        let mut held = self.answers.hold();
        let (first, more) =
            self.measures.split_first().map_or((None, [].as_slice()), |(first, more)| (Some(first), more));
        let mut all: Totals = match (&self.map.source, first) {
            (Source::Elements { .. }, Some(first)) if self.map.kind != Kind::Histogram => {
                self.totals(&elements, first, &mut held)?
            }
            (Source::Elements { .. }, _) => {
                kept.iter().map(|(key, histogram)| (Cow::Borrowed(&**key), histogram.count().into())).collect()
            }
            (Source::Events(_), _) => {
                let counts = observed.iter().map(|(key, histogram)| (key, histogram.count().into()));
                let values = events.iter().map(|(key, value)| (key, *value)).chain(counts);
                values.map(|(key, value)| (Cow::Borrowed(key), value)).collect()
            }
        };
        all.retain(|(key, _)| shown(key));
        if all.len() > most {
            all.select_nth_unstable_by_key(most, |(_, value)| Reverse(*value));
            all.truncate(most);
        }
        all.sort_by(|(a, one), (b, other)| (Reverse(one), a).cmp(&(Reverse(other), b)));
        let others = more.iter().map(|measure| Ok(self.totals(&elements, measure, &mut held)?.into_iter().collect()));
        let others = others.collect::<Result<Vec<HashMap<_, _>>, Unreadable>>()?;
        Ok(all.into_iter().map(|(key, value)| (self.labels.values(&key), values(value, &key, &others))).collect())
    }

    /// The value of an element, as it is shown: of several CPUs, the sum.
    pub(crate) fn shown(&self, bytes: &[u8]) -> Option<Value> {
        match &self.map.source {
            Source::Elements { value, per_cpu: true, .. } => {
                sums(value, &of_each_cpu(value, bytes).collect::<Vec<_>>(), (0, None))
            }
            Source::Elements { value, .. } => decode(value, bytes).ok(),
            Source::Events(_) => None,
        }
    }

    /// Elements of a printed hash, as many as `most`: the values of their labels, and their own.
    pub fn printed(
        &self,
        most: usize,
        shows: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Vec<(Vec<String>, String)>, Unreadable> {
        let elements = self.elements()?;
        let mut rows = vec![];
        for (key, values) in elements.iter().filter(|(key, _)| shows(key)).take(most) {
            if let Some(value) = self.shown(values) {
                rows.push((self.labels.values(key), value.to_string()));
            }
        }
        Ok(rows)
    }
}

/// All numbers of a key, of which the first is known.
fn values(first: i128, key: &[u8], others: &[HashMap<Cow<[u8]>, i128>]) -> Vec<i128> {
    let others = others.iter().map(|other| other.get(key).copied().unwrap_or_default());
    [first].into_iter().chain(others).collect()
}

/// The integers of a value, added up over these of several CPUs; `None` where there are none.
fn sums(layout: &Layout, values: &[&[u8]], (offset, bits): (usize, Option<usize>)) -> Option<Value> {
    match &layout.shape {
        _ if layout.is_integer() => {
            values.iter().map(|value| integer_at(layout, value, offset, bits)).sum::<Option<i128>>().map(number)
        }
        Shape::Struct(fields) => {
            let sums = fields.iter().filter_map(|field| {
                Some((field.name.clone(), sums(&field.layout, values, (offset + field.offset, field.bits))?))
            });
            Some(sums.collect::<Map<_, _>>()).filter(|sums| !sums.is_empty()).map(Value::Object)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::layout::Field;
    use serde_json::json;

    #[test]
    fn values_of_several_cpus_are_added_up_number_by_number() {
        let number = Layout { size: 4, shape: Shape::Unsigned };
        let (one, other) = ([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], [2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(sums(&number, &[&one, &other], (0, None)), Some(json!(3)));
        let field = |name: &str, byte: usize, shape| Field {
            name: name.into(),
            offset: byte * 8,
            bits: None,
            layout: Layout { size: 4, shape },
        };
        let inner = Shape::Struct(vec![field("b", 0, Shape::Signed), field("comm", 0, Shape::Text)]);
        let value =
            Layout { size: 8, shape: Shape::Struct(vec![field("a", 0, Shape::Unsigned), field("in", 4, inner)]) };
        assert_eq!(sums(&value, &[&one, &other], (0, None)), Some(json!({ "a": 3, "in": { "b": -1 } })));
        assert_eq!(sums(&Layout { size: 4, shape: Shape::Text }, &[&one], (0, None)), None);
    }
}

//! Which events and elements are shown: `comm==curl`, `dport>=1024`, `took>2us`, `comm~^ku`. Metrics hold all of them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use regex::Regex;

use crate::decode::comparand::Comparand;
use crate::decode::labels::{Labels, Part};

/// A condition on a field, of one map or of all that have the field.
#[derive(Debug, Clone)]
pub struct Filter {
    text: String,
    map: Option<String>,
    field: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Matches(Regex),
    Compares(Operator, Comparand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// Why a text is no filter; says what one looks like.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error(
        "invalid filter {0:?}: expected FIELD==VALUE, !=, >=, <=, >, < or FIELD~REGEX, before it MAP: for one map only"
    )]
    Form(String),
    #[error("invalid filter {text:?}: invalid regular expression")]
    Regex { text: String, source: regex::Error },
}

/// A filter that some map can't answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("no map has a field for --filter {filter}; fields: {known}")]
    Field { filter: String, known: String },
    #[error("invalid filter {filter:?}: field {field} of map {map} is {what}")]
    Value { filter: String, field: String, map: String, what: String },
}

/// Longer ones first: `>=` begins as `>` does.
const OPERATORS: [&str; 9] = ["==", "!=", ">=", "<=", "=~", "~", ">", "<", "="];

impl FromStr for Filter {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some(filter) = bumblebees(text) {
            return filter;
        }
        let Some((before, operator, value)) = split(text) else { return Err(Malformed::Form(text.to_owned())) };
        let (map, field) = match before.split_once(':') {
            Some((map, field)) => (Some(map.trim().to_owned()), field.trim()),
            None => (None, before.trim()),
        };
        if field.is_empty() {
            return Err(Malformed::Form(text.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            map,
            field: field.to_owned(),
            test: Test::parse(text, operator, value.trim())?,
        })
    }
}

/// BumbleBee's own form: `map,key,regex`. The expression may have commas.
fn bumblebees(text: &str) -> Option<Result<Filter, Malformed>> {
    let (map, rest) = text.split_once(',')?;
    let (field, expression) = rest.split_once(',')?;
    if !is_name(map) || !is_name(field) {
        return None;
    }
    let test = match Test::parse(text, "~", expression) {
        Ok(test) => test,
        Err(malformed) => return Some(Err(malformed)),
    };
    Some(Ok(Filter { text: text.to_owned(), map: Some(map.to_owned()), field: field.to_owned(), test }))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The text before the first operator, that operator, and the text behind it.
fn split(text: &str) -> Option<(&str, &'static str, &str)> {
    let mut first: Option<(&str, &str, &str)> = None;
    for operator in OPERATORS {
        let Some((before, value)) = text.split_once(operator) else { continue };
        if first.is_none_or(|(shortest, ..)| before.len() < shortest.len()) {
            first = Some((before, operator, value));
        }
    }
    first
}

impl Test {
    fn parse(text: &str, operator: &str, value: &str) -> Result<Self, Malformed> {
        let operator = match operator {
            "==" | "=" => Operator::Equal,
            "!=" => Operator::Unequal,
            ">=" => Operator::AtLeast,
            "<=" => Operator::AtMost,
            ">" => Operator::Above,
            "<" => Operator::Below,
            _ => {
                let regex = Regex::new(value);
                return regex.map(Self::Matches).map_err(|source| Malformed::Regex { text: text.to_owned(), source });
            }
        };
        Ok(Self::Compares(operator, Comparand::new(value)))
    }

    fn takes(&self, part: &Part, record: &[u8]) -> bool {
        match self {
            Self::Matches(expression) => expression.is_match(&part.text(record)),
            Self::Compares(Operator::Equal, wanted) => wanted.is(part, record),
            Self::Compares(Operator::Unequal, wanted) => !wanted.is(part, record),
            Self::Compares(operator, wanted) => {
                wanted.compare(part, record).is_some_and(|ordering| operator.holds(ordering))
            }
        }
    }

    /// What a field is that can't be compared so.
    fn refusal(&self, part: &Part) -> Option<String> {
        match self {
            Self::Matches(_) => None,
            Self::Compares(Operator::Equal | Operator::Unequal, wanted) => wanted.unequal_to_all(part),
            Self::Compares(_, wanted) => wanted.uncomparable(part),
        }
    }
}

impl Operator {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Unequal => ordering.is_ne(),
            Self::AtLeast => ordering.is_ge(),
            Self::AtMost => ordering.is_le(),
            Self::Above => ordering.is_gt(),
            Self::Below => ordering.is_lt(),
        }
    }
}

impl Filter {
    /// Whether a record of a map is shown. What the filter does not speak of is.
    pub fn takes(&self, map: &str, labels: &Labels, record: &[u8]) -> bool {
        if !self.is_about(map) {
            return true;
        }
        labels.part(&self.field).is_none_or(|part| self.test.takes(part, record))
    }

    /// Sees that some map has the field, and that it can be compared: a filter that was mistyped would show everything, or nothing.
    ///
    /// # Errors
    /// None has, and the error names the fields that there are; or what the field is that can't be compared so.
    pub fn check<'a>(&self, maps: impl Iterator<Item = (&'a str, Labels)>) -> Result<(), Unanswered> {
        let (mut known, mut is_found) = (vec![], false);
        for (map, labels) in maps {
            if self.is_about(map)
                && let Some(part) = labels.part(&self.field)
            {
                is_found = true;
                if let Some(what) = self.test.refusal(part) {
                    let (filter, field, map) = (self.text.clone(), self.field.clone(), map.to_owned());
                    return Err(Unanswered::Value { filter, field, map, what });
                }
            }
            known.extend(labels.names().map(|name| format!("{map}:{name}")));
        }
        if is_found {
            return Ok(());
        }
        Err(Unanswered::Field { filter: self.text.clone(), known: known.join(", ") })
    }

    fn is_about(&self, map: &str) -> bool {
        self.map.as_deref().is_none_or(|wanted| wanted == map)
    }
}

/// As it was written.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::layout::{Field, Layout, Shape};

    fn labels() -> Labels {
        let port =
            Field { name: "port".into(), offset: 0, bits: None, layout: Layout { size: 2, shape: Shape::Unsigned } };
        let comm =
            Field { name: "comm".into(), offset: 16, bits: None, layout: Layout { size: 6, shape: Shape::Text } };
        Labels::new(&Layout { size: 8, shape: Shape::Struct(vec![port, comm]) }, None)
    }

    fn takes(filter: &str) -> bool {
        let filter: Filter = filter.parse().unwrap_or_else(|error| panic!("{error}"));
        filter.takes("events", &labels(), b"\xbb\x01curl\0\0")
    }

    /// A5 #17: a regular expression may hold a comma, and a bad one ends nothing.
    #[test]
    fn each_operator_compares_as_it_says() {
        for taken in [
            "port==443",
            "port=443",
            "comm==curl",
            "comm=curl",
            "comm!=wget",
            "port>=443",
            "port<=443",
            "port>80",
            "port < 500",
            "comm~^cu",
        ] {
            assert!(takes(taken), "{taken}");
        }
        for refused in
            ["port==80", "comm!=curl", "port>443", "port<443", "comm=~^u", "events:comm==wget", "events,comm,^w{1,2}"]
        {
            assert!(!takes(refused), "{refused}");
        }
    }

    #[test]
    fn what_a_filter_does_not_speak_of_is_shown() {
        assert!(takes("sizes:comm==wget") && takes("saddr==10.0.0.1"));
        let maps = || std::iter::once(("events", labels()));
        assert!("comm==x".parse::<Filter>().unwrap().check(maps()).is_ok());
        let error = "con==x".parse::<Filter>().unwrap().check(maps()).unwrap_err().to_string();
        assert_eq!(error, "no map has a field for --filter con==x; fields: events:comm, events:port");
    }

    #[test]
    fn what_can_not_be_compared_is_refused() {
        let refused = |filter: &str| {
            let filter = filter.parse::<Filter>().unwrap();
            filter.check(std::iter::once(("events", labels()))).unwrap_err().to_string()
        };
        assert!(refused("port>=many").ends_with("field port of map events is a number"));
        assert!(refused("port==many").ends_with("is a number"));
        assert!(refused("comm>3").ends_with("field comm of map events is text, which has no order"));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for wrong in ["comm", "==x", "comm~(", "events,comm"] {
            assert!(wrong.parse::<Filter>().is_err(), "{wrong}");
        }
    }
}

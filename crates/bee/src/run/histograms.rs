//! What the command line says of histograms: of all, or in BumbleBee's form of one map, `-b "map,[1,2,3]"` and `-k map,key`.

use std::fmt;
use std::str::FromStr;

use crate::decode::histogram::{self, Buckets};
use crate::object::{self, Kind, Source};
use crate::run::Error;

/// The bounds of one histogram, or of all whose map it does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketsOf {
    map: Option<String>,
    buckets: Buckets,
}

/// The field of events that is the value of one histogram, or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueOf {
    map: Option<String>,
    field: String,
}

/// A text that names no field.
#[derive(Debug, thiserror::Error)]
#[error("invalid value key {0:?}: expected FIELD or MAP,FIELD")]
pub struct Malformed(String);

impl FromStr for BucketsOf {
    type Err = histogram::Malformed;

    fn from_str(text: &str) -> Result<Self, histogram::Malformed> {
        match text.split_once(',') {
            Some((map, buckets)) if is_map(map) => Ok(Self { map: Some(map.to_owned()), buckets: buckets.parse()? }),
            _ => Ok(Self { map: None, buckets: text.parse()? }),
        }
    }
}

/// No bound begins so.
fn is_map(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !text.contains(':')
}

impl FromStr for ValueOf {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (map, field) = text.split_once(',').map_or((None, text), |(map, field)| (Some(map), field));
        if field.is_empty() || field.contains(',') || map.is_some_and(str::is_empty) {
            return Err(Malformed(text.to_owned()));
        }
        Ok(Self { map: map.map(str::to_owned), field: field.to_owned() })
    }
}

impl fmt::Display for BucketsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", prefix(self.map.as_deref()), self.buckets)
    }
}

impl fmt::Display for ValueOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", prefix(self.map.as_deref()), self.field)
    }
}

fn prefix(map: Option<&str>) -> String {
    map.map(|map| format!("{map},")).unwrap_or_default()
}

/// Changes the histograms among these maps. Of what is said twice the last holds, and what is said of one map before what is said of all.
pub(super) fn apply<'a>(
    maps: impl Iterator<Item = &'a mut object::Map>,
    buckets: &[BucketsOf],
    values: &[ValueOf],
) -> Result<(), Error> {
    let mut maps: Vec<_> = maps.filter(|map| map.kind == Kind::Histogram).collect();
    if maps.is_empty() && !(buckets.is_empty() && values.is_empty()) {
        return Err(Error::NoHistogram);
    }
    let named = buckets.iter().map(|it| &it.map).chain(values.iter().map(|it| &it.map)).flatten();
    if let Some(map) = named.into_iter().find(|name| maps.iter().all(|map| map.name != **name)) {
        return Err(Error::NotAHistogram { map: map.clone(), known: names(&maps) });
    }
    for map in &mut maps {
        choose_buckets(map, buckets)?;
    }
    // One that the probe keeps in a hash has its buckets there, and no value.
    let kept = maps.iter().find(|map| !matches!(map.source, Source::Events(_))).map(|map| map.name.clone());
    maps.retain(|map| matches!(map.source, Source::Events(_)));
    if let (Some(map), [], [_, ..]) = (kept, maps.as_slice(), buckets) {
        return Err(Error::KeptBuckets { map });
    }
    choose_values(&mut maps, values)
}

fn names(maps: &[&mut object::Map]) -> String {
    maps.iter().map(|map| map.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn choose_buckets(map: &mut object::Map, wanted: &[BucketsOf]) -> Result<(), Error> {
    let own = wanted.iter().rfind(|it| it.map.as_ref() == Some(&map.name));
    let of_all = wanted.iter().rfind(|it| it.map.is_none());
    let is_kept = !matches!(map.source, Source::Events(_));
    match own.or(of_all) {
        Some(_) if is_kept && own.is_some() => return Err(Error::KeptBuckets { map: map.name.clone() }),
        Some(BucketsOf { buckets, .. }) if !is_kept => map.buckets = Some(buckets.clone()),
        _ => {}
    }
    Ok(())
}

/// Each takes the field that was asked for, or if its events lack it and another's have it, its own.
fn choose_values(maps: &mut [&mut object::Map], wanted: &[ValueOf]) -> Result<(), Error> {
    let of_all = wanted.iter().rfind(|it| it.map.is_none()).map(|it| it.field.as_str());
    let some_has_it = of_all.is_some_and(|field| maps.iter().any(|map| map.integer_field(field).is_some()));
    for map in maps {
        let own = wanted.iter().rfind(|it| it.map.as_ref() == Some(&map.name)).map(|it| it.field.as_str());
        let of_all = of_all.filter(|field| !some_has_it || map.integer_field(field).is_some());
        if let Some(field) = own.or(of_all) {
            map.value = field.to_owned();
        }
        if map.value().is_none() {
            return Err(Error::NoValue { map: map.name.clone(), field: map.value.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_of_one_map_or_of_all() {
        for (text, shown) in [
            ("took,[1,2,3]", "took,1,2,3"),
            ("took,1,2,3", "took,1,2,3"),
            ("took,log2:3", "took,1,2,4"),
            ("[1, 2]", "1,2"),
            ("10,100", "10,100"),
            ("linear:0:5:2", "0,5"),
            ("-5,5", "-5,5"),
        ] {
            let parsed: BucketsOf = text.parse().unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(parsed, shown.parse().unwrap(), "{text}");
        }
        for wrong in ["took", "took,", "took,[3,2]", ",1,2", "took,[1", "[1,2", "took,[]"] {
            assert!(wrong.parse::<BucketsOf>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_is_a_field_of_one_map_or_of_all() {
        for text in ["took", "events,took"] {
            assert_eq!(text.parse::<ValueOf>().unwrap().to_string(), text);
        }
        for wrong in ["", ",took", "events,", "a,b,c"] {
            assert!(wrong.parse::<ValueOf>().is_err(), "{wrong}");
        }
    }
}

//! The names that a map gives to metrics and labels. For one that is not legal or stands twice Prometheus refuses the whole scrape, and
//! with it the metrics of every other probe: such a probe is refused when it is built and before it runs.

use crate::decode::labels::{join, label_name};
use crate::object::measures::{Measure, Measures};
use crate::object::{Kind, Map};

/// The names of a probe's own metrics begin as BumbleBee's do, and go on with the map's name as it is written.
const PREFIX: &str = "ebpf_solo_io_";
/// What the samples of a histogram end in, `_created` in OpenMetrics alone.
const OF_HISTOGRAMS: [&str; 4] = ["_bucket", "_sum", "_count", "_created"];

/// The name of the metric that a map is.
pub fn metric(map: &str) -> String {
    format!("{PREFIX}{}", label_name(map))
}

/// The names of all metrics that a map is: one, or one for each number of its values.
pub fn metrics(map: &Map) -> Vec<String> {
    let numbers = Measures::of_map(map).numbers;
    match (map.kind, numbers.as_slice()) {
        (Kind::Print, _) => vec![],
        (_, []) => vec![metric(&map.name)],
        (_, numbers) => numbers.iter().map(|number| metric(&name_of(map, number))).collect(),
    }
}

fn name_of(map: &Map, number: &Measure) -> String {
    if number.name.is_empty() { map.name.clone() } else { join(&map.name, &number.name) }
}

/// Two maps whose metrics have a name in common, and that name.
pub fn clash<'a>(maps: impl Iterator<Item = &'a Map>) -> Option<(&'a Map, &'a Map, String)> {
    let mut taken: Vec<(String, &Map)> = vec![];
    for map in maps.filter(|map| map.kind != Kind::Print) {
        for name in names(map) {
            if let Some((name, first)) =
                taken.iter().find(|(other, first)| *other == name && !std::ptr::eq(*first, map))
            {
                return Some((*first, map, name.clone()));
            }
            taken.push((name, map));
        }
    }
    None
}

/// Every name of a family or sample that a map takes, in either format.
fn names(map: &Map) -> Vec<String> {
    metrics(map).into_iter().flat_map(|metric| names_of_metric(map.kind, metric)).collect()
}

fn names_of_metric(kind: Kind, name: String) -> Vec<String> {
    let mut names = vec![];
    match kind {
        // OpenMetrics calls the family so.
        Kind::Counter => names.extend(name.strip_suffix("_total").map(str::to_owned)),
        Kind::Histogram => names.extend(OF_HISTOGRAMS.map(|end| format!("{name}{end}"))),
        Kind::Gauge | Kind::Print => {}
    }
    names.push(name);
    names
}

/// Why the numbers of a map's values can't all be metrics.
pub fn check_metrics(map: &Map) -> Result<(), String> {
    let mut names = names(map);
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(format!("two fields of its values would be the metric {}: rename one of them", twice[0])),
        None => Ok(()),
    }
}

/// Why a map's series can't have the labels that its type says.
pub fn check_labels(map: &Map) -> Result<(), String> {
    if map.kind == Kind::Print {
        return Ok(());
    }
    let labels = map.labels();
    let mut names: Vec<_> = labels.names().collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("two of its fields would be the label {}: rename one of them", twice[0]));
    }
    if map.kind == Kind::Histogram && names.contains(&"le") {
        return Err("its field le would be taken for the bound of a bucket: rename it".to_owned());
    }
    if names.contains(&"__name__") {
        return Err("its field __name__ would be taken for the name of the metric: rename it".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::layout::{Field, Layout, Shape};
    use crate::object::Source;

    fn map(name: &str, kind: Kind, key: Layout) -> Map {
        let value = Layout { size: 8, shape: Shape::Unsigned };
        Map {
            name: name.into(),
            kind,
            source: Source::Elements { key, value, per_cpu: false },
            help: None,
            unit: None,
            buckets: None,
            value: "value".into(),
            by_cpu: false,
        }
    }

    fn number() -> Layout {
        Layout { size: 4, shape: Shape::Unsigned }
    }

    fn fields(names: &[&str]) -> Layout {
        let field = |(index, name): (usize, &&str)| Field {
            name: (*name).into(),
            offset: index * 32,
            bits: None,
            layout: number(),
        };
        Layout { size: names.len() * 4, shape: Shape::Struct(names.iter().enumerate().map(field).collect()) }
    }

    #[test]
    fn metrics_that_would_share_a_name_clash() {
        let clashes = |maps: &[(&str, Kind)]| {
            let maps: Vec<_> = maps.iter().map(|(name, kind)| map(name, *kind, number())).collect();
            clash(maps.iter()).map(|(first, second, name)| (first.name.clone(), second.name.clone(), name))
        };
        for (other, kind) in
            [("took_count", Kind::Counter), ("took_sum", Kind::Gauge), ("took_bucket", Kind::Histogram)]
        {
            let name = format!("ebpf_solo_io_{other}");
            assert_eq!(clashes(&[("took", Kind::Histogram), (other, kind)]), Some(("took".into(), other.into(), name)));
        }
        assert!(clashes(&[("x", Kind::Gauge), ("x_total", Kind::Counter)]).is_some(), "of one family in OpenMetrics");
        assert!(clashes(&[("x", Kind::Gauge), ("x_total", Kind::Gauge)]).is_none());
        assert!(clashes(&[("took_count", Kind::Print), ("took", Kind::Histogram)]).is_none());
        assert!(clashes(&[("took", Kind::Histogram), ("took_counts", Kind::Counter)]).is_none());
    }

    #[test]
    fn labels_stand_once_and_none_is_prometheus_own() {
        let refused = |kind, key| check_labels(&map("m", kind, key)).unwrap_err();
        let inner = Layout {
            size: 4,
            shape: Shape::Struct(vec![Field { name: "port".into(), offset: 0, bits: None, layout: number() }]),
        };
        let nested = |name: &str| {
            let src = Field { name: "src".into(), offset: 0, bits: None, layout: inner.clone() };
            let other = Field { name: name.into(), offset: 32, bits: None, layout: number() };
            Layout { size: 8, shape: Shape::Struct(vec![src, other]) }
        };
        assert!(refused(Kind::Counter, nested("src_port")).contains("the label src_port"));
        assert_eq!(check_labels(&map("m", Kind::Counter, nested("dst_port"))), Ok(()));
        assert_eq!(check_labels(&map("m", Kind::Print, nested("src_port"))), Ok(()));
        assert!(refused(Kind::Histogram, fields(&["bucket", "le"])).contains("le would be taken"));
        assert_eq!(check_labels(&map("m", Kind::Counter, fields(&["le"]))), Ok(()));
        assert!(refused(Kind::Gauge, fields(&["__name__"])).contains("__name__"));
    }
}

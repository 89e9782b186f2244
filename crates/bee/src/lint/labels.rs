//! Labels that take ever new values: each is a time series of its own, in bee and in Prometheus, for as long as they run.

use crate::decode::layout::{Field, Layout, Shape};
use crate::decode::typedefs::Meaning;
use crate::object::{Kind, Map, Source};

/// Members that have such values, by their usual names.
const ENDLESS: [&str; 19] = [
    "pid",
    "tid",
    "tgid",
    "ppid",
    "ts",
    "time",
    "timestamp",
    "start",
    "when",
    "ktime",
    "port",
    "sport",
    "dport",
    "lport",
    "rport",
    "inode",
    "ino",
    "cookie",
    "seq",
];

/// The labels of a metric that take ever new values.
pub fn endless(map: &Map) -> Vec<String> {
    let layout = match &map.source {
        _ if map.kind == Kind::Print => return vec![],
        Source::Events(layout) => layout,
        Source::Elements { key, .. } => key,
    };
    let Shape::Struct(fields) = &layout.shape else { return vec![] };
    fields.iter().filter(|field| is_endless(field)).map(|field| field.name.clone()).collect()
}

pub fn message(map: &str, label: &str) -> String {
    format!(
        "{label} is a label of the metric that map {map} becomes, and takes ever new values, each a time series that stays: leave it \
         out, or print the map"
    )
}

fn is_endless(Field { name, layout, .. }: &Field) -> bool {
    let Layout { shape, .. } = layout;
    let by_type = matches!(
        shape,
        Shape::Duration | Shape::Pointer | Shape::Socket(_) | Shape::Meaning(Meaning::Time | Meaning::Port)
    );
    by_type || ENDLESS.contains(&name.as_str())
}

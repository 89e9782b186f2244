//! The text that Prometheus scrapes (<https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4).

use std::fmt::Write;
use std::sync::atomic::Ordering;

use crate::labels::label_name;
use crate::object::Kind;
use crate::run::Running;
use crate::series::{Exported, Losses, Series};

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The names of a probe's own metrics begin as BumbleBee's do, and go on with the map's name as it is written.
const PREFIX: &str = "ebpf_solo_io_";

/// All metrics at this moment.
pub(crate) fn text(Running { maps, losses, misses }: &Running) -> String {
    let mut text = String::new();
    for exported in maps.iter().filter(|exported| exported.map.kind != Kind::Print) {
        match exported.series() {
            Ok(series) => family(&mut text, exported, &series),
            Err(error) => eprintln!("map {} can't be read: {error:#}", exported.map.name),
        }
    }
    own(&mut text, maps, losses);
    table(
        &mut text,
        ("bee_runs_missed_total", "program"),
        "counter",
        "Runs that the kernel left out because the program was running on that processor; absent before Linux 5.12.",
        misses.counts(),
    );
    text
}

fn family(text: &mut String, exported: &Exported, series: &Series) {
    let name = format!("{PREFIX}{}", label_name(&exported.map.name));
    let kind = if exported.map.kind == Kind::Gauge { "gauge" } else { "counter" };
    header(text, &name, kind, &format!("What the probe keeps in its map {}.", exported.map.name));
    for (labels, value) in series.iter() {
        sample(text, &name, labels, value);
    }
}

/// bee's own account of what is missing.
fn own(text: &mut String, maps: &[Exported], losses: &Losses) {
    let of = |exported: &Exported| (exported.map.name.clone(), losses.of(&exported.map));
    let is_ring = |exported: &&Exported| matches!(exported.map.source, crate::object::Source::Events(_));
    let counted = |ring: bool| maps.iter().filter(move |exported| is_ring(exported) == ring).map(of);
    let known = |all: Vec<(String, Option<u64>)>| {
        all.into_iter().filter_map(|(map, lost)| Some((map, lost?))).collect::<Vec<_>>()
    };
    table(
        text,
        ("bee_events_lost_total", "map"),
        "counter",
        "Events that a full ring buffer refused; absent for probes that do not count them.",
        known(counted(true).collect()),
    );
    table(
        text,
        ("bee_inserts_failed_total", "map"),
        "counter",
        "Keys that a full hash refused; absent for probes that do not count them.",
        known(counted(false).collect()),
    );
    let loss_known = maps
        .iter()
        .map(|exported| (exported.map.name.clone(), u64::from(losses.of(&exported.map).is_some())))
        .collect();
    table(
        text,
        ("bee_loss_known", "map"),
        "gauge",
        "Whether the probe counts what is lost: 1 it does, 0 nobody knows.",
        loss_known,
    );
    let read = |counter: fn(&Exported) -> &std::sync::atomic::AtomicU64| {
        maps.iter().map(|exported| (exported.map.name.clone(), counter(exported).load(Ordering::Relaxed))).collect()
    };
    table(
        text,
        ("bee_records_bad_total", "map"),
        "counter",
        "Records that were shorter than their type.",
        read(|exported| &exported.bad),
    );
    table(
        text,
        ("bee_series_left_out", "map"),
        "gauge",
        "Series, or events of such, beyond the most that one map may have.",
        read(|exported| &exported.overflow),
    );
}

/// One family; each row has its own value of the one label.
fn table(text: &mut String, (name, label): (&str, &str), kind: &str, help: &str, rows: Vec<(String, u64)>) {
    if rows.is_empty() {
        return;
    }
    header(text, name, kind, help);
    for (of, value) in rows {
        sample(text, name, &format!("{label}=\"{of}\""), value.into());
    }
}

// Writing to a String does not fail.
fn header(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(text: &mut String, name: &str, labels: &str, value: i128) {
    let _ = match labels {
        "" => writeln!(text, "{name} {value}"),
        labels => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_without_labels_has_no_braces() {
        let mut text = String::new();
        sample(&mut text, "m", "", 7);
        sample(&mut text, "m", "a=\"b\"", -1);
        assert_eq!(text, "m 7\nm{a=\"b\"} -1\n");
    }
}

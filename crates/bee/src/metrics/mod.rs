//! Which metrics there are: those that a probe's maps are, and bee's own account of what ran and what is missing.

mod cache;
pub(crate) mod exposition;
pub(crate) mod server;

use std::fmt::Display;
use std::sync::atomic::Ordering;

use clikit::print;

use crate::allowance::Exceeded;
use crate::decode::labels::escaped;
use crate::export::map::{Exported, Unreadable};
use crate::export::state::Running;
use crate::metrics::exposition::{Exposition, Format, Rendering, Type};
use crate::object::by_cpu;
use crate::object::names::{metric, metrics};
use crate::object::{Kind, Map, Source};

/// All metrics at this moment.
///
/// # Errors
/// They are more than may be kept.
pub(crate) fn text(running: &Running, format: Format) -> Result<Rendering, Exceeded> {
    let mut exposition = Exposition::new(format, &running.accounts.answers);
    for exported in running.maps.iter().filter(|exported| exported.map.kind != Kind::Print) {
        probes(&mut exposition, exported);
    }
    losses(&mut exposition, running);
    maps(&mut exposition, running);
    programs(&mut exposition, running);
    exposition.finish()
}

/// The labels of bee's own account of a map or program. Where several probes run, two may have programs, or maps that are printed,
/// of one name: there each says whose it is.
fn labels(running: &Running, label: &str, name: &str, probe: usize) -> String {
    let name = escaped(name);
    match running.name_among_several(probe) {
        Some(probe) => format!("{label}=\"{name}\",probe=\"{}\"", escaped(probe)),
        None => format!("{label}=\"{name}\""),
    }
}

fn map_labels(running: &Running, exported: &Exported) -> String {
    labels(running, "map", &exported.map.name, exported.probe)
}

/// What the probe keeps in one map.
fn probes(exposition: &mut Exposition, exported: &Exported) {
    if exported.map.kind == Kind::Histogram {
        return histograms(exposition, exported);
    }
    let all = match exported.series() {
        Ok(all) => all,
        Err(error) => return unreadable(exported, &error),
    };
    let columns = exported.columns();
    for ((name, series), column) in metrics(&exported.map).iter().zip(&all).zip(columns) {
        let several = (all.len() > 1).then_some(column);
        family(exposition, exported, name, several);
        for (labels, value) in series.iter() {
            // Nearly all fit, and 64 bits are written in half the time of 128.
            match i64::try_from(value) {
                Ok(value) => exposition.sample(name, labels, value),
                Err(_) => exposition.sample(name, labels, value),
            }
        }
    }
}

/// Begins a metric; `field` says which of several numbers of the map's values it is.
fn family(exposition: &mut Exposition, exported: &Exported, name: &str, field: Option<&str>) {
    let kind = match exported.map.kind {
        Kind::Gauge => Type::Gauge,
        Kind::Histogram => Type::Histogram,
        Kind::Counter | Kind::Print => Type::Counter,
    };
    // Of several numbers it is the unit of those whose names say so.
    let unit = exported.map.unit.as_deref().filter(|unit| field.is_none_or(|field| ends_in(field, unit)));
    exposition.family(name, kind, &help(&exported.map, field, unit));
    if let Some(unit) = unit {
        exposition.unit(name, unit);
    }
}

fn ends_in(field: &str, unit: &str) -> bool {
    field.strip_suffix(unit).is_some_and(|before| before.is_empty() || before.ends_with('_'))
}

fn unreadable(exported: &Exported, error: &Unreadable) {
    print::note(format_args!("map {} can't be read: {error:#}", exported.map.name));
}

/// What the probe says of a map, which field of its values this is, and in which unit it counts.
fn help(map: &Map, field: Option<&str>, unit: Option<&str>) -> String {
    let mut help = map.help.clone().unwrap_or_else(|| format!("What the probe keeps in its map {}.", map.name));
    if by_cpu::is_sum(map) {
        help = format!("{}, added up over the CPUs", help.trim_end_matches('.'));
    }
    if let Some(field) = field {
        help = format!("{}: {field}", help.trim_end_matches('.'));
    }
    match unit {
        Some(unit) => format!("{} ({unit})", help.trim_end_matches('.')),
        None => help,
    }
}

fn histograms(exposition: &mut Exposition, exported: &Exported) {
    let name = &metric(&exported.map.name);
    let histograms = match exported.histograms() {
        Ok(histograms) => histograms,
        Err(error) => return unreadable(exported, &error),
    };
    family(exposition, exported, name, None);
    for (labels, histogram) in &histograms.by_labels {
        let separator = if labels.is_empty() { "" } else { "," };
        for (bound, count) in histogram.cumulative(&exported.buckets) {
            exposition.sample(&format!("{name}_bucket"), &format!("{labels}{separator}le=\"{bound}\""), count);
        }
        if let Some(sum) = histogram.sum {
            exposition.sample(&format!("{name}_sum"), labels, sum);
        }
        exposition.sample(&format!("{name}_count"), labels, histogram.count());
    }
}

/// What the probe itself or the kernel counts as lost.
fn losses(exposition: &mut Exposition, running: &Running) {
    let (mut events, mut keys, mut known) = (vec![], vec![], vec![]);
    for exported in &running.maps {
        let (labels, lost) = (map_labels(running, exported), running.lost(exported));
        if let Some(lost) = lost {
            let rows = if is_buffer(exported) { &mut events } else { &mut keys };
            rows.push((labels.clone(), lost));
        }
        known.push((labels, u64::from(lost.is_some())));
    }
    table(
        exposition,
        ("bee_events_lost_total", Type::Counter),
        "Events that a full ring buffer or perf buffer refused; absent for probes that do not count them.",
        &events,
    );
    table(
        exposition,
        ("bee_inserts_failed_total", Type::Counter),
        "Keys that a full hash refused; absent for probes that do not count them.",
        &keys,
    );
    table(
        exposition,
        ("bee_loss_known", Type::Gauge),
        "Whether the probe counts what is lost: 1 it does, 0 nobody knows.",
        &known,
    );
}

fn is_buffer(exported: &Exported) -> bool {
    matches!(exported.map.source, Source::Events(_))
}

/// What bee could not show, and how full the maps are.
fn maps(exposition: &mut Exposition, running: &Running) {
    let (mut bad, mut left_out, mut elements, mut room) = (vec![], vec![], vec![], vec![]);
    for exported in &running.maps {
        let labels = map_labels(running, exported);
        bad.push((labels.clone(), exported.bad.load(Ordering::Relaxed)));
        left_out.push((labels.clone(), exported.left_out()));
        if !is_buffer(exported) {
            elements.push((labels.clone(), exported.count.load(Ordering::Relaxed)));
            room.push((labels, exported.room()));
        }
    }
    table(exposition, ("bee_records_bad_total", Type::Counter), "Records that were too short to have a value.", &bad);
    table(
        exposition,
        ("bee_series_left_out", Type::Gauge),
        "Elements, or events, beyond the most series that a map may become (bee run --max-series); the series overflow adds them up.",
        &left_out,
    );
    table(
        exposition,
        ("bee_map_elements", Type::Gauge),
        "Elements of a hash or array when it was last read.",
        &elements,
    );
    table(exposition, ("bee_map_elements_max", Type::Gauge), "Elements that a hash or array has room for.", &room);
}

/// The kernel's account of the programs.
fn programs(exposition: &mut Exposition, running: &Running) {
    let (mut missed, mut runs, mut seconds) = (vec![], vec![], vec![]);
    for (probe, instance) in running.probes.iter().enumerate() {
        for (name, account) in instance.programs.accounts() {
            let labels = labels(running, "program", &name, probe);
            if let Some(count) = account.missed {
                missed.push((labels.clone(), count));
            }
            if account.runs > 0 {
                runs.push((labels.clone(), account.runs));
                seconds.push((labels, account.run_time.as_secs_f64()));
            }
        }
    }
    table(
        exposition,
        ("bee_runs_missed_total", Type::Counter),
        "Runs that the kernel left out because the program was running on that processor; absent before Linux 5.12.",
        &missed,
    );
    table(
        exposition,
        ("bee_program_runs_total", Type::Counter),
        "Runs while the kernel took their time; absent where it did not (see bee run --run-time).",
        &runs,
    );
    table(
        exposition,
        ("bee_program_run_seconds_total", Type::Counter),
        "How long the program ran, all runs together.",
        &seconds,
    );
}

/// One family; each row has its own labels.
fn table(exposition: &mut Exposition, (name, kind): (&str, Type), help: &str, rows: &[(String, impl Display)]) {
    if rows.is_empty() {
        return;
    }
    exposition.family(name, kind, help);
    for (labels, value) in rows {
        exposition.sample(name, labels, value);
    }
}

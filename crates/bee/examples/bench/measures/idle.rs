//! A hash with many elements: what bee takes while nobody asks, and how long a scrape is.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use testkit::probe::{Run, until};

use crate::{
    Setup,
    figure::{Asked, Figure},
    generator, process,
};

/// How many elements, the most of a core in percent, the most of a scrape in milliseconds.
const ASKED: [(i32, f64, f64); 2] = [(10_000, 0.5, 5.0), (50_000, 2.0, 25.0)];
const TIME: Duration = Duration::from_secs(5);
const SCRAPES: usize = 9;

pub fn measure(setup: &Setup) -> Vec<Figure> {
    ASKED.iter().flat_map(|asked| elements(setup, *asked)).collect()
}

fn elements(setup: &Setup, (elements, idle, scrape): (i32, f64, f64)) -> Vec<Figure> {
    let run = Run::start(Command::new(&setup.bee), &setup.flood, &[]);
    generator::fill(elements);
    let series = || run.metrics().lines().filter(|line| line.starts_with("ebpf_solo_io_counter_elements{")).count();
    assert!(until(|| series() == elements as usize), "{} series of {elements}", series());
    let mut times: Vec<_> = (0..SCRAPES).map(|_| time(|| assert!(!run.metrics().is_empty()))).collect();
    times.sort();
    let before = process::cpu(run.id());
    std::thread::sleep(TIME);
    let after = process::cpu(run.id());
    let used = (after.0 + after.1) - (before.0 + before.1);
    let share = 100.0 * used.as_secs_f64() / TIME.as_secs_f64();
    vec![
        Figure::new(format!("{elements} elements, idle"), share, "% core", Asked::AtMost(idle)),
        Figure::new(format!("{elements} series, a scrape"), millis(times[SCRAPES / 2]), "ms", Asked::AtMost(scrape)),
        Figure::new(
            format!("{elements} elements, anonymous memory"),
            process::anonymous_memory(run.id()),
            "MB",
            Asked::Nothing,
        ),
    ]
}

fn time(what: impl FnOnce()) -> Duration {
    let started = Instant::now();
    what();
    started.elapsed()
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

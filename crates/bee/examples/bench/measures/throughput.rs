//! Events of 16 bytes with two labels in 64 series, from one processor to a reader on the other.

use std::{process::Command, time::Duration};

use testkit::probe::{Run, until};

use crate::{
    Setup,
    figure::{Asked, Figure},
    generator::{self, Call, Rate},
    plain, process,
    reading::Reading,
};

const TIME: Duration = Duration::from_secs(4);

pub fn measure(setup: &Setup) -> Vec<Figure> {
    let asked = Rate::EventsPerSecond(2_000_000);
    let mut figures = reader("bee, 2 M/s", &bee(setup, Call::Burst, asked), true);
    figures.extend(reader("bee, one event a call", &bee(setup, Call::One, Rate::Full), true));
    let flooded = bee(setup, Call::Burst, Rate::Full);
    let taken = flooded.made * (1.0 - flooded.lost / 100.0);
    figures.push(Figure::new("bee, flooded: taken", taken / 1e6, "M/s", Asked::AtLeast(2.0)));
    figures.extend(reader("bee, flooded", &flooded, false));
    figures.extend(reader("plain libbpf, 2 M/s", &plain::reading(setup, Call::Burst, asked, TIME), false));
    figures.extend(reader("plain libbpf, flooded", &plain::reading(setup, Call::Burst, Rate::Full, TIME), false));
    figures
}

fn reader(who: &str, reading: &Reading, is_asked: bool) -> Vec<Figure> {
    let asked = |asked: Asked| if is_asked { asked } else { Asked::Nothing };
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    vec![
        Figure::new(format!("{who}: made"), reading.made / 1e6, "M/s", Asked::Nothing),
        Figure::new(format!("{who}: lost"), reading.lost, "%", asked(Asked::AtMost(0.0))),
        Figure::new(
            format!("{who}: CPU of the reader's own"),
            micros(reading.user),
            "us/event",
            asked(Asked::AtMost(0.25)),
        ),
        Figure::new(format!("{who}: CPU in the kernel for it"), micros(reading.system), "us/event", Asked::Nothing),
    ]
}

fn bee(setup: &Setup, call: Call, rate: Rate) -> Reading {
    let mut pinned = Command::new("taskset");
    pinned.args(["--cpu-list", generator::READERS]).arg(&setup.bee);
    let run = Run::start(pinned, &setup.flood, &[]);
    let before = process::cpu(run.id());
    let made = std::thread::spawn(move || generator::flood(call, rate, TIME)).join().unwrap();
    let lost = || run.own("bee_events_lost_total", "counter_flood");
    let seen = || run.sum("counter_flood");
    until(|| seen() + lost() >= made.events);
    let after = process::cpu(run.id());
    let seen = seen();
    let each = |after: Duration, before: Duration| (after - before).div_f64(seen.max(1) as f64);
    Reading {
        made: made.a_second(),
        lost: 100.0 * (made.events.saturating_sub(seen)) as f64 / made.events as f64,
        user: each(after.0, before.0),
        system: each(after.1, before.1),
    }
}

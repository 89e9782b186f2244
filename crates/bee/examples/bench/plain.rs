//! A reader to compare with: libbpf, a count for each of the 64 keys in an array, and nothing else. It does less than bee has to: it
//! knows the event's layout beforehand, and serves no metrics.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use libbpf_rs::{MapCore, ObjectBuilder, RingBufferBuilder};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

use crate::{
    Setup,
    generator::{self, Call, Rate},
    reading::Reading,
};

/// As bee's.
const REST: Duration = Duration::from_millis(5);
const AT_ONCE: usize = 65_536;

pub fn reading(setup: &Setup, call: Call, rate: Rate, time: Duration) -> Reading {
    let (end, ready) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
    let (object, ends, attached) = (setup.flood.clone(), end.clone(), ready.clone());
    let reader = std::thread::spawn(move || read(&object, &ends, &attached));
    ready.wait();
    let made = std::thread::spawn(move || generator::flood(call, rate, time)).join().unwrap();
    end.store(true, Ordering::Relaxed);
    let (seen, user, system) = reader.join().unwrap();
    let each = |time: Duration| time.div_f64(seen.max(1) as f64);
    Reading {
        made: made.a_second(),
        lost: 100.0 * made.events.saturating_sub(seen) as f64 / made.events as f64,
        user: each(user),
        system: each(system),
    }
}

/// Reads until the end; answers how many events it has seen, and its thread's CPU time.
fn read(object: &std::path::Path, end: &AtomicBool, attached: &Barrier) -> (u64, Duration, Duration) {
    generator::pin(1);
    let mut open = ObjectBuilder::default().open_file(object).unwrap();
    open.maps_mut().filter(|map| map.name() == "counter_flood").for_each(|mut map| map.set_value_size(0).unwrap());
    let object = open.load().unwrap();
    let _links: Vec<_> = object.progs_mut().map(|program| program.attach().unwrap()).collect();
    let counts = std::cell::RefCell::new([0u64; 64]);
    let mut builder = RingBufferBuilder::new();
    let map = object.maps().find(|map| map.name() == "counter_flood").unwrap();
    let count = |record: &[u8]| {
        counts.borrow_mut()[usize::from((record[0] & 7) | (record[8] & 7) << 3)] += 1;
        0
    };
    builder.add(&map, count).unwrap();
    let buffer = builder.build().unwrap();
    let before = used();
    attached.wait();
    loop {
        let last = end.load(Ordering::Relaxed);
        let taken = buffer.consume_raw_n(AT_ONCE);
        if last && taken <= 0 {
            break;
        }
        if usize::try_from(taken).is_ok_and(|taken| taken < AT_ONCE) {
            std::thread::sleep(REST);
        }
    }
    let after = used();
    let seen = counts.borrow().iter().sum();
    (seen, after.0 - before.0, after.1 - before.1)
}

/// The CPU time of this thread so far.
fn used() -> (Duration, Duration) {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let time = |time: nix::sys::time::TimeVal| Duration::from_micros(time.num_microseconds() as u64);
    (time(usage.user_time()), time(usage.system_time()))
}

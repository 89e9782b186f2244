//! How long it takes from `bee run` of a built object to its first event, and how much memory it has then.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use testkit::probe::Run;

use super::idle::millis;
use crate::{
    Setup,
    figure::{Asked, Figure},
    process,
};

const TRIES: usize = 7;

pub fn measure(setup: &Setup) -> Vec<Figure> {
    let mut times: Vec<_> = (0..TRIES).map(|_| first_event(setup)).collect();
    times.sort();
    let run = Run::start(Command::new(&setup.bee), &setup.tcpconnect, &[]);
    vec![
        Figure::new("from the start to the first event", millis(times[TRIES / 2]), "ms", Asked::AtMost(150.0)),
        Figure::new("anonymous memory", process::anonymous_memory(run.id()), "MB", Asked::AtMost(8.0)),
    ]
}

/// While somebody connects all the time.
fn first_event(setup: &Setup) -> Duration {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (target, end) = (listener.local_addr().unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                drop(TcpStream::connect(target));
                drop(listener.accept());
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut bee = Command::new(&setup.bee);
        bee.arg("run").arg(&setup.printing).args(["--no-tty", "--prom-port", "0"]);
        let started = Instant::now();
        let mut child = bee.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start bee");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let took = started.elapsed();
        end.store(true, Ordering::Relaxed);
        child.kill().and_then(|()| child.wait()).unwrap();
        assert!(line.starts_with('{'), "no event but {line:?}");
        took
    })
}

//! A `bee run` of a test's own.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{connections::Pair, rest};

/// What is not there after this time does not come: more than was made would be as wrong as less.
const SETTLED: Duration = Duration::from_millis(100);

/// What every probe of a test's own begins with.
const BEGIN: &str = "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\n#include \"solo_types.h\"\n\
                     char __license[] SEC(\"license\") = \"GPL\";\n";

/// Builds a probe of these lines. `bee` is the program.
pub fn build(mut bee: Command, folder: &Path, lines: &str) -> PathBuf {
    let (source, object) = (folder.join("probe.c"), folder.join("probe.o"));
    fs::write(&source, format!("{BEGIN}{lines}")).unwrap();
    let built = bee.arg("build").arg(source).arg("--output-file").arg(&object).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    object
}

/// A probe that runs; it ends when dropped.
pub struct Run {
    child: Child,
    port: u16,
    reads: thread::JoinHandle<()>,
    printed: Arc<Mutex<String>>,
    said: Arc<Mutex<String>>,
}

/// What a probe counted of one pair of addresses, and how many runs the kernel has left out since it was started.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    pub hash: u64,
    pub ring: u64,
    pub missed: u64,
}

impl Counts {
    /// Whether each of so many connections is there once, in both.
    pub fn are(self, made: u64) -> bool {
        (self.hash, self.ring) == (made, made)
    }

    /// The same but for those that the kernel itself says it did not let the probe see: a tracepoint's program never runs twice at
    /// once on one processor.
    pub fn are_but_for_missed(self, made: u64) -> bool {
        let Self { hash, ring, missed } = self;
        hash == ring && hash <= made && made <= hash + missed
    }
}

impl Run {
    /// Runs an object file and waits until its metrics are served, which is when it is attached. `bee` is the program, and what
    /// stands before it.
    pub fn start(bee: Command, object: &Path, options: &[&str]) -> Self {
        Self::try_start(bee, object, options).unwrap_or_else(|said| panic!("bee ended: {said}"))
    }

    /// The same, or what bee said before it ended by itself.
    pub fn try_start(mut bee: Command, object: &Path, options: &[&str]) -> Result<Self, String> {
        bee.arg("run").arg(object).args(["--no-tty"]).args(options);
        Self::serving(bee)
    }

    /// Shows a recording instead.
    pub fn replay(mut bee: Command, recording: &Path, options: &[&str]) -> Self {
        bee.arg("replay").arg(recording).args(options);
        Self::of(bee)
    }

    /// Runs bee as it is told to, but for the port of its metrics.
    pub fn of(bee: Command) -> Self {
        Self::serving(bee).unwrap_or_else(|said| panic!("bee ended: {said}"))
    }

    fn serving(mut bee: Command) -> Result<Self, String> {
        let port = free_port();
        bee.args(["--prom-port", &port.to_string()]);
        let mut child = bee.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let printed = Arc::<Mutex<String>>::default();
        let lines = printed.clone();
        let reads = thread::spawn(move || {
            stdout.lines().for_each(|line| lines.lock().unwrap().push_str(&(line.unwrap() + "\n")));
        });
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::<Mutex<String>>::default();
        let words = said.clone();
        let talk = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{line}");
                words.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let mut run = Self { child, port, reads, printed, said };
        let answers = until(|| !run.metrics().is_empty() || run.child.try_wait().unwrap().is_some());
        assert!(answers, "bee serves no metrics");
        if run.child.try_wait().unwrap().is_some() {
            talk.join().unwrap();
            return Err(run.said());
        }
        Ok(run)
    }

    /// What Prometheus would scrape; empty if nobody answers.
    pub fn metrics(&self) -> String {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else { return String::new() };
        let mut answer = String::new();
        let asked = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        match asked.and_then(|()| stream.read_to_string(&mut answer)) {
            Ok(_) => answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The value of a map's series whose labels hold all of `labels`; 0 if there is none.
    pub fn value(&self, map: &str, labels: &[&str]) -> u64 {
        let begin = format!("ebpf_solo_io_{map}{{");
        let metrics = self.metrics();
        let line =
            metrics.lines().find(|line| line.starts_with(&begin) && labels.iter().all(|label| line.contains(label)));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
    }

    /// All series of a map added up.
    pub fn sum(&self, map: &str) -> u64 {
        self.added_up(&format!("ebpf_solo_io_{map}{{"))
    }

    /// A value of bee's own account of a map.
    pub fn own(&self, metric: &str, map: &str) -> u64 {
        self.added_up(&format!("{metric}{{map=\"{map}\"}}"))
    }

    fn added_up(&self, begin: &str) -> u64 {
        let metrics = self.metrics();
        let lines = metrics.lines().filter(|line| line.starts_with(begin));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Where its metrics are served.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What tcpconnect counted of a pair whose connections are made: its ring is read by bee some moments later than its hash.
    pub fn counts(&self, pair: Pair) -> Counts {
        let labels = [format!("saddr=\"{}\"", pair.source), format!("daddr=\"{}\"", pair.target)];
        let labels = labels.each_ref().map(String::as_str);
        let [hash, ring] = ["events_hash", "events_ring"].map(|map| move || self.value(map, &labels));
        until(|| hash() == ring());
        rest(SETTLED);
        Counts { hash: hash(), ring: ring(), missed: self.missed() }
    }

    /// How many runs of its programs the kernel left out.
    pub fn missed(&self) -> u64 {
        self.added_up("bee_runs_missed_total{")
    }

    /// What it has printed on stdout so far.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// What it has said on stderr so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Ends it as Ctrl-C does; answers what it printed.
    pub fn stop(mut self) -> String {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        assert!(self.child.wait().unwrap().success(), "bee ends with 0");
        std::mem::replace(&mut self.reads, thread::spawn(|| {})).join().unwrap();
        self.printed()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on and no other thread was given, outside the range from which the kernel takes ports for connections:
/// there, asking a port until somebody answers may end in a connection with itself.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    std::iter::repeat_with(|| first + GIVEN.fetch_add(1, Ordering::Relaxed) % 2_000).find(free).unwrap()
}

/// Looks until something holds, for ten seconds of a quick machine.
pub fn until(holds: impl FnMut() -> bool) -> bool {
    crate::until(Duration::from_secs(10), holds)
}

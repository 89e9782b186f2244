//! A `bee run` of a test's own, and connections for it to see.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part; a test that can't go on says so by panicking"
)]

use std::{
    io::Read,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A probe that runs; it ends when dropped.
pub struct Run {
    child: Child,
    port: u16,
    output: thread::JoinHandle<String>,
}

impl Run {
    /// Runs an object file and waits until its metrics are served, which is when it is attached.
    pub fn start(object: &Path) -> Self {
        let port = free_port();
        let mut bee = Command::new(env!("CARGO_BIN_EXE_bee"));
        bee.arg("run").arg(object).args(["--no-tty", "--prom-port", &port.to_string()]);
        let mut child = bee.stdout(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdout.take().unwrap();
        let output = thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        });
        let mut run = Self { child, port, output };
        assert!(
            until(|| !run.metrics().is_empty() || run.child.try_wait().unwrap().is_some()),
            "bee serves no metrics"
        );
        assert!(run.child.try_wait().unwrap().is_none(), "bee ended");
        run
    }

    /// What Prometheus would scrape; empty if nobody answers.
    pub fn metrics(&self) -> String {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else { return String::new() };
        std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// The value of a map's series whose labels hold all of `labels`; 0 if there is none.
    pub fn value(&self, map: &str, labels: &[&str]) -> u64 {
        let begin = format!("ebpf_solo_io_{map}{{");
        let metrics = self.metrics();
        let line =
            metrics.lines().find(|line| line.starts_with(&begin) && labels.iter().all(|label| line.contains(label)));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
    }

    /// Ends it as Ctrl-C does; answers what it printed.
    pub fn stop(mut self) -> String {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        assert!(self.child.wait().unwrap().success(), "bee ends with 0");
        let output = std::mem::replace(&mut self.output, thread::spawn(String::new));
        output.join().unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on, outside the range from which the kernel takes ports for connections: there, asking a port until
/// somebody answers may end in a connection with itself.
fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    (20_000 + (std::process::id() % 10_000) as u16..32_000).find(free).unwrap()
}

/// An address pair that nobody else uses; `number` tells tests apart.
pub fn pair(number: u8) -> (Ipv4Addr, Ipv4Addr) {
    let [low, ..] = std::process::id().to_le_bytes();
    (Ipv4Addr::new(127, 77, number, low), Ipv4Addr::new(127, 78, number, low))
}

/// Opens connections from `source` to a listener at `target`, from several threads at once.
pub fn connect_pair(source: Ipv4Addr, target: Ipv4Addr, threads: usize, each: usize) {
    let listener = TcpListener::bind((target, 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let total = threads * each;
    thread::scope(|scope| {
        scope.spawn(|| listener.incoming().take(total).for_each(drop));
        for _ in 0..threads {
            scope.spawn(|| (0..each).for_each(|_| drop(connect_from(source, to).unwrap())));
        }
    });
}

/// Some connections, whoever sees them.
pub fn connect(count: usize) {
    let (source, target) = pair(0);
    connect_pair(source, target, 1, count);
}

fn connect_from(source: Ipv4Addr, to: std::net::SocketAddr) -> std::io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddrV4::new(source, 0).into())?;
        socket.connect(to).await
    })?;
    stream.into_std()
}

/// Looks until something holds, for ten seconds at most.
pub fn until(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

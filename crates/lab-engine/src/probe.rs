//! Whether a stored probe sees connections, and counts exactly those that were made.
//!
//! The connections are real and run over loopback, between an address pair that nobody else uses.

use std::{
    io::Read,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Stdio},
    sync::atomic::{AtomicU8, AtomicU16, Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use lab_cli::Paths;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::net::{TcpSocket, TcpStream};

use crate::{
    caller::caller,
    check::Check,
    cmd::Cmd,
    finding::Finding,
    live::Live,
    student::Probe,
    wait::{self, NotYet},
    workshop::Workshop,
};

/// How many connections a check makes.
const CONNECTIONS: usize = 100;
/// How long bee may take until it is attached and serves its metrics.
const START: Duration = Duration::from_secs(10);
/// Two probes' metrics have some kilobytes.
const LARGEST: usize = 16 << 20;

/// Every connection becomes one printed event.
pub fn prints_connections<W: Workshop>(probe: Probe) -> Check<W> {
    Check::new(format!("{} prints one event for each connection", probe.image), move |workshop: &W, live| {
        Box::pin(async move {
            let seen = try_out(workshop.paths(), live, probe).await.map_err(|error| broken(probe, &error))?;
            expect(probe, "printed events", seen.printed, seen.made)
        })
    })
}

/// `events_ring` and `events_hash` both equal the connections made.
pub fn counts_connections<W: Workshop>(probe: Probe) -> Check<W> {
    Check::new(
        format!("{} counts each connection in events_ring and events_hash", probe.image),
        move |workshop: &W, live| {
            Box::pin(async move {
                let seen = try_out(workshop.paths(), live, probe).await.map_err(|error| broken(probe, &error))?;
                expect(probe, "ebpf_solo_io_events_ring", seen.ring, seen.made)?;
                expect(probe, "ebpf_solo_io_events_hash", seen.hash, seen.made)
            })
        },
    )
}

fn expect(probe: Probe, what: &str, seen: usize, made: usize) -> Result<(), Finding> {
    if seen == made {
        return Ok(());
    }
    Err(Finding::new(format!("probe {}", probe.image), format!("{made} connections were made, {what} says {seen}"))
        .fix(format!(
            "compare work/{} with probes/{}, then build it again: `cargo xtask lab 1`",
            probe.file, probe.source
        )))
}

fn broken(probe: Probe, error: &anyhow::Error) -> Finding {
    Finding::new(format!("probe {}", probe.image), "does not run")
        .because(crate::error::message(error))
        .fix("`cargo xtask lab 1` builds and stores it; `cargo xtask doctor` says what the kernel lacks")
}

/// What a probe saw of the connections between one address pair.
#[derive(Debug, Default)]
struct Seen {
    made: usize,
    printed: usize,
    ring: usize,
    hash: usize,
}

async fn try_out(paths: &Paths, live: &Live, probe: Probe) -> Result<Seen> {
    let pair = Pair::unused();
    let port = free_port().context("every port from 20000 to 32000 is taken")?;
    let mut run = Running::start(paths, probe, port)?;
    let metrics = || async { scrape(port).await.map_err(NotYet::from) };
    if let Err(error) = wait::poll("bee's metrics", START, live, metrics).await {
        return Err(run.stop().err().unwrap_or(error));
    }
    let made = pair.connect(CONNECTIONS).await?;
    let counted = wait::poll("the counts", Duration::from_secs(2), live, || async {
        let text = scrape(port).await?;
        let (ring, hash) = (pair.count(&text, "events_ring"), pair.count(&text, "events_hash"));
        if ring >= made && hash >= made {
            Ok((ring, hash))
        } else {
            Err(NotYet::Because(format!("{ring} and {hash} of {made}")))
        }
    });
    // A probe that only prints counts elsewhere: what was counted is then read as it is.
    let (ring, hash) = if probe.image == crate::student::TCPCONNECT.image {
        match counted.await {
            Ok(counts) => counts,
            Err(_) => {
                let text = scrape(port).await?;
                (pair.count(&text, "events_ring"), pair.count(&text, "events_hash"))
            }
        }
    } else {
        (0, 0)
    };
    let output = run.stop()?;
    Ok(Seen { made, printed: pair.printed(&output), ring, hash })
}

/// A port that nobody listens on, another one each time, outside the range from which the kernel takes ports for connections:
/// there, asking a port until somebody answers may end in a connection with itself.
fn free_port() -> Option<u16> {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let of_process = u16::try_from(std::process::id() % 10_000).unwrap_or(0);
    let first = 20_000 + of_process + TRIED.fetch_add(1, Relaxed) % 100 * 20;
    (first..32_000).find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
}

async fn scrape(port: u16) -> Result<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends by itself when the sender goes.
    tokio::spawn(connection);
    let request = Request::get("/metrics").header("host", format!("127.0.0.1:{port}")).body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    ensure!(answer.status().is_success(), "bee answers {}", answer.status());
    let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|error| anyhow!(error))?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

/// A `bee run` of ours, ended when dropped.
struct Running {
    child: Child,
    output: Option<std::thread::JoinHandle<String>>,
    errors: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    fn start(paths: &Paths, probe: Probe, port: u16) -> Result<Self> {
        let mut command = Cmd::new(paths.bin.join("bee"));
        // As root the student's store is named: root's home folder is another.
        if caller().is_some() {
            let home = std::env::var_os("HOME").context("failed to find the caller's home folder")?;
            command = command.arg("--storage").arg(std::path::Path::new(&home).join(".bumblebee/store"));
        }
        let command = command.args(["run", probe.image, "--no-tty", "--prom-port", &port.to_string()]);
        let mut child = command.spawn(Stdio::piped(), Stdio::piped())?;
        let output = child.stdout.take().map(|pipe| std::thread::spawn(move || read(pipe)));
        let errors = child.stderr.take().map(|pipe| std::thread::spawn(move || read(pipe)));
        Ok(Self { child, output, errors })
    }

    /// Ends it as Ctrl-C does and answers what it printed.
    fn stop(&mut self) -> Result<String> {
        if self.child.try_wait()?.is_none() {
            kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGINT).context("failed to end bee")?;
        }
        let ended = self.child.wait()?;
        let join = |thread: Option<std::thread::JoinHandle<String>>| {
            thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
        };
        let (output, errors) = (join(self.output.take()), join(self.errors.take()));
        if !ended.success() {
            bail!("bee ended ({ended}): {}", errors.trim());
        }
        Ok(output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut pipe: impl Read) -> String {
    let mut bytes = vec![];
    // What was read before a pipe broke is what there is.
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Two loopback addresses that nobody else uses.
#[derive(Debug, Clone, Copy)]
struct Pair {
    source: Ipv4Addr,
    target: Ipv4Addr,
}

impl Pair {
    fn unused() -> Self {
        static TRIED: AtomicU8 = AtomicU8::new(0);
        // Other processes try probes out as well, and this one several at a time.
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let second = 2 * (TRIED.fetch_add(1, Relaxed) % 64);
        Self { source: Ipv4Addr::new(127, 71 + second, high, low), target: Ipv4Addr::new(127, 72 + second, high, low) }
    }

    async fn connect(self, count: usize) -> Result<usize> {
        let listener = tokio::net::TcpListener::bind((self.target, 0)).await.context("failed to listen on loopback")?;
        let to = listener.local_addr()?;
        let accept = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream);
            }
        });
        for _ in 0..count {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(IpAddr::V4(self.source), 0))?;
            socket.connect(to).await.context("failed to connect over loopback")?;
        }
        accept.abort();
        Ok(count)
    }

    /// The value of `ebpf_solo_io_MAP` for this pair.
    fn count(self, metrics: &str, map: &str) -> usize {
        let (name, source, target) = (
            format!("ebpf_solo_io_{map}{{"),
            format!("saddr=\"{}\"", self.source),
            format!("daddr=\"{}\"", self.target),
        );
        let line =
            metrics.lines().find(|line| line.starts_with(&name) && line.contains(&source) && line.contains(&target));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map_or(0, |value| value as usize)
    }

    /// How many of the JSON lines name both addresses.
    fn printed(self, output: &str) -> usize {
        let (source, target) = (format!("\"{}\"", self.source), format!("\"{}\"", self.target));
        output.lines().filter(|line| line.contains(&source) && line.contains(&target)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Pair = Pair { source: Ipv4Addr::new(127, 71, 0, 1), target: Ipv4Addr::new(127, 72, 0, 1) };

    #[test]
    fn only_the_pairs_own_series_is_read() {
        let metrics = "ebpf_solo_io_events_hash{daddr=\"127.72.0.1\",saddr=\"127.71.0.2\"} 9\n\
                       ebpf_solo_io_events_hash{daddr=\"127.72.0.1\",saddr=\"127.71.0.1\"} 100\n";
        assert_eq!(PAIR.count(metrics, "events_hash"), 100);
        assert_eq!(PAIR.count(metrics, "events_ring"), 0);
    }

    #[tokio::test]
    async fn connections_are_really_made() {
        assert_eq!(Pair::unused().connect(3).await.unwrap(), 3);
    }
}

//! Runs services of the real program, and watches the connections between them.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::until;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// A running service; ends with its value.
pub struct Service {
    pub address: SocketAddr,
    process: Child,
}

impl Service {
    /// `command` is a role and its flags; `peers` are the services it shall find, by name.
    pub fn start(command: &str, peers: &[(&str, SocketAddr)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_bookinfo"))
            .args(command.split_whitespace())
            .args(["--listen", "127.0.0.1:0"])
            .env_clear()
            .env("HOSTNAME", format!("{}-pod", command.replace(" --version ", "-")))
            .envs(peers.iter().flat_map(|(name, address)| locate(name, *address)))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{command} said {line:?}"));
        let address = address.parse().unwrap();
        // A full pipe would stop the service.
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self { address, process }
    }

    /// Sends SIGTERM; how the service ended, and whether it did so within this time of a quick machine.
    pub fn terminate(mut self, time: Duration) -> (ExitStatus, bool) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let in_time = until(time, || self.process.try_wait().unwrap().is_some());
        (self.process.wait().unwrap(), in_time)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn locate(name: &str, address: SocketAddr) -> [(String, String); 2] {
    let prefix = name.to_uppercase();
    [
        (format!("{prefix}_HOSTNAME"), address.ip().to_string()),
        (format!("{prefix}_SERVICE_PORT"), address.port().to_string()),
    ]
}

/// Stands in front of a service and counts the connections made to it.
pub struct Relay {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self { address: listener.local_addr().unwrap(), connections: Arc::default() };
        let connections = relay.connections.clone();
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut service = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut caller, &mut service).await
                });
            }
        });
        relay
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

//! kebpf as a running program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

pub struct Kebpf {
    child: Child,
    url: String,
    _kubeconfig: TempDir,
}

/// The events of a stream, as they come.
pub struct Events(BoxStream<'static, Value>);

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kebpf"))
}

impl Kebpf {
    pub fn start(prometheus: &str, kubernetes: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let kubeconfig = folder.path().join("config");
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: fake, users: [], \
              clusters: [{{name: fake, cluster: {{server: '{kubernetes}'}}}}], \
              contexts: [{{name: fake, context: {{cluster: fake}}}}]}}"
        );
        std::fs::write(&kubeconfig, text).unwrap();
        let mut child = command()
            .args(["--prometheus", prometheus, "--port", "0", "--address", "127.0.0.1", "--interval", "1"])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url =
            lines.find_map(|line| Some(format!("http://{}", line.unwrap().strip_prefix("kebpf: listening on ")?)));
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: url.expect("kebpf says where it listens"), _kubeconfig: folder }
    }

    /// For settings with which it must not start.
    pub fn fails(arguments: &[&str]) -> (ExitStatus, String) {
        let output = command().args(arguments).output().unwrap();
        (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = client().get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn status(&self, path: &str) -> u16 {
        client().get(format!("{}{path}", self.url)).send().await.unwrap().status().as_u16()
    }

    pub async fn graph_when(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut graph = Value::Null;
        let wanted = async || {
            graph = serde_json::from_str(&self.get("/api/graph").await.1).unwrap();
            is_wanted(&graph)
        };
        if !poll(wanted).await {
            panic!("this never came: {graph:#}");
        }
        graph
    }

    pub async fn until(&self, what: &str, is_true: impl AsyncFnMut() -> bool) {
        assert!(poll(is_true).await, "never: {what}");
    }

    pub async fn events(&self, path: &str) -> Events {
        let response = client().get(format!("{}{path}", self.url)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let lines = futures::stream::unfold((response, Vec::new()), |(mut response, mut buffer)| async move {
            loop {
                if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = buffer.drain(..=end).collect();
                    return Some((line, (response, buffer)));
                }
                buffer.extend_from_slice(&response.chunk().await.ok().flatten()?);
            }
        });
        let data = |line: Vec<u8>| async move { serde_json::from_slice(line.strip_prefix(b"data: ")?).ok() };
        Events(lines.filter_map(data).boxed())
    }

    pub async fn terminate(&mut self, within: Duration) -> ExitStatus {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running {within:?} after SIGTERM");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Kebpf {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Events {
    pub async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(DEADLINE, self.0.next()).await.expect("an event in time")
    }
}

async fn poll(mut is_true: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        if is_true().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

//! kebpf as a running program.

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use lab_cli::Patience;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

/// As a quick machine needs it.
const DEADLINE: Duration = Duration::from_secs(20);
const REST: Duration = Duration::from_millis(50);

pub struct Kebpf {
    child: Child,
    url: String,
    said: Option<JoinHandle<String>>,
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
        Self::start_with(prometheus, kubernetes, |command| command)
    }

    /// With more arguments, or other variables.
    pub fn start_with(
        prometheus: &str,
        kubernetes: &str,
        more: impl for<'a> FnOnce(&'a mut Command) -> &'a mut Command,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let kubeconfig = folder.path().join("config");
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: fake, users: [], \
              clusters: [{{name: fake, cluster: {{server: '{kubernetes}'}}}}], \
              contexts: [{{name: fake, context: {{cluster: fake}}}}]}}"
        );
        std::fs::write(&kubeconfig, text).unwrap();
        let mut command = command();
        command.args(["--port", "0", "--address", "127.0.0.1", "--interval", "1", "--kubeconfig"]).arg(kubeconfig);
        command.env("PROMETHEUS_ENDPOINT", prometheus).stderr(Stdio::piped());
        let mut child = more(&mut command).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url =
            lines.find_map(|line| Some(format!("http://{}", line.unwrap().strip_prefix("kebpf: listening on ")?)));
        let said = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
        Self { child, url: url.expect("kebpf says where it listens"), said: Some(said), _kubeconfig: folder }
    }

    /// For settings with which it ends at once: how, and all that it says.
    pub fn ends(more: impl for<'a> FnOnce(&'a mut Command) -> &'a mut Command) -> (ExitStatus, String) {
        let output = more(&mut command()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&said).into_owned())
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = self.ask(path, |request| request).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn ask(&self, path: &str, more: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Response {
        more(client().get(format!("{}{path}", self.url))).send().await.unwrap()
    }

    /// Asks from another address of this machine's loopback.
    pub async fn ask_from(&self, client: [u8; 4], path: &str) -> Response {
        let client = reqwest::Client::builder().local_address(IpAddr::from(client)).build().unwrap();
        client.get(format!("{}{path}", self.url)).send().await.unwrap()
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

    /// Ends it as Kubernetes does; answers how it ended and what it said.
    pub async fn terminate(&mut self) -> (ExitStatus, String) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        let mut ended = None;
        let ends = poll(async || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        assert!(ends.await, "it runs on after SIGTERM");
        (ended.unwrap(), self.said.take().unwrap().join().unwrap())
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
        let (mut patience, mut next) = (Patience::of(DEADLINE), self.0.next());
        loop {
            if let Ok(event) = tokio::time::timeout(REST, &mut next).await {
                return event;
            }
            assert!(!patience.is_over(), "no event came");
        }
    }
}

pub async fn until(what: &str, is_true: impl AsyncFnMut() -> bool) {
    assert!(poll(is_true).await, "never: {what}");
}

async fn poll(mut is_true: impl AsyncFnMut() -> bool) -> bool {
    let mut patience = Patience::of(DEADLINE);
    while !patience.is_over() {
        if is_true().await {
            return true;
        }
        tokio::time::sleep(REST).await;
    }
    false
}

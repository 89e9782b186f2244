//! In an API server's place one that answers as a test says, for what real ones can't be made to do here.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use serde_json::{Value, json};

/// A status and a body for what a request asks for.
pub type Answer = fn(&str) -> (&'static str, String);

pub struct ApiServer {
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl ApiServer {
    pub fn answering(answer: Answer) -> Self {
        Self::serving(move |stream| reply(stream, answer))
    }

    /// One that takes connections and says nothing.
    pub fn silent() -> Self {
        Self::serving(|stream| BufReader::new(stream).lines().for_each(drop))
    }

    fn serving(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, requests) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let count = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Relaxed);
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        Self { address, requests }
    }

    /// Writes a kubeconfig with the context `mine` of it.
    pub fn kubeconfig(&self, world: &Path) {
        kubeconfig(world, &format!("{{server: 'http://{}'}}", self.address));
    }

    /// How often it was asked so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }
}

/// Writes a kubeconfig with the context `mine` of a cluster that is described so.
pub fn kubeconfig(world: &Path, cluster: &str) {
    let kubeconfig = format!(
        "{{apiVersion: v1, kind: Config, clusters: [{{name: c, cluster: {cluster}}}], users: [{{name: u, user: {{}}}}], \
         contexts: [{{name: mine, context: {{cluster: c, user: u}}}}]}}"
    );
    fs::write(world.join("kubeconfig"), kubeconfig).unwrap();
}

fn reply(mut stream: TcpStream, answer: Answer) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.find(String::is_empty);
    let (status, body) = answer(request.split(' ').nth(1).unwrap_or_default());
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// A cluster without objects: lists are empty, whatever is applied is taken, everything else does not exist.
pub fn empty(path: &str) -> (&'static str, String) {
    if path.contains("/secrets?") || path.contains("/customresourcedefinitions?") {
        let list =
            json!({ "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": [] });
        return ("200 OK", list.to_string());
    }
    if path == "/api/v1" {
        let namespaces = json!({ "name": "namespaces", "singularName": "namespace", "namespaced": false, "kind": "Namespace",
                                 "verbs": ["get", "patch"] });
        let kinds = json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [namespaces] });
        return ("200 OK", kinds.to_string());
    }
    if path.contains("fieldManager=") {
        let taken = json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {} });
        return ("200 OK", taken.to_string());
    }
    refused("404 Not Found", "NotFound", 404, "nothing")
}

/// Words with which a stranger would clear a terminal, colour it, delete, turn round what follows, and hide.
pub const NASTY: &str = "\u{1b}[2J\u{9b}31m\u{7f}\u{8}\u{202e}\u{200b}\u{2028}evil";

/// A cluster of a stranger's, whose every word is one of those.
pub fn nasty(path: &str) -> (&'static str, String) {
    let has = |part: &str| path.contains(part);
    let value = if has("/proxy/api/v1/query") {
        let series = json!([{ "metric": { NASTY: NASTY, "name": NASTY }, "value": [0, "1"] }]);
        json!({ "status": "success", "data": { "resultType": "vector", "result": series } })
    } else if has("/services/kebpf") {
        object(json!({ "status": { "loadBalancer": { "ingress": [{ "hostname": NASTY }] } } }))
    } else if has("/deployments/") || has("/daemonsets/") || has("/statefulsets/") {
        object(json!({ "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "x" } } }, "status": {} }))
    } else if has("/log") {
        return ("200 OK", format!("{NASTY}\n{NASTY}"));
    } else if has("/pods") {
        let waiting = json!({ "waiting": { "reason": NASTY, "message": NASTY } });
        let container = json!({ "name": NASTY, "image": NASTY, "imageID": "", "ready": false, "restartCount": 1, "state": waiting });
        list(json!({ "metadata": { "name": NASTY }, "status": { "containerStatuses": [container] } }))
    } else if has("/events") {
        list(json!({ "metadata": { "name": "e" }, "type": "Warning", "reason": NASTY, "message": NASTY,
                     "involvedObject": { "name": "prom-kube-state-metrics" } }))
    } else if has("/nodes") {
        let ready = json!({ "type": "Ready", "status": "False", "message": NASTY });
        list(json!({ "metadata": { "name": NASTY }, "status": { "conditions": [ready] } }))
    } else {
        return refused("403 Forbidden", NASTY, 403, NASTY);
    };
    ("200 OK", value.to_string())
}

fn object(mut value: Value) -> Value {
    value["metadata"] = json!({ "name": NASTY, "namespace": "default", "generation": 1 });
    value
}

fn list(item: Value) -> Value {
    json!({ "kind": "List", "apiVersion": "v1", "metadata": {}, "items": [item] })
}

fn refused(status: &'static str, reason: &str, code: u16, message: &str) -> (&'static str, String) {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code });
    (status, body.to_string())
}

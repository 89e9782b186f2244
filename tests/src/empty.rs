//! In a cluster's place a server that has no objects at all, for what real ones can't be made to do here.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// An API server without objects.
pub struct EmptyServer {
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl EmptyServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, requests) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let count = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Relaxed);
                std::thread::spawn(|| answer(stream));
            }
        });
        Self { address, requests }
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

/// Writes a kubeconfig with the context `mine` of such a server.
pub fn empty_cluster(world: &Path) -> EmptyServer {
    let server = EmptyServer::start();
    kubeconfig(world, &format!("{{server: 'http://{}'}}", server.address));
    server
}

/// Lists are empty, everything else does not exist.
fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.find(String::is_empty);
    let (status, body) = match request.contains("/secrets?") || request.contains("/customresourcedefinitions?") {
        true => {
            ("200 OK", r#"{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{},"items":[]}"#)
        }
        false => (
            "404 Not Found",
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"nothing","code":404}"#,
        ),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

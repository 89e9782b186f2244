//! A fake Prometheus and a fake Kubernetes API, over HTTP on loopback.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use lab_cli::Patience;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::authority::Authority;
use crate::bookinfo::{self, Cluster};

type Counts = BTreeMap<(String, String), u64>;
type Parameters = Query<HashMap<String, String>>;

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}

#[derive(Clone)]
pub struct FakePrometheus {
    pub url: String,
    counts: Arc<Mutex<Counts>>,
    instead: Arc<Mutex<Option<(u16, String)>>>,
    /// The header of whoever may ask, where not everybody may.
    authorization: Arc<Mutex<Option<String>>>,
}

impl FakePrometheus {
    pub async fn start() -> Self {
        let mut fake = Self::new();
        fake.url = serve(fake.router()).await;
        fake
    }

    /// Over https, with a certificate of this authority.
    pub async fn start_encrypted(authority: &Authority) -> Self {
        let mut fake = Self::new();
        let listener = authority.listen().await;
        fake.url = format!("https://{}", axum::serve::Listener::local_addr(&listener).unwrap());
        tokio::spawn(axum::serve(listener, fake.router()).into_future());
        fake
    }

    fn new() -> Self {
        let pairs = bookinfo::pairs().into_iter();
        let counts = pairs.map(|pair| ((pair.source.to_string(), pair.target.to_string()), pair.connections)).collect();
        let (instead, authorization) = Default::default();
        Self { url: String::new(), counts: Arc::new(Mutex::new(counts)), instead, authorization }
    }

    fn router(&self) -> Router {
        Router::new().route("/api/v1/query", get(query)).with_state(self.clone())
    }

    /// From now on only whoever sends this header is answered.
    pub fn answer_only(&self, authorization: &str) {
        *self.authorization.lock().unwrap() = Some(authorization.to_owned());
    }

    pub fn count(&self, source: &str, target: &str, connections: u64) {
        self.counts.lock().unwrap().insert((source.to_owned(), target.to_owned()), connections);
    }

    pub fn answer_instead(&self, status: u16, body: &str) {
        *self.instead.lock().unwrap() = Some((status, body.to_owned()));
    }

    pub fn answer_truly(&self) {
        *self.instead.lock().unwrap() = None;
    }
}

/// Three nodes of one kernel have counted the same: the query's aggregation decides what comes of that.
async fn query(State(fake): State<FakePrometheus>, headers: HeaderMap, Query(parameters): Parameters) -> Response {
    let expected = fake.authorization.lock().unwrap().clone();
    if expected.is_some_and(|expected| headers.get(AUTHORIZATION).is_none_or(|shown| *shown != *expected)) {
        return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
    }
    if let Some((status, body)) = fake.instead.lock().unwrap().clone() {
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    let metric = "ebpf_solo_io_events_hash";
    let (nodes, per) = match &*parameters["query"] {
        query if query == format!("max by (pod_ip, cluster_ip) ({metric})") => (1.0, 1.0),
        query if query == format!("max by (pod_ip, cluster_ip) (rate({metric}[1m]))") => (1.0, 60.0),
        query if query.contains("sum") => (3.0, 1.0),
        query => return (StatusCode::BAD_REQUEST, format!("not recorded: {query}")).into_response(),
    };
    let sample = |((source, target), count): (&(String, String), &u64)| {
        let value = (*count as f64 * nodes / per).to_string();
        json!({"metric": {"pod_ip": source, "cluster_ip": target}, "value": [1795492800.0, value]})
    };
    let result: Vec<Value> = fake.counts.lock().unwrap().iter().map(sample).collect();
    axum::Json(json!({"status": "success", "data": {"resultType": "vector", "result": result}})).into_response()
}

#[derive(Clone)]
pub struct FakeKubernetes {
    pub url: String,
    lists: Arc<HashMap<&'static str, Vec<Value>>>,
    events: broadcast::Sender<(String, String)>,
    /// Path and verb, as the API server's authorizer sees them.
    asked: Arc<Mutex<BTreeSet<(String, &'static str)>>>,
}

impl FakeKubernetes {
    pub async fn start(cluster: Cluster) -> Self {
        let (events, _) = broadcast::channel(16);
        let lists = Arc::new(cluster.0.into_iter().collect());
        let mut fake = Self { url: String::new(), lists, events, asked: Arc::default() };
        fake.url = serve(Router::new().fallback(list_or_watch).with_state(fake.clone())).await;
        fake
    }

    pub fn asked(&self) -> BTreeSet<(String, &'static str)> {
        self.asked.lock().unwrap().clone()
    }

    pub fn event(&self, path: &str, kind: &str, object: &Value) {
        let mut object = object.clone();
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("Pod");
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        // Nobody listens until the first watch is open; its list is recorded and never changes.
        let mut patience = Patience::of(std::time::Duration::from_secs(10));
        while self.events.receiver_count() < self.lists.len() {
            assert!(!patience.is_over(), "not everything is watched");
            std::thread::yield_now();
        }
        self.events.send((path.to_owned(), line)).unwrap();
    }
}

async fn list_or_watch(State(fake): State<FakeKubernetes>, uri: Uri, Query(parameters): Parameters) -> Response {
    let path = uri.path().to_owned();
    let verb = if parameters.contains_key("watch") { "watch" } else { "list" };
    fake.asked.lock().unwrap().insert((path.clone(), verb));
    let Some(items) = fake.lists.get(&*path) else {
        let kind = path.rsplit('/').next().unwrap_or_default();
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
            "message": format!("{kind} is forbidden: User \"kebpf\" cannot list resource \"{kind}\"")});
        return (StatusCode::FORBIDDEN, axum::Json(status)).into_response();
    };
    if verb == "list" {
        let list = json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items});
        return axum::Json(list).into_response();
    }
    let events = BroadcastStream::new(fake.events.subscribe());
    let lines = events.filter_map(move |event| {
        let line =
            event.ok().filter(|(kind, _)| *kind == path).map(|(_, line)| Ok::<_, axum::Error>(Bytes::from(line)));
        std::future::ready(line)
    });
    Body::from_stream(lines).into_response()
}

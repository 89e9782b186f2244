//! The graph over HTTP: an API first, then the page that draws it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_stream::wrappers::WatchStream;

use crate::hosts::{HostName, Hosts};
use crate::live::Published;
use crate::slots::{Full, Slot, Slots};

/// Each open page holds one stream of events.
pub const STREAMS: usize = 128;
/// Whoever comes through a load balancer may share an address with all who do.
pub const STREAMS_OF_AN_ADDRESS: usize = STREAMS / 2;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Whoever left a page open reconnects by itself; whoever forgot a stream does not.
const LONGEST: Duration = Duration::from_secs(3600);

/// What the page may load; cytoscape sets styles on its own elements.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The page as `build.rs` made it: everything in the binary, nothing from anywhere else.
const PAGE: [(&str, &str, &[u8]); 4] = [
    ("/", "text/html; charset=utf-8", include_bytes!(concat!(env!("OUT_DIR"), "/page/index.html"))),
    ("/page.js", "text/javascript; charset=utf-8", include_bytes!(concat!(env!("OUT_DIR"), "/page/page.js"))),
    ("/page.css", "text/css; charset=utf-8", include_bytes!(concat!(env!("OUT_DIR"), "/page/page.css"))),
    ("/icon.svg", "image/svg+xml", include_bytes!(concat!(env!("OUT_DIR"), "/page/icon.svg"))),
];

#[derive(Clone)]
struct Api {
    published: watch::Receiver<Arc<Published>>,
    hosts: Arc<Hosts>,
    streams: Slots,
}

#[derive(Deserialize)]
struct Filter {
    namespace: Option<String>,
}

/// `hosts` are the names under which it answers, beside those that the cluster's load balancers gave.
pub fn router(published: watch::Receiver<Arc<Published>>, hosts: Hosts) -> Router {
    let streams = Slots::new(STREAMS, STREAMS_OF_AN_ADDRESS);
    let api = Api { published, hosts: Arc::new(hosts), streams };
    let page = PAGE.iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(move || async move { ([(header::CONTENT_TYPE, *kind)], *content) }))
    });
    page.route("/api/graph", get(graph))
        .route("/api/events", get(events))
        .route("/readyz", get(ready))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(from_fn_with_state(api.clone(), only_by_our_names))
        .layer(map_response(guarded))
        .with_state(api)
}

async fn only_by_our_names(State(api): State<Api>, request: Request, next: Next) -> Response {
    let host = HostName::of(&request);
    if host.as_ref().is_some_and(|host| api.hosts.allow(host) || api.published.borrow().hosts.contains(host)) {
        return next.run(request).await;
    }
    let host = host.as_ref().map_or("nothing", HostName::as_str);
    let message = format!(
        "unknown host {host}: open it by its address, or allow the name with --allowed-host \
         (KEBPF_ALLOWED_HOSTS)\n"
    );
    (StatusCode::MISDIRECTED_REQUEST, message).into_response()
}

/// Every answer is what it says that it is, and of now.
async fn guarded(mut response: Response) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn graph(State(api): State<Api>, Query(filter): Query<Filter>) -> Json<Published> {
    let published = api.published.borrow().clone();
    Json(filter.apply(&published))
}

/// The whole graph at once and again on each change: a client that missed some has lost nothing.
async fn events(
    State(api): State<Api>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Query(filter): Query<Filter>,
) -> Response {
    let slot = match api.streams.take(client.ip()) {
        Ok(slot) => slot,
        Err(full) => return turned_away(&full),
    };
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("alive");
    let changes = changes(api.published, filter, slot).take_until(sleep(LONGEST));
    Sse::new(changes).keep_alive(heartbeat).into_response()
}

fn turned_away(full: &Full) -> Response {
    let status = match full {
        Full::All(_) => StatusCode::SERVICE_UNAVAILABLE,
        Full::Yours(_) => StatusCode::TOO_MANY_REQUESTS,
    };
    (status, [(header::RETRY_AFTER, "10")], format!("{full}, try again later\n")).into_response()
}

/// Ends when nobody publishes any more.
fn changes(
    published: watch::Receiver<Arc<Published>>,
    filter: Filter,
    slot: Slot,
) -> impl Stream<Item = Result<Event, Infallible>> {
    WatchStream::new(published).map(move |published| {
        let _held_while_open = &slot;
        let event = Event::default().event("graph").json_data(filter.apply(&published));
        Ok(event.unwrap_or_else(|error| Event::default().event("error").data(error.to_string())))
    })
}

/// Prometheus is not needed to be ready: without it the page says what is wrong.
async fn ready(State(api): State<Api>) -> (StatusCode, String) {
    match &api.published.borrow().not_ready {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

impl Filter {
    fn apply(&self, published: &Published) -> Published {
        match self.namespace.as_deref() {
            None | Some("") => published.clone(),
            Some(namespace) => Published { graph: published.graph.of_namespace(namespace), ..published.clone() },
        }
    }
}

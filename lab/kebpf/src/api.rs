//! The graph over HTTP: an API first, then the page that draws it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_stream::wrappers::WatchStream;

use crate::live::Published;

/// Each open page holds one stream of events.
pub const STREAMS: usize = 128;

const HEARTBEAT: Duration = Duration::from_secs(15);

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
    streams: Arc<Semaphore>,
}

#[derive(Deserialize)]
struct Filter {
    namespace: Option<String>,
}

pub fn router(published: watch::Receiver<Arc<Published>>) -> Router {
    let api = Api { published, streams: Arc::new(Semaphore::new(STREAMS)) };
    let page = PAGE.iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(move || async move { file(kind, content) }))
    });
    page.route("/api/graph", get(graph))
        .route("/api/events", get(events))
        .route("/readyz", get(ready))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(api)
}

async fn graph(State(api): State<Api>, Query(filter): Query<Filter>) -> Json<Published> {
    let published = api.published.borrow().clone();
    Json(filter.apply(&published))
}

/// The whole graph at once and again on each change: a client that missed some has lost nothing.
async fn events(State(api): State<Api>, Query(filter): Query<Filter>) -> Response {
    let Ok(permit) = api.streams.try_acquire_owned() else {
        let message = format!("{STREAMS} streams are open already, try again later\n");
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], message).into_response();
    };
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Sse::new(changes(api.published, filter, permit)).keep_alive(heartbeat).into_response()
}

/// Ends when nobody publishes any more.
fn changes(
    published: watch::Receiver<Arc<Published>>,
    filter: Filter,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    WatchStream::new(published).map(move |published| {
        let _held_while_open = &permit;
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

/// The page may load from here only; cytoscape sets styles on its own elements.
fn file(kind: &'static str, content: &'static [u8]) -> impl IntoResponse {
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content)
}

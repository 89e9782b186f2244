//! The small HTTP server that Prometheus scrapes: `/metrics` and `/healthz`, one thread, bounded.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::routing::get;

use crate::exposition::Format;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The metrics' port can't be used.
#[derive(Debug, thiserror::Error)]
#[error("port {port} can't be used for the metrics: choose another with --prom-port")]
pub struct PortTaken {
    pub port: u16,
    pub source: std::io::Error,
}

/// Takes the port, before anything is attached.
pub fn listen(port: u16) -> Result<TcpListener, PortTaken> {
    let bound = TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
    let listener = bound.map_err(|source| PortTaken { port, source })?;
    listener.set_nonblocking(true).map_err(|source| PortTaken { port, source })?;
    Ok(listener)
}

/// Serves until the process ends. `text` makes the metrics.
pub fn serve(listener: TcpListener, text: impl Fn(Format) -> String + Send + Sync + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = Arc::new(text);
    let scrape = move |headers: HeaderMap| {
        let text = text.clone();
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let format = Format::accepted(accept);
        async move { ([(CONTENT_TYPE, format.content_type())], text(format)) }
    };
    let router = Router::new().route("/metrics", get(scrape)).route("/healthz", get(|| async { "ok\n" }));
    let router = router
        .layer(tower_http::timeout::TimeoutLayer::with_status_code(axum::http::StatusCode::REQUEST_TIMEOUT, PATIENCE));
    runtime.block_on(async move { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await })
}

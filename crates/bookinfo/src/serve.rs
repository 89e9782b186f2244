//! What the four services share: listen, log each request, end at once when Kubernetes says so.

use std::{fmt, future::IntoFuture, io::Write, net::SocketAddr, time::Duration};

use anyhow::Context;
use axum::{Router, extract::Request, middleware, middleware::Next, response::Response};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::timeout,
};

/// How long requests under way may still take once the service was told to end: a pod must not outlive its deletion by
/// a slow call, its next incarnation waits for it.
const GRACE: Duration = Duration::from_millis(500);

/// Serves `app` on the first of `addresses` that can be had, until SIGTERM or SIGINT.
pub async fn run(addresses: Vec<SocketAddr>, app: Router) -> anyhow::Result<()> {
    // As process 1 of its container a program ignores every signal that it has no handler for: handlers come first.
    let mut terminate = signal(SignalKind::terminate()).context("failed to handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to handle SIGINT")?;

    let listener = TcpListener::bind(&addresses[..]).await.with_context(|| {
        format!(
            "listen on {}; is the port taken?",
            addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" or ")
        )
    })?;
    log(format_args!("listening on {}", listener.local_addr().context("failed to read the listening address")?));

    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app.layer(middleware::from_fn(log_request)));
    let mut server = tokio::spawn(server.with_graceful_shutdown(async { _ = stopped.await }).into_future());
    tokio::select! {
        ended = &mut server => return ended.context("the server broke off")?.context("failed to serve"),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(stop);
    // Either all requests under way are answered, or their time is up.
    _ = timeout(GRACE, server).await;
    Ok(())
}

/// One line on stderr. A reader that went away must not take the service with it, as `eprintln!` would.
pub fn log(line: fmt::Arguments) {
    _ = writeln!(std::io::stderr(), "{line}");
}

/// The kubelet's probes stay out of the log, at one a second they would be all of it.
async fn log_request(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if path != "/health" {
        log(format_args!("{method} {path} {}", response.status().as_u16()));
    }
    response
}

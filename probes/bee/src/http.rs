//! The small HTTP server that Prometheus scrapes: `/metrics` and `/healthz`, one thread, bounded.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::exposition::Format;

/// How long the head of a request may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection is not kept longer than this: a reader that stops reading holds an answer in memory.
const LONGEST: Duration = Duration::from_secs(120);
/// Prometheus needs one; each costs a buffer.
const CONNECTIONS: usize = 256;
const HEADERS: usize = 64;
const BUFFER: usize = 32 << 10;
/// Between two tries to accept a connection when that fails.
const REST: Duration = Duration::from_millis(100);

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
    runtime.block_on(async move { accept(tokio::net::TcpListener::from_std(listener)?, Arc::new(text)).await })
}

/// Whoever connects and says nothing, or very slowly, loses the connection; more than so many at once have to wait.
async fn accept<T>(listener: tokio::net::TcpListener, text: Arc<T>) -> std::io::Result<()>
where
    T: Fn(Format) -> String + Send + Sync + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_headers(HEADERS).max_buf_size(BUFFER);
    while let Ok(place) = room.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely this process has no more descriptors; some come back.
            tokio::time::sleep(REST).await;
            continue;
        };
        let text = text.clone();
        let answer = service_fn(move |request| std::future::ready(Ok::<_, Infallible>(answer(&request, &*text))));
        let connection = server.serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(async move {
            // One that breaks off or takes too long is its client's matter.
            let _ = tokio::time::timeout(LONGEST, connection).await;
            drop(place);
        });
    }
    Ok(())
}

fn answer<B>(request: &Request<B>, text: &impl Fn(Format) -> String) -> Response<Full<Bytes>> {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    match request.uri().path() {
        "/metrics" | "/healthz" if !is_read => {
            respond(StatusCode::METHOD_NOT_ALLOWED, (ALLOW, HeaderValue::from_static("GET, HEAD")), String::new())
        }
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
            let format = Format::accepted(accept);
            let kind = HeaderValue::from_static(format.content_type());
            respond(StatusCode::OK, (CONTENT_TYPE, kind), text(format))
        }
        "/healthz" => respond(StatusCode::OK, plain(), "ok\n".to_owned()),
        _ => respond(StatusCode::NOT_FOUND, plain(), "bee serves /metrics and /healthz\n".to_owned()),
    }
}

fn plain() -> (HeaderName, HeaderValue) {
    (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
}

fn respond(status: StatusCode, (name, value): (HeaderName, HeaderValue), body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(name, value);
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use super::*;

    #[test]
    fn only_what_is_served_is_answered_and_only_to_whoever_reads() {
        let status = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            answer(&request, &|_| "m 1\n".to_owned()).status().as_u16()
        };
        assert_eq!((status(Method::GET, "/metrics"), status(Method::HEAD, "/metrics?a=b")), (200, 200));
        assert_eq!(
            (status(Method::GET, "/healthz"), status(Method::GET, "/"), status(Method::GET, "/metrics/")),
            (200, 404, 404)
        );
        assert_eq!((status(Method::POST, "/metrics"), status(Method::DELETE, "/healthz")), (405, 405));
    }

    #[test]
    fn hundreds_of_clients_that_say_nothing_do_not_keep_a_scraper_out() {
        let listener = listen(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || serve(listener, |_| "m 1\n".to_owned()));
        let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
        let silent: Vec<_> = (0..CONNECTIONS + 50).map(|_| connect()).collect();
        let mut slow = connect();
        slow.write_all(b"GET /metrics HTTP/1.1\r\nHo").unwrap();
        let (started, mut scraper, mut answer) = (Instant::now(), connect(), String::new());
        scraper.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        scraper.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("m 1\n") && answer.contains("200 OK"), "{answer}");
        assert!(started.elapsed() < LONGEST, "it waited until they were sent away for another reason");
        drop(silent);
    }
}

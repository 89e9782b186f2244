//! The small HTTP server that Prometheus scrapes: `/metrics` and `/healthz`, one thread, bounded.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::sync::Semaphore;

use crate::allowance::Exceeded;
use crate::metrics::cache::Answers;
use crate::metrics::exposition::{Format, Rendering};

/// Timeout for the headers of a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection is for one answer, and not kept longer than this: a reader that stops reading holds it in memory. Prometheus itself
/// gives up after ten seconds.
const LONGEST: Duration = Duration::from_secs(15);
/// Prometheus needs one; each costs a buffer here and one of the kernel's, which would take megabytes by itself.
const CONNECTIONS: usize = 64;
const HEADERS: usize = 64;
const BUFFER: usize = 32 << 10;
const KERNEL_BUFFER: usize = 128 << 10;
/// Between two tries to accept a connection when that fails.
const REST: Duration = Duration::from_millis(100);

/// The metrics' port can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{address} can't be used for the metrics: choose another port with --prom-port, or address with --listen")]
pub struct PortTaken {
    pub address: SocketAddr,
    pub source: std::io::Error,
}

/// Takes the port, before anything is attached; answers where it is. All addresses are those of IPv4 where there is no IPv6.
pub fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), PortTaken> {
    let mut addresses = vec![address];
    if address.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED) {
        addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())));
    }
    bind(&addresses).map_err(|source| PortTaken { address, source })
}

/// Listens at the first address that can be had.
fn bind(addresses: &[SocketAddr]) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addresses)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves until the process ends. `text` makes the metrics.
pub fn serve<T>(listener: TcpListener, text: T) -> std::io::Result<()>
where
    T: Fn(Format) -> Result<Rendering, Exceeded> + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answers = Arc::new(Answers::new(text));
    runtime.block_on(async move { accept(tokio::net::TcpListener::from_std(listener)?, answers).await })
}

/// Whoever connects and says nothing, or very slowly, loses the connection; more than so many at once have to wait.
async fn accept<T>(listener: tokio::net::TcpListener, answers: Arc<Answers<T>>) -> std::io::Result<()>
where
    T: Fn(Format) -> Result<Rendering, Exceeded> + Send + Sync + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut server = http1::Builder::new();
    server.keep_alive(false);
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_headers(HEADERS).max_buf_size(BUFFER);
    while let Ok(place) = room.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely this process has no more descriptors; some come back.
            tokio::time::sleep(REST).await;
            continue;
        };
        // Without it a reader that stops costs more, and is served all the same.
        let _ = SockRef::from(&stream).set_send_buffer_size(KERNEL_BUFFER);
        let answers = answers.clone();
        let answer = service_fn(move |request| std::future::ready(Ok::<_, Infallible>(answer(&request, &answers))));
        let connection = server.serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(async move {
            // One that breaks off or takes too long is its client's matter.
            let _ = tokio::time::timeout(LONGEST, connection).await;
            drop(place);
        });
    }
    Ok(())
}

fn answer<B, T>(request: &Request<B>, answers: &Answers<T>) -> Response<Full<Bytes>>
where
    T: Fn(Format) -> Result<Rendering, Exceeded>,
{
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    match request.uri().path() {
        "/metrics" | "/healthz" if !is_read => {
            respond(StatusCode::METHOD_NOT_ALLOWED, (ALLOW, HeaderValue::from_static("GET, HEAD")), Bytes::new())
        }
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
            let format = Format::accepted(accept);
            let kind = HeaderValue::from_static(format.content_type());
            match answers.answer(format) {
                Ok(body) => respond(StatusCode::OK, (CONTENT_TYPE, kind), body),
                Err(why) => respond(StatusCode::INSUFFICIENT_STORAGE, plain(), format!("{why}\n").into()),
            }
        }
        "/healthz" => respond(StatusCode::OK, plain(), Bytes::from_static(b"ok\n")),
        _ => respond(StatusCode::NOT_FOUND, plain(), Bytes::from_static(b"bee serves /metrics and /healthz\n")),
    }
}

fn plain() -> (HeaderName, HeaderValue) {
    (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
}

fn respond(status: StatusCode, (name, value): (HeaderName, HeaderValue), body: Bytes) -> Response<Full<Bytes>> {
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
    use crate::allowance::Allowance;
    use crate::metrics::exposition::Exposition;

    fn one(format: Format) -> Result<Rendering, Exceeded> {
        let mut exposition = Exposition::new(format, &Allowance::unbounded());
        exposition.sample("m", "", 1);
        exposition.finish()
    }

    #[test]
    fn only_what_is_served_is_answered_and_only_to_whoever_reads() {
        let status = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            answer(&request, &Answers::new(one)).status().as_u16()
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
        let (listener, address) = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        std::thread::spawn(move || serve(listener, one));
        let connect = || TcpStream::connect(address).unwrap();
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

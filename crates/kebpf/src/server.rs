//! HTTP/1 with an end to whatever a client draws out: a head that does not come, an answer that nobody reads, connections without
//! number. axum's own server knows none of these.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; who comes later waits until one ends.
    pub connections: u32,
    /// Until the head of a request is here, also of a next one on a connection that is kept.
    pub head: Duration,
    /// While a client takes nothing of what lies ready for it.
    pub unread: Duration,
}

/// What the kernel keeps for a client that does not read, and again as much for its own books; it would let that grow to 4 MB.
const SEND_BUFFER: usize = 128 << 10;
/// Who waits to be accepted.
const BACKLOG: i32 = 128;
const HEADERS: usize = 64;
/// Between two tries to accept a connection when that fails.
const REST: Duration = Duration::from_millis(100);

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 512, head: Duration::from_secs(10), unread: Duration::from_secs(20) }
    }
}

/// # Errors
/// The address is taken, or not this machine's.
pub fn listen(address: SocketAddr, limits: &Limits) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Each connection has these two from the listener. The kernel itself ends one whose other end does not read, or is gone.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_user_timeout(Some(limits.unread))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until `stop`, and then until every connection has ended.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let room = Arc::new(Semaphore::new(limits.connections as usize));
    let (going_on, end) = watch::channel(());
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.head).max_headers(HEADERS);
    let mut stop = pin!(stop);
    loop {
        let client = tokio::select! {
            client = next(&listener, &room) => client,
            () = &mut stop => None,
        };
        let Some((place, stream, address)) = client else { break };
        let router = router.clone().layer(Extension(ConnectInfo(address)));
        tokio::spawn(talk(server.clone(), stream, router, end.clone(), place));
    }
    drop((listener, going_on));
    // Every place comes back with the end of its connection.
    let _ = room.acquire_many(limits.connections).await;
}

/// Answers a client until it goes, has gone too far, or `end`; how that happens is the client's matter.
async fn talk(
    server: http1::Builder,
    stream: TcpStream,
    router: Router,
    mut end: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
) {
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = end.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// The next connection that there is room for.
async fn next(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let place = room.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return Some((place, stream, address)),
            // Most likely this process has no more descriptors; some come back.
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

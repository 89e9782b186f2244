//! What a client can draw out has an end: in this process, with limits that a test can wait for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use kebpf::server::{self, Limits};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::running::until;

const LIMITS: Limits = Limits { connections: 4, head: Duration::from_millis(300), unread: Duration::from_millis(1000) };

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

fn started(router: Router) -> Server {
    let listener = server::listen(([127, 0, 0, 1], 0).into(), &LIMITS).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(server::serve(listener, router, LIMITS, async {
        let _ = stopped.await;
    }));
    Server { address, stop, ended }
}

fn short() -> Router {
    Router::new().route("/", get(|| async { "short" }))
}

/// Connects and says this.
async fn client(server: &Server, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the server ends the connection.
async fn drain(stream: &TcpStream) -> String {
    let mut received = Vec::new();
    until("the server ends the connection", async || {
        loop {
            let mut buffer = [0; 1024];
            match stream.try_read(&mut buffer) {
                Ok(0) => return true,
                Ok(length) => received.extend_from_slice(&buffer[..length]),
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    })
    .await;
    String::from_utf8(received).unwrap()
}

const WHOLE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_half_a_head_or_nothing_more_loses_the_connection() {
    let server = started(short());
    for (head, answered) in [("", false), ("GET / HTTP/1.1\r\nHo", false), (WHOLE, true)] {
        let received = drain(&client(&server, head).await).await;
        assert_eq!(received.contains("200 OK"), answered, "{head:?}: {received}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_does_not_keep_others_out() {
    let server = started(short());
    let mut silent = Vec::new();
    for _ in 0..5 * LIMITS.connections {
        silent.push(client(&server, "").await);
    }
    let received = drain(&client(&server, WHOLE).await).await;
    assert!(received.contains("200 OK"), "{received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_reads_is_given_up() {
    let held = Arc::new(());
    let of_stream = held.clone();
    let endless = move || {
        let held = of_stream.clone();
        let chunks = futures::stream::repeat_with(move || {
            let _held = &held;
            Ok::<_, Infallible>(Bytes::from(vec![b' '; 1 << 16]))
        });
        async { Body::from_stream(chunks) }
    };
    let server = started(Router::new().route("/", get(endless)));
    let before = Arc::strong_count(&held);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(WHOLE.as_bytes()).await.unwrap();
    until("the answer is under way", async || Arc::strong_count(&held) > before).await;
    until("the answer is given up", async || Arc::strong_count(&held) == before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_its_connections() {
    let server = started(short());
    let idle = client(&server, WHOLE).await;
    idle.readable().await.unwrap();
    server.stop.send(()).unwrap();
    until("it ends", async || server.ended.is_finished()).await;
    drain(&idle).await;
}

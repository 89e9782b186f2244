//! HTTP CONNECT (RFC 9110, section 9.3.6), and no other method: who may ask, for what, and how much of it at a time.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::dial::{dial, port};
use anyhow::{Context, Result, bail, ensure};
use interface::range::Range;
use manners::print;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

/// Three containerds pull some layers of some images at a time.
const MOST: usize = 128;
/// A request is one line and some headers.
const MOST_BYTES: usize = 8 << 10;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that one layer takes.
const LONGEST: Duration = Duration::from_secs(3600);

/// Where registries listen.
const HTTPS: u16 = 443;

/// Who may ask for what.
#[derive(Debug)]
pub struct Rules {
    /// Pods have addresses of their own: what they send comes from outside this range.
    pub nodes: Range,
    /// `host:port` of registries that the user named.
    pub allowed: Vec<String>,
}

impl Rules {
    fn admits(&self, peer: IpAddr) -> bool {
        let IpAddr::V4(base) = peer else { return false };
        self.nodes.overlaps(Range { base, bits: 32 })
    }

    /// Whether a target may be asked for, and whether even on this machine itself.
    fn allows(&self, target: &str) -> Option<bool> {
        if self.allowed.iter().any(|allowed| allowed == target) {
            return Some(true);
        }
        (port(target)? == HTTPS).then_some(false)
    }
}

/// Carries connections until the process ends.
pub async fn serve(listener: TcpListener, rules: Rules) -> Result<()> {
    let (rules, slots) = (Arc::new(rules), Arc::new(Semaphore::new(MOST)));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.context("wait for a connection to end")?;
        let (near, peer) = match listener.accept().await {
            // The peer went away again before its turn came.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => continue,
            accepted => accepted.context("take a connection")?,
        };
        let rules = Arc::clone(&rules);
        tokio::spawn(async move {
            if let Err(error) = carry(near, peer, &rules).await {
                print::note(format!("{peer}: {error:#}"));
            }
            drop(slot);
        });
    }
}

async fn carry(mut near: TcpStream, peer: SocketAddr, rules: &Rules) -> Result<()> {
    ensure!(rules.admits(peer.ip()), "refused: not a node of this cluster");
    let request = timeout(PATIENCE, read_request(&mut near)).await.context("its request takes too long")??;
    let Request::Connect { target, early } = request else {
        return refuse(&mut near, "405 this proxy only does CONNECT").await;
    };
    let Some(even_here) = rules.allows(&target) else {
        let line = format!("403 this proxy only connects to port {HTTPS}, not to {target}");
        return refuse(&mut near, &line).await;
    };
    let mut far = match dial(&target, even_here).await {
        Ok(far) => far,
        Err(error) => return refuse(&mut near, &format!("502 no way to {target}: {error:#}")).await,
    };
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    far.write_all(&early).await?;
    // Either side may end whenever it likes.
    let _ = timeout(LONGEST, copy_bidirectional(&mut near, &mut far)).await;
    Ok(())
}

/// Go's HTTP client reports the words after the status code: a pod's events say what went wrong here.
async fn refuse(near: &mut TcpStream, status: &str) -> Result<()> {
    let status = status.replace(['\r', '\n'], " ");
    near.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    bail!("refused: {status}")
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    /// The bytes that came right behind the request are the tunnel's already.
    Connect {
        target: String,
        early: Vec<u8>,
    },
    Other,
}

async fn read_request(near: &mut TcpStream) -> Result<Request> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let read = near.read_buf(&mut bytes).await.context("read the request")?;
        ensure!(read > 0, "it hung up before its request was complete");
        if let Some(request) = parse(&bytes)? {
            return Ok(request);
        }
        ensure!(bytes.len() < MOST_BYTES, "its request is longer than {MOST_BYTES} bytes");
    }
}

/// The request, once all of it is there.
fn parse(bytes: &[u8]) -> Result<Option<Request>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(end) = request.parse(bytes).context("its request is not HTTP")? else {
        return Ok(None);
    };
    let early = bytes[end..].to_vec();
    Ok(Some(match (request.method, request.path) {
        (Some("CONNECT"), Some(target)) => Request::Connect { target: target.to_owned(), early },
        _ => Request::Other,
    }))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn rules(nodes: &str, allowed: &[&str]) -> Rules {
        let allowed = allowed.iter().map(|&target| target.to_owned()).collect();
        Rules { nodes: Range::parse(nodes).unwrap(), allowed }
    }

    #[test]
    fn a_request_is_read_once_it_is_complete() {
        assert_eq!(parse(b"CONNECT quay.io:443 HTTP/1.1\r\nHost: quay").unwrap(), None);
        let whole = parse(b"CONNECT quay.io:443 HTTP/1.1\r\nHost: quay.io:443\r\n\r\nrest").unwrap();
        assert_eq!(whole, Some(Request::Connect { target: "quay.io:443".to_owned(), early: b"rest".to_vec() }));
        assert_eq!(parse(b"GET http://quay.io/ HTTP/1.1\r\n\r\n").unwrap(), Some(Request::Other));
        assert!(parse(b"\x16\x03\x01\x02\x00").is_err(), "TLS is not HTTP");
    }

    #[test]
    fn only_https_and_named_registries_are_allowed_and_only_nodes_may_ask() {
        let rules = rules("172.18.101.0/24", &["10.0.0.5:5000"]);
        assert_eq!(rules.allows("quay.io:443"), Some(false));
        assert_eq!(rules.allows("10.0.0.5:5000"), Some(true));
        for target in ["quay.io:22", "10.0.0.5:5001", "quay.io", ""] {
            assert_eq!(rules.allows(target), None, "{target}");
        }
        let from = |address: [u8; 4]| rules.admits(IpAddr::V4(Ipv4Addr::from(address)));
        assert!(from([172, 18, 101, 2]));
        assert!(!from([10, 101, 1, 2]), "a pod");
        assert!(!from([172, 18, 102, 2]), "another cluster's node");
    }

    /// A proxy for loopback as its cluster's nodes, and what it answers to one request.
    async fn answer(rules: Rules, request: &str) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(serve(listener, rules));
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        // A refused peer is not even answered: the connection may be reset.
        let _ = client.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn bytes_go_through_to_a_registry_that_was_named_and_come_back() {
        let registry = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = registry.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = registry.accept().await.unwrap();
            let mut bytes = vec![];
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes.to_ascii_uppercase()).await.unwrap();
        });
        let said = answer(rules("127.0.0.0/8", &[&target]), &format!("CONNECT {target} HTTP/1.1\r\n\r\nhello")).await;
        assert_eq!(said, "HTTP/1.1 200 Connection established\r\n\r\nHELLO");
    }

    #[tokio::test]
    async fn what_is_not_allowed_is_refused_with_words() {
        let nodes = "127.0.0.0/8";
        let said = answer(rules(nodes, &[]), "CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n").await;
        assert!(
            said.starts_with("HTTP/1.1 403 this proxy only connects to port 443, not to 127.0.0.1:22\r\n"),
            "{said}"
        );
        let said = answer(rules(nodes, &[]), "CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 502 no way to 127.0.0.1:443: 127.0.0.1 is this machine's own"), "{said}");
        let said = answer(rules(nodes, &[]), "GET http://quay.io/ HTTP/1.1\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 405 "), "{said}");
        assert_eq!(
            answer(rules("172.18.101.0/24", &[]), "CONNECT quay.io:443 HTTP/1.1\r\n\r\n").await,
            "",
            "not a node"
        );
    }

    #[tokio::test]
    async fn a_request_without_an_end_is_cut_off() {
        let endless = format!("CONNECT quay.io:443 HTTP/1.1\r\nx: {}", "a".repeat(MOST_BYTES));
        assert_eq!(answer(rules("127.0.0.0/8", &[]), &endless).await, "");
    }
}

//! HTTP CONNECT (RFC 9110, section 9.3.6), and no other method: who may ask, for what, and how much of it at a time.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{
    asking::{Asking, Place},
    dial::{dial, port},
};
use anyhow::{Context, Result, bail, ensure};
use clikit::print;
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
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest that one layer takes.
const LONGEST: Duration = Duration::from_secs(3600);

/// Where registries listen.
const HTTPS: u16 = 443;

/// Who may ask for what.
#[derive(Debug)]
pub struct Rules {
    /// The nodes' own addresses; pods have others.
    pub nodes: Vec<IpAddr>,
    /// What containerd sends as `Proxy-Authorization`.
    pub login: String,
    /// `host:port` of registries that the user named.
    pub allowed: Vec<String>,
}

impl Rules {
    /// Whether a target may be asked for, and whether even on this machine itself.
    fn allows(&self, target: &str) -> Option<bool> {
        if self.allowed.iter().any(|allowed| allowed == target) {
            return Some(true);
        }
        // A registry sends whoever asks it to others, for layers and for logins: their names are not known before.
        (port(target)? == HTTPS).then_some(false)
    }
}

/// Carries connections until the process ends.
pub async fn serve(listener: TcpListener, rules: Rules) -> Result<()> {
    let (rules, slots, asking) = (Arc::new(rules), Arc::new(Semaphore::new(MOST)), Asking::default());
    loop {
        let (near, peer) = match listener.accept().await {
            // The peer went away again before its turn came.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => continue,
            accepted => accepted.context("failed to take a connection")?,
        };
        // Whoever gets no place is hung up on without a word.
        let is_node = rules.nodes.contains(&peer.ip());
        let Some(place) = asking.enter(peer.ip()).filter(|_| is_node) else { continue };
        let (rules, slots) = (Arc::clone(&rules), Arc::clone(&slots));
        tokio::spawn(async move {
            if let Err(error) = carry(near, place, &rules, &slots).await {
                print::note(format!("{peer}: {error:#}"));
            }
        });
    }
}

async fn carry(mut near: TcpStream, place: Place, rules: &Rules, slots: &Semaphore) -> Result<()> {
    let request = timeout(PATIENCE, read_request(&mut near)).await.context("its request takes too long")??;
    drop(place);
    let Request::Connect { target, login, early } = request else {
        return refuse(&mut near, "405 this proxy only does CONNECT").await;
    };
    if login.as_ref() != Some(&rules.login) {
        return refuse(&mut near, "407 this proxy is for the nodes' containerd alone").await;
    }
    let Some(even_here) = rules.allows(&target) else {
        let line = format!("403 this proxy only connects to port {HTTPS}, not to {target}");
        return refuse(&mut near, &line).await;
    };
    let _slot = slots.acquire().await.context("failed to wait for a connection to end")?;
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
        login: Option<String>,
        early: Vec<u8>,
    },
    Other,
}

async fn read_request(near: &mut TcpStream) -> Result<Request> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let read = near.read_buf(&mut bytes).await.context("failed to read the request")?;
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
        (Some("CONNECT"), Some(target)) => {
            Request::Connect { target: target.to_owned(), login: login(request.headers), early }
        }
        _ => Request::Other,
    }))
}

fn login(headers: &[httparse::Header]) -> Option<String> {
    let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case("Proxy-Authorization"))?;
    Some(String::from_utf8_lossy(header.value).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::net::TcpSocket;

    use super::*;

    const LOGIN: &str = "Proxy-Authorization: Basic bm9kZTpzZWNyZXQ=";

    fn rules(node: [u8; 4], allowed: &[&str]) -> Rules {
        let allowed = allowed.iter().map(|&target| target.to_owned()).collect();
        Rules { nodes: vec![node.into()], login: "Basic bm9kZTpzZWNyZXQ=".to_owned(), allowed }
    }

    #[test]
    fn a_request_is_read_once_it_is_complete() {
        assert_eq!(parse(b"CONNECT quay.io:443 HTTP/1.1\r\nHost: quay").unwrap(), None);
        let whole = parse(b"CONNECT quay.io:443 HTTP/1.1\r\nHost: quay.io:443\r\n\r\nrest").unwrap();
        let target = "quay.io:443".to_owned();
        assert_eq!(whole, Some(Request::Connect { target, login: None, early: b"rest".to_vec() }));
        assert_eq!(parse(b"GET http://quay.io/ HTTP/1.1\r\n\r\n").unwrap(), Some(Request::Other));
        assert!(parse(b"\x16\x03\x01\x02\x00").is_err(), "TLS is not HTTP");
    }

    #[test]
    fn only_https_and_named_registries_are_allowed() {
        let rules = rules([10, 0, 0, 1], &["10.0.0.5:5000"]);
        assert_eq!(rules.allows("quay.io:443"), Some(false));
        assert_eq!(rules.allows("10.0.0.5:5000"), Some(true));
        for target in ["quay.io:22", "10.0.0.5:5001", "quay.io", ""] {
            assert_eq!(rules.allows(target), None, "{target}");
        }
    }

    /// A proxy whose only node is loopback, or another.
    async fn proxy(rules: Rules) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, rules));
        address
    }

    /// What it answers to one request.
    async fn answer(proxy: SocketAddr, request: &str) -> String {
        let mut client = TcpStream::connect(proxy).await.unwrap();
        // A refused peer is not even answered: the connection may be reset.
        let _ = client.write_all(request.as_bytes()).await;
        let _ = client.shutdown().await;
        let mut text = String::new();
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
        let proxy = proxy(rules([127, 0, 0, 1], &[&target])).await;
        let said = answer(proxy, &format!("CONNECT {target} HTTP/1.1\r\n{LOGIN}\r\n\r\nhello")).await;
        assert_eq!(said, "HTTP/1.1 200 Connection established\r\n\r\nHELLO");
    }

    #[tokio::test]
    async fn who_and_what_is_not_allowed_is_refused_with_words() {
        let at = proxy(rules([127, 0, 0, 1], &[])).await;
        for (request, words) in [
            ("CONNECT 127.0.0.1:22", "403 this proxy only connects to port 443, not to 127.0.0.1:22"),
            ("CONNECT 127.0.0.1:443", "502 no way to 127.0.0.1:443: 127.0.0.1 is this machine's own"),
            ("GET http://quay.io/", "405 this proxy only does CONNECT"),
        ] {
            let said = answer(at, &format!("{request} HTTP/1.1\r\n{LOGIN}\r\n\r\n")).await;
            assert!(said.starts_with(&format!("HTTP/1.1 {words}\r\n")), "{said}");
        }
        for header in ["", "Proxy-Authorization: Basic bm9kZTo=\r\n", "Authorization: Basic bm9kZTpzZWNyZXQ=\r\n"] {
            let said = answer(at, &format!("CONNECT quay.io:443 HTTP/1.1\r\n{header}\r\n")).await;
            assert!(said.starts_with("HTTP/1.1 407 "), "{header}: {said}");
        }
        let elsewhere = proxy(rules([172, 18, 101, 1], &[])).await;
        assert_eq!(
            answer(elsewhere, &format!("CONNECT quay.io:443 HTTP/1.1\r\n{LOGIN}\r\n\r\n")).await,
            "",
            "not a node"
        );
    }

    #[tokio::test]
    async fn whoever_asks_for_nothing_keeps_no_other_peer_out() {
        let mut rules = rules([127, 0, 0, 1], &[]);
        rules.nodes.push([127, 0, 0, 2].into());
        let at = proxy(rules).await;
        let mut silent = vec![];
        for _ in 0..2 * MOST {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            silent.push(socket.connect(at).await.unwrap());
        }
        let said = answer(at, "GET / HTTP/1.1\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 405 "), "{said}");
        drop(silent);
    }

    #[tokio::test]
    async fn a_request_without_an_end_is_cut_off() {
        let endless = format!("CONNECT quay.io:443 HTTP/1.1\r\nx: {}", "a".repeat(MOST_BYTES));
        assert_eq!(answer(proxy(rules([127, 0, 0, 1], &[])).await, &endless).await, "");
    }
}

//! A proxy as companies have them: HTTP CONNECT, and a note of what it was asked for. It leads to where the test says.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// One that runs for as long as the test does.
pub struct ForwardProxy {
    address: SocketAddr,
    notes: Arc<Mutex<Vec<Note>>>,
}

#[derive(Default)]
struct Note {
    target: String,
    login: Option<String>,
}

impl ForwardProxy {
    /// Whatever it is asked for, it connects to this address.
    pub fn to(address: SocketAddr) -> Self {
        Self::start(Some(address))
    }

    /// It connects to nothing.
    pub fn to_nowhere() -> Self {
        Self::start(None)
    }

    fn start(to: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, notes) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<_>>>::default());
        let ours = notes.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let notes = notes.clone();
                thread::spawn(move || carry(near, to, &notes));
            }
        });
        Self { address, notes: ours }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `host:port` of every CONNECT, and the first line of every other request.
    pub fn asked(&self) -> Vec<String> {
        self.notes.lock().unwrap().iter().map(|note| note.target.clone()).collect()
    }

    /// What it was told as `Proxy-Authorization`.
    pub fn logins(&self) -> Vec<String> {
        self.notes.lock().unwrap().iter().filter_map(|note| note.login.clone()).collect()
    }
}

/// The variables, in both spellings, that name one proxy for all that a program may ask for.
pub fn environment(url: &str) -> Vec<(&'static str, String)> {
    let names = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    names.map(|name| (name, url.to_owned())).to_vec()
}

fn carry(mut near: TcpStream, to: Option<SocketAddr>, notes: &Mutex<Vec<Note>>) -> Option<()> {
    let note = request(&near).ok()?;
    let is_tunnel = !note.target.contains(' ');
    notes.lock().unwrap().push(note);
    let Some(mut far) = to.filter(|_| is_tunnel).and_then(|to| TcpStream::connect(to).ok()) else {
        return near.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
    };
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    let (mut back, mut home) = (far.try_clone().ok()?, near.try_clone().ok()?);
    thread::spawn(move || {
        let _ = io::copy(&mut back, &mut home);
        let _ = home.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut near, &mut far);
    far.shutdown(Shutdown::Write).ok()
}

/// Reads to the empty line, and no further: what follows is the tunnel's.
fn request(near: &TcpStream) -> io::Result<Note> {
    let mut text = String::new();
    let mut reader = BufReader::with_capacity(1, near);
    while !text.ends_with("\r\n\r\n") && reader.read_line(&mut text)? > 0 {}
    let (mut note, mut lines) = (Note::default(), text.lines());
    let first = lines.next().unwrap_or_default();
    let connect = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    note.target = connect.unwrap_or(first).to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
    };
    note.login = lines.find_map(header);
    Ok(note)
}

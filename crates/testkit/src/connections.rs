//! Connections for probes to see: real ones, over loopback.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    thread,
};

use tokio::{
    net::TcpSocket,
    runtime::{Builder, Runtime},
};

/// The two addresses of connections.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub source: Ipv4Addr,
    pub target: Ipv4Addr,
}

impl Pair {
    /// A pair that nobody else uses; `number` tells tests apart.
    pub fn of(number: u8) -> Self {
        let [low, ..] = std::process::id().to_le_bytes();
        Self { source: Ipv4Addr::new(127, 77, number, low), target: Ipv4Addr::new(127, 78, number, low) }
    }

    /// Opens connections to a listener, from several threads at once.
    pub fn connect(self, threads: usize, each: usize) {
        let listener = TcpListener::bind((self.target, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let connect = || runtime().block_on(async { socket(self.source, 0)?.connect(to).await.map(drop) }).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| listener.incoming().take(threads * each).for_each(drop));
            for _ in 0..threads {
                scope.spawn(|| (0..each).for_each(|_| connect()));
            }
        });
    }

    /// Makes one connection, and a second from the same address and port to the same target. The second finds its ports in use,
    /// after the kernel has said SYN_SENT and before a SYN has left.
    pub fn connect_twice_from_one_port(self) {
        let listener = TcpListener::bind((self.target, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        runtime().block_on(async {
            let [first, second] = [(); 2].map(|()| socket(self.source, 41_999).unwrap());
            let first = first.connect(to).await;
            let second = second.connect(to).await;
            assert!(first.is_ok() && second.is_err(), "{first:?} {second:?}");
        });
    }

    /// Makes one connection as Java does: with a socket of IPv6, to `::ffff:` and the target's address.
    pub fn connect_mapped(self) {
        let listener = TcpListener::bind((self.target, 0)).unwrap();
        let to = SocketAddr::from((self.target.to_ipv6_mapped(), listener.local_addr().unwrap().port()));
        runtime().block_on(async { socket(self.source.to_ipv6_mapped(), 0)?.connect(to).await.map(drop) }).unwrap();
    }
}

/// What IPv4's fields of a socket say that is connected to [`Ipv6Addr::LOCALHOST`].
pub const OVER_IPV6: Pair = Pair { source: Ipv4Addr::new(127, 0, 0, 6), target: Ipv4Addr::UNSPECIFIED };

/// Makes one connection over IPv6.
pub fn connect_over_ipv6() {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
}

fn socket(source: impl Into<IpAddr>, port: u16) -> io::Result<TcpSocket> {
    let source = SocketAddr::new(source.into(), port);
    let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(port != 0)?;
    socket.bind(source)?;
    Ok(socket)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

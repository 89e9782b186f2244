//! Connections for probes to see: real ones, over loopback.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener},
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
        let connect = || runtime().block_on(async { self.socket(0)?.connect(to).await.map(drop) }).unwrap();
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
            let [first, second] = [(); 2].map(|()| self.socket(41_999).unwrap());
            let first = first.connect(to).await;
            let second = second.connect(to).await;
            assert!(first.is_ok() && second.is_err(), "{first:?} {second:?}");
        });
    }

    fn socket(self, port: u16) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(port != 0)?;
        socket.bind(SocketAddr::V4(SocketAddrV4::new(self.source, port)))?;
        Ok(socket)
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

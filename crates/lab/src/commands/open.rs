//! `open`: the graph app's address, and a way to it for a browser elsewhere.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use clikit::print;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::{check::graph, workshop::Workshop};

pub async fn run(workshop: &Workshop, listen: Option<SocketAddr>) -> Result<()> {
    let address = graph::address(workshop).await?;
    let target = host_and_port(&address);
    if std::env::var_os("SSH_CONNECTION").is_some() {
        print::note(format!("from your own machine: ssh -L 8080:{target} THIS-MACHINE, then http://localhost:8080"));
    }
    match listen {
        None => print::line(address)?,
        Some(listen) => forward(listen, &target).await?,
    }
    Ok(())
}

/// Carries connections until Ctrl-C.
async fn forward(listen: SocketAddr, target: &str) -> Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("failed to listen on {listen}; choose another address"))?;
    print::line(format!("http://{}", listener.local_addr()?))?;
    loop {
        let (mut near, _) = listener.accept().await.context("failed to take a connection")?;
        let target = target.to_owned();
        tokio::spawn(async move {
            match TcpStream::connect(&target).await {
                // Either side may end whenever it likes.
                Ok(mut far) => drop(copy_bidirectional(&mut near, &mut far).await),
                Err(error) => print::note(format!("{target}: {error}")),
            }
        });
    }
}

fn host_and_port(address: &str) -> String {
    let host = address.trim_start_matches("http://");
    if host.contains(':') { host.to_owned() } else { format!("{host}:80") }
}

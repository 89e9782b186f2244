//! The proxy's own way out: straight to a registry, or by the proxy that this machine's user has set.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use http::Uri;
use hyper_util::client::{
    legacy::connect::{
        HttpConnector,
        proxy::{SocksV5, Tunnel},
    },
    proxy::matcher::Intercept,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tower_service::Service;

use crate::proxies;

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to `host:port`; to addresses of this machine itself only if the caller says so.
pub async fn dial(target: &str, even_here: bool) -> Result<TcpStream> {
    ensure!(port(target).is_some(), "`{target}` is not host:port");
    let url: Uri = format!("https://{target}").parse().with_context(|| format!("`{target}` is not host:port"))?;
    match proxies::before(&url) {
        Some(proxy) => timeout(PATIENCE, through(&proxy.parts, url)).await.context("the proxy does not answer")?,
        None => directly(target, even_here).await,
    }
}

/// The port of `host:port`.
pub fn port(target: &str) -> Option<u16> {
    target.rsplit_once(':')?.1.parse().ok()
}

/// By way of another proxy, which looks the name up.
async fn through(proxy: &Intercept, url: Uri) -> Result<TcpStream> {
    let address = proxy.uri();
    let connected = match address.scheme_str() {
        Some("http") => tunnel(proxy).call(url).await.map_err(anyhow::Error::from),
        Some("socks5" | "socks5h") => socks(proxy).call(url).await.map_err(|error| anyhow!(error.to_string())),
        _ => bail!("the proxy {address} speaks neither http nor socks5"),
    };
    Ok(connected.with_context(|| format!("by the proxy {address}"))?.into_inner())
}

fn tunnel(proxy: &Intercept) -> Tunnel<HttpConnector> {
    let tunnel = Tunnel::new(proxy.uri().clone(), tcp());
    match proxy.basic_auth() {
        Some(login) => tunnel.with_auth(login.clone()),
        None => tunnel,
    }
}

fn socks(proxy: &Intercept) -> SocksV5<HttpConnector> {
    let socks = SocksV5::new(proxy.uri().clone(), tcp());
    match proxy.raw_auth() {
        Some((name, password)) => socks.with_auth(name.to_owned(), password.to_owned()),
        None => socks,
    }
}

/// To the proxy, whatever its scheme.
fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp
}

async fn directly(target: &str, even_here: bool) -> Result<TcpStream> {
    let found = timeout(PATIENCE, lookup_host(target)).await.context("its name takes too long to look up")?;
    let mut last = None;
    for address in found.context("failed to look up its name")? {
        if !even_here && is_private_to_machine(address.ip()) {
            last = Some(anyhow!("{} is this machine's own", address.ip()));
            continue;
        }
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Some(anyhow::Error::new(error).context(format!("connect to {address}"))),
            Err(_) => last = Some(anyhow!("{address} does not answer")),
        }
    }
    Err(last.unwrap_or_else(|| anyhow!("its name has no address")))
}

/// Loopback, and link-local addresses, where clouds serve a machine's credentials.
fn is_private_to_machine(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local() || address.is_unspecified(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local() || address.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::client::proxy::matcher::Matcher;
    use testkit::forward::ForwardProxy;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn what_is_this_machines_own_is_known() {
        for own in ["127.0.0.1", "127.8.9.1", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1", "0.0.0.0"] {
            assert!(is_private_to_machine(own.parse().unwrap()), "{own}");
        }
        assert!(!is_private_to_machine("192.0.2.7".parse().unwrap()));
    }

    async fn by(proxy: &str) -> Result<TcpStream> {
        let url: Uri = "https://quay.invalid:443".parse().unwrap();
        through(&Matcher::builder().all(proxy).build().intercept(&url).unwrap(), url).await
    }

    #[tokio::test]
    async fn the_users_proxy_is_told_the_name_and_the_login_and_bytes_go_through() {
        let registry = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = ForwardProxy::to(registry.local_addr().unwrap());
        let mut stream = by(&proxy.url().replace("://", "://me:secret@")).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        registry.accept().await.unwrap().0.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        assert_eq!(proxy.asked(), ["quay.invalid:443"]);
        assert_eq!(proxy.logins(), ["Basic bWU6c2VjcmV0"]);
    }

    #[tokio::test]
    async fn a_proxy_that_is_none_is_named_without_its_login() {
        for (proxy, why) in [("http://me:secret@127.0.0.1:1", "refused"), ("https://me:secret@127.0.0.1:1", "neither")]
        {
            let error = format!("{:#}", by(proxy).await.unwrap_err());
            assert!(error.contains("127.0.0.1:1") && error.contains(why) && !error.contains("secret"), "{error}");
        }
    }
}

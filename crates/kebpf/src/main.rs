//! The program: reads its settings, connects to both sources, serves until it is told to end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use ipnet::IpNet;
use kebpf::cluster::{self, Cluster};
use kebpf::edges::Prometheus;
use kebpf::endpoint::Endpoint;
use kebpf::hosts::{HostName, Hosts};
use kebpf::live::{self, Published, Settings};
use kebpf::server::{self, Limits};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long open connections may take to end.
const GOODBYE: Duration = Duration::from_secs(5);

/// Draws, live in a browser, which services of a Kubernetes cluster talk to each other.
///
/// Connections come from Prometheus, which scrapes the probes; who stands behind an address comes from Kubernetes.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The Prometheus that scrapes the probes, with a login if need be: https://user:password@prometheus.example
    #[arg(
        long,
        env = "PROMETHEUS_ENDPOINT",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://prom-kube-prometheus-stack-prometheus.prometheus.svc.cluster.local:9090"
    )]
    prometheus: String,

    /// A PEM file of the authorities that sign Prometheus' certificate, in place of this machine's
    #[arg(long, env = "PROMETHEUS_CA_FILE", value_name = "FILE")]
    prometheus_ca_file: Option<PathBuf>,

    /// A file with the token that Prometheus asks for; read at each query
    #[arg(long, env = "PROMETHEUS_TOKEN_FILE", value_name = "FILE")]
    prometheus_token_file: Option<PathBuf>,

    /// The port to listen on
    #[arg(long, env = "PORT", default_value_t = 3000)]
    port: u16,

    /// The address to listen on
    #[arg(long, env = "LISTEN_ADDRESS", value_name = "IP", default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    address: IpAddr,

    /// A name under which the page may be opened, beside addresses and localhost; may be repeated
    #[arg(long, env = "KEBPF_ALLOWED_HOSTS", value_name = "NAME", value_delimiter = ',')]
    allowed_host: Vec<HostName>,

    /// Seconds between two queries
    #[arg(long, env = "QUERY_INTERVAL", value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,

    /// An address range of the cluster's Services or pods, where it can't be learned; may be repeated
    #[arg(long, env = "CLUSTER_RANGES", value_name = "CIDR", value_delimiter = ',')]
    cluster_range: Vec<IpNet>,

    /// A kubeconfig file, outside a pod
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context to use
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kebpf: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let interval = Duration::from_secs(arguments.interval);
    let prometheus = prometheus(&arguments, interval.max(Duration::from_secs(5)))?;
    let client = cluster::connect(arguments.kubeconfig.as_deref(), arguments.context.as_deref()).await?;
    let limits = Limits::default();
    let listener = listen(arguments.address, arguments.port, &limits)?;

    let (publish, published) = watch::channel(Arc::new(Published::nothing_yet()));
    let settings = Settings { interval, ranges: arguments.cluster_range };
    let live = tokio::spawn(live::run(prometheus, Cluster::watch(&client), settings, publish));

    let (stop, stopped) = oneshot::channel::<()>();
    let router = kebpf::api::router(published, Hosts::new(arguments.allowed_host));
    let mut server = tokio::spawn(server::serve(listener, router, limits, async {
        let _ = stopped.await;
    }));
    tokio::select! {
        served = &mut server => return served.context("the server broke off"),
        () = end_requested()? => {}
    }
    // Streams of events end with what publishes them.
    live.abort();
    let _ = stop.send(());
    if timeout(GOODBYE, server).await.is_err() {
        eprintln!("kebpf: closing connections that were still open");
    }
    Ok(())
}

fn prometheus(arguments: &Arguments, timeout: Duration) -> anyhow::Result<Prometheus> {
    let mut endpoint: Endpoint = arguments.prometheus.parse()?;
    if let Some(file) = &arguments.prometheus_token_file {
        endpoint = endpoint.with_token(file.clone())?;
    }
    Ok(Prometheus::new(endpoint, arguments.prometheus_ca_file.as_deref(), timeout)?)
}

/// Both families where the machine has IPv6, else IPv4 alone.
fn listen(address: IpAddr, port: u16, limits: &Limits) -> anyhow::Result<TcpListener> {
    let wanted = SocketAddr::new(address, port);
    let listener = match server::listen(wanted, limits) {
        Err(_) if address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            server::listen((Ipv4Addr::UNSPECIFIED, port).into(), limits)
        }
        bound => bound,
    };
    let listener = listener.with_context(|| format!("failed to listen on {wanted}"))?;
    eprintln!("kebpf: listening on {}", listener.local_addr().unwrap_or(wanted));
    Ok(listener)
}

/// Kubernetes ends a pod with SIGTERM, a person with Ctrl-C.
fn end_requested() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

//! The nodes' way to image registries: a forward proxy of ours that listens on this machine's end of the veth pair, and there only.
//!
//! The cluster's network ends at this machine, and stays so: no NAT, no forwarding, no sysctl. The proxy carries what the nodes'
//! containerd asks for, and nothing of the pods. It runs as a process of its own, found by its cgroup and its command line.

mod asking;
mod connect;
mod dial;
mod login;

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use futures::future::join_all;
use lab_cli::proxies;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use tokio::net::TcpStream;

use self::connect::Rules;
pub use self::login::create as create_login;
use super::{
    addresses::{Addresses, NODES},
    cgroups,
    folders::Folders,
    held,
};
use crate::{
    cmd::Cmd,
    error::unfit,
    live::Live,
    wait::{self, NotYet},
};

/// A listener is there at once, or never.
const START: Duration = Duration::from_secs(5);
/// The user `nobody`, whose number every distribution shares: the proxy needs no right but to connect.
const NOBODY: u32 = 65534;

/// The proxy of one cluster.
pub struct Proxy {
    folders: Folders,
    /// Registries beside those on port 443, `host:port`.
    allowed: Vec<String>,
}

impl Proxy {
    pub fn new(number: u8, allowed: Vec<String>) -> Self {
        Self { folders: Folders::new(number), allowed }
    }

    /// Whether it runs, for the same registries and by the same way.
    pub fn runs(&self) -> bool {
        let Some(pid) = held::holder(&self.note()) else { return false };
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments: Vec<_> = line.trim_end_matches('\0').split('\0').skip(1).collect();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        arguments == self.arguments() && has_our_proxies(&environment)
    }

    /// Starts it, unless it runs.
    pub async fn start(&self, addresses: Addresses, live: &Live) -> Result<()> {
        if self.runs() {
            return Ok(());
        }
        wait::poll("the end of the nodes' former proxy", START, live, || async { self.end() }).await?;
        let log = File::options().create(true).append(true).open(self.folders.logs().join("proxy.log"))?;
        let proxy = Cmd::new(self.folders.bin().join("lab")).args(self.arguments()).with(|command| {
            // Ctrl-C in the terminal that started the cluster is not meant for it; and it is the one that connects.
            let path = std::env::var_os("PATH").unwrap_or_default();
            command.process_group(0).env_clear().env("PATH", path).envs(proxies::inherited());
        });
        proxy.spawn(Stdio::from(log.try_clone()?), Stdio::from(log))?;
        let address = addresses.proxy();
        let listens = || async { TcpStream::connect(address).await.map(drop).map_err(NotYet::from) };
        wait::poll("the nodes' proxy", START, live, listens).await
    }

    /// Ends one that was started for other registries.
    fn end(&self) -> Result<(), NotYet> {
        match held::holder(&self.note()) {
            None => Ok(()),
            Some(pid) => {
                cgroups::end(pid);
                Err(NotYet::Because(format!("process {pid} is ending")))
            }
        }
    }

    fn arguments(&self) -> Vec<String> {
        let begin = ["proxy".to_owned(), self.folders.number()];
        begin.into_iter().chain(self.allowed.iter().cloned()).collect()
    }

    fn note(&self) -> PathBuf {
        note(&self.folders)
    }
}

/// Whether a process was started by the proxies that this one has.
fn has_our_proxies(environment: &[u8]) -> bool {
    let is_proxy = |name: &[u8]| proxies::VARIABLES.iter().any(|variable| variable.as_bytes() == name);
    let mut theirs: Vec<_> = environment
        .split(|byte| *byte == 0)
        .filter(|pair| is_proxy(pair.split(|byte| *byte == b'=').next().unwrap_or_default()))
        .collect();
    let ours = proxies::inherited();
    let mut ours: Vec<_> =
        ours.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    theirs == ours
}

/// What the proxy's process holds.
fn note(folders: &Folders) -> PathBuf {
    folders.run.join("proxy.pid")
}

/// What containerd must know to use it. Addresses within the cluster need no proxy.
pub fn environment(folders: &Folders, addresses: Addresses) -> Result<Vec<(&'static str, String)>> {
    let login = login::read(folders)?.map(|login| format!("{login}@")).unwrap_or_default();
    let url = format!("http://{login}{}", addresses.proxy());
    Ok(vec![("HTTPS_PROXY", url), ("NO_PROXY", addresses.inside().join(","))])
}

/// Sees that this machine reaches these registries, the same way as the proxy will.
///
/// # Errors
/// One that it does not reach, and why.
pub async fn reaches(registries: &[String]) -> Result<()> {
    let tries = registries.iter().map(|registry| async move { (registry, dial::dial(registry, true).await) });
    match join_all(tries).await.into_iter().find_map(|(registry, tried)| Some((registry, tried.err()?))) {
        None => Ok(()),
        Some((registry, error)) => Err(unfit(
            format!("the nodes would pull images from {registry}, which this machine does not reach: {error:#}"),
            "use --profile offline, whose images are built here, or connect this machine to the internet",
        )),
    }
}

/// The body of the process that [`Proxy::start`] starts: `lab proxy NUMBER [REGISTRY…]`.
pub fn run(number: &str, allowed: &[String]) -> Result<()> {
    let number = number.parse().context("failed to read the cluster's number")?;
    held::close_inherited();
    let folders = Folders::new(number);
    let Some(_held) = held::hold(&note(&folders))? else { return Ok(()) };
    let addresses = Addresses::of(&folders)?;
    cgroups::join(number, "keepers")?;
    let listener = TcpListener::bind(addresses.proxy()).context("failed to listen for the cluster's nodes")?;
    listener.set_nonblocking(true)?;
    let login = login::read(&folders)?.context("the cluster has no login for the proxy")?;
    let login = login::header(&login);
    setgroups(&[]).and_then(|()| setgid(Gid::from_raw(NOBODY))).and_then(|()| setuid(Uid::from_raw(NOBODY)))?;
    let nodes = (0..NODES.len()).map(|index| addresses.node(index).into()).collect();
    let rules = Rules { nodes, login, allowed: allowed.to_vec() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { connect::serve(tokio::net::TcpListener::from_std(listener)?, rules).await })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containerd_asks_the_proxy_for_everything_outside_the_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders { run: folder.path().into(), data: folder.path().into() };
        login::create(&folders).unwrap();
        let login = login::read(&folders).unwrap().unwrap();
        let environment = environment(&folders, Addresses::first(1)).unwrap();
        assert_eq!(environment[0], ("HTTPS_PROXY", format!("http://{login}@172.18.101.254:3128")));
        let inside = "10.101.0.0/16,10.1.0.0/16,172.18.101.0/24,172.18.1.0/24,.svc,.cluster.local";
        assert_eq!(environment[1], ("NO_PROXY", inside.to_owned()));
    }
}

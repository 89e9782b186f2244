//! The cluster's network: a namespace for each node, a bridge in the control plane's, this machine as one port of it.
//!
//! This machine gets one link and two on-link routes; no sysctl, firewall rule or bridge of its own is touched.
//!
//! What must be true is one value, [`Wanted`], for each namespace. [`Network::create`] declares it, whatever was true before:
//! a command that was killed half-way, a suspended laptop or NetworkManager may have left anything.

mod wanted;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use lab_cli::base;
use nix::sys::statfs::{FsType, statfs};

use self::wanted::{Link, Wanted};
use super::addresses::{Addresses, NODES};
use crate::cmd::Cmd;

/// The names of one cluster's namespaces and links.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    number: u8,
}

/// This machine's port of the bridge, as the control plane's namespace calls it.
const HOST_PORT: &str = "host";
const BRIDGE: &str = "br0";
/// `NSFS_MAGIC` of linux/magic.h.
const NAMESPACES: FsType = FsType(0x6e73_6673);

impl Network {
    pub fn new(number: u8) -> Self {
        Self { number }
    }

    /// The network namespace of a node.
    pub fn namespace(&self, node: &str) -> String {
        format!("ebpf-lab-{}-{}", self.number, node.trim_start_matches("ebpf-"))
    }

    /// Where `ip netns` keeps it.
    pub fn namespace_file(&self, node: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.namespace(node))
    }

    /// This machine's end of the pair whose other end is a port of the bridge.
    pub fn link(&self) -> String {
        base::link(self.number)
    }

    /// Makes what is missing and sets what is otherwise.
    pub fn create(&self, addresses: Addresses) -> Result<()> {
        for node in NODES {
            self.create_namespace(node)?;
        }
        let control_plane = self.namespace(NODES[0]);
        if !has_link(Some(&control_plane), BRIDGE)? {
            batch(Some(&control_plane), &format!("link add {BRIDGE} type bridge\n"))?;
        }
        for (index, node) in NODES.into_iter().enumerate().skip(1) {
            connect(&control_plane, &port(index), Some(&self.namespace(node)), "eth0")?;
        }
        connect(&control_plane, HOST_PORT, None, &self.link())?;
        self.wanted(addresses).iter().try_for_each(Wanted::declare)
    }

    /// What is not as it must be, each in words; nothing where all is well.
    pub fn missing(&self, addresses: Addresses) -> Result<Vec<String>> {
        let mut missing = vec![];
        for node in NODES {
            if !is_namespace(&self.namespace_file(node)) {
                return Ok(vec![format!("the network namespace of {node} is missing")]);
            }
        }
        for wanted in self.wanted(addresses) {
            missing.extend(wanted.missing()?);
        }
        Ok(missing)
    }

    /// Removes everything; what is not there is no error.
    pub fn remove(&self) -> Result<()> {
        remove_link(None, &self.link())?;
        for node in NODES {
            let file = self.namespace_file(node);
            if is_namespace(&file) {
                Cmd::new("ip").args(["netns", "del", &self.namespace(node)]).run()?;
            } else if file.exists() {
                fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))?;
            }
        }
        Ok(())
    }

    /// `ip netns add` makes a file and mounts the namespace over it; killed in between it leaves the file alone.
    fn create_namespace(&self, node: &str) -> Result<()> {
        let file = self.namespace_file(node);
        if is_namespace(&file) {
            return Ok(());
        }
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))?;
        }
        Ok(Cmd::new("ip").args(["netns", "add", &self.namespace(node)]).run()?)
    }

    /// This machine's part, then each node's.
    fn wanted(&self, addresses: Addresses) -> Vec<Wanted> {
        let (host, gateway) = (addresses.host(), addresses.node(0));
        let link =
            Link::new(self.link()).address(host, addresses.nodes()).route(addresses.load_balancers(), None, Some(host));
        let mut all = vec![Wanted { namespace: None, forwards: false, links: vec![link] }];
        let bridge = Link::new(BRIDGE).address(gateway, addresses.nodes()).route(addresses.services(), None, None);
        let ports = (1..NODES.len()).map(port).chain([HOST_PORT.to_owned()]);
        let ports = ports.map(|port| Link::new(port).master(BRIDGE));
        all.push(self.node(0, [bridge].into_iter().chain(ports)));
        for index in 1..NODES.len() {
            let link = Link::new("eth0").address(addresses.node(index), addresses.nodes());
            all.push(self.node(index, [link.route("default", Some(gateway), None)]));
        }
        all
    }

    fn node(&self, index: usize, links: impl IntoIterator<Item = Link>) -> Wanted {
        let links = [Link::new("lo")].into_iter().chain(links).collect();
        Wanted { namespace: Some(self.namespace(NODES[index])), forwards: true, links }
    }
}

/// The bridge's end of a worker's link.
fn port(index: usize) -> String {
    format!("port{index}")
}

fn is_namespace(file: &std::path::Path) -> bool {
    statfs(file).is_ok_and(|stat| stat.filesystem_type() == NAMESPACES)
}

/// A pair of links between the control plane and another namespace. One end alone leads elsewhere: both are made anew.
fn connect(control_plane: &str, port: &str, namespace: Option<&str>, link: &str) -> Result<()> {
    if has_link(Some(control_plane), port)? && has_link(namespace, link)? {
        return Ok(());
    }
    remove_link(Some(control_plane), port)?;
    remove_link(namespace, link)?;
    match namespace {
        Some(namespace) => {
            batch(Some(control_plane), &format!("link add {port} type veth peer name {link} netns {namespace}\n"))
        }
        None => batch(None, &format!("link add {link} type veth peer name {port} netns {control_plane}\n")),
    }
    .with_context(|| format!("failed to connect {link} to the cluster's bridge"))
}

fn has_link(namespace: Option<&str>, link: &str) -> Result<bool> {
    Ok(ip(namespace).args(["link", "show", "dev", link]).output()?.status.success())
}

fn remove_link(namespace: Option<&str>, link: &str) -> Result<()> {
    if has_link(namespace, link)? {
        ip(namespace).args(["link", "del", "dev", link]).run()?;
    }
    Ok(())
}

fn batch(namespace: Option<&str>, lines: &str) -> Result<()> {
    Ok(ip(namespace).args(["-batch", "-"]).stdin(lines).run()?)
}

fn ip(namespace: Option<&str>) -> Cmd {
    let ip = Cmd::new("ip");
    match namespace {
        Some(namespace) => ip.args(["-netns", namespace]),
        None => ip,
    }
}

//! The cluster's network: a namespace for each node, a bridge in the control plane's, this machine as one port of it.
//!
//! This machine gets one link and two on-link routes; no sysctl, firewall rule or bridge of its own is touched.

use std::path::PathBuf;

use anyhow::{Context, Result};
use interface::base;

use super::addresses::{Addresses, NODES};
use crate::cmd::Cmd;

/// The names of one cluster's namespaces and links.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    number: u8,
}

const BRIDGE: &str = "br0";

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

    /// Makes everything that is missing.
    pub fn create(&self, addresses: Addresses) -> Result<()> {
        let control_plane = self.namespace(NODES[0]);
        for (index, node) in NODES.into_iter().enumerate() {
            let namespace = self.namespace(node);
            if !self.namespace_file(node).exists() {
                Cmd::new("ip").args(["netns", "add", &namespace]).run()?;
            }
            if index == 0 {
                create_bridge(&namespace, addresses)?;
            } else {
                create_node(&control_plane, &namespace, index, addresses)?;
            }
        }
        self.create_host(&control_plane, addresses)
    }

    fn create_host(&self, control_plane: &str, addresses: Addresses) -> Result<()> {
        let link = self.link();
        if !(has_link(None, &link)? && has_link(Some(control_plane), "host")?) {
            remove_link(None, &link)?;
            remove_link(Some(control_plane), "host")?;
            batch(None, &format!("link add {link} type veth peer name host netns {control_plane}\n"))?;
            batch(Some(control_plane), &format!("link set host master {BRIDGE} up\n"))?;
        }
        let (host, balancers) = (addresses.host(), addresses.load_balancers());
        batch(None, &format!(
            "addr replace {host}/24 dev {link}\nlink set {link} up\nroute replace {balancers} dev {link} src {host}\n"
        ))
        .context("connect this machine to the cluster's bridge")
    }

    /// Removes everything; what is not there is no error.
    pub fn remove(&self) -> Result<()> {
        remove_link(None, &self.link())?;
        for node in NODES {
            if self.namespace_file(node).exists() {
                Cmd::new("ip").args(["netns", "del", &self.namespace(node)]).run()?;
            }
        }
        Ok(())
    }
}

fn create_bridge(namespace: &str, addresses: Addresses) -> Result<()> {
    if has_link(Some(namespace), BRIDGE)? {
        return Ok(());
    }
    let address = addresses.node(0);
    batch(
        Some(namespace),
        &format!(
            "link set lo up\nlink add {BRIDGE} type bridge\naddr add {address}/24 dev {BRIDGE}\nlink set {BRIDGE} up\n\
         route add {services} dev {BRIDGE}\n",
            services = addresses.services(),
        ),
    )
    .context("make the cluster's bridge")
}

/// The bridge's end of a node's link is `portN`; the other becomes `eth0` in the node's namespace.
fn create_node(control_plane: &str, namespace: &str, index: usize, addresses: Addresses) -> Result<()> {
    let port = format!("port{index}");
    if has_link(Some(namespace), "eth0")? && has_link(Some(control_plane), &port)? {
        return Ok(());
    }
    remove_link(Some(control_plane), &port)?;
    remove_link(Some(namespace), "eth0")?;
    batch(
        Some(control_plane),
        &format!("link add {port} type veth peer name eth0 netns {namespace}\nlink set {port} master {BRIDGE} up\n"),
    )?;
    let (address, gateway) = (addresses.node(index), addresses.node(0));
    batch(
        Some(namespace),
        &format!("link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\nroute add default via {gateway}\n"),
    )
    .with_context(|| format!("connect {namespace} to the bridge"))
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

//! The cluster's network: a namespace for each node, a bridge in the control plane's, this machine as one port of it.
//!
//! This machine gets one link and two on-link routes; no sysctl, firewall rule or bridge of its own is touched.

use std::path::PathBuf;

use anyhow::{Context, Result};
use interface::range::Range;

use super::addresses::{Addresses, NODES};
use crate::{cmd::Cmd, error::unfit};

/// The names of one cluster's namespaces and links.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    number: u8,
    addresses: Addresses,
}

const BRIDGE: &str = "br0";

impl Network {
    pub fn new(number: u8) -> Self {
        Self { number, addresses: Addresses::new(number) }
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
        format!("ebpf-lab-{}", self.number)
    }

    /// Refuses if a route of this machine, other than our own and the default, overlaps what we are about to use.
    pub fn refuse_overlap(&self) -> Result<()> {
        let routes = Cmd::new("ip").args(["-4", "route", "show", "table", "all"]).read()?;
        match overlap(&routes, self.addresses, &self.link()) {
            None => Ok(()),
            Some((route, range)) => Err(unfit(
                format!("this machine's route `{route}` overlaps {range}, which cluster {} needs", self.number),
                "choose another cluster with --number N, or remove that route (a VPN's, Docker's or kind's)",
            )),
        }
    }

    /// Makes everything that is missing.
    pub fn create(&self) -> Result<()> {
        let control_plane = self.namespace(NODES[0]);
        for (index, node) in NODES.into_iter().enumerate() {
            let namespace = self.namespace(node);
            if !self.namespace_file(node).exists() {
                Cmd::new("ip").args(["netns", "add", &namespace]).run()?;
            }
            if index == 0 {
                self.create_bridge(&namespace)?;
            } else {
                self.create_node(&control_plane, &namespace, index)?;
            }
        }
        self.create_host(&control_plane)
    }

    fn create_bridge(&self, namespace: &str) -> Result<()> {
        if has_link(Some(namespace), BRIDGE)? {
            return Ok(());
        }
        let address = self.addresses.node(0);
        batch(Some(namespace), &format!(
            "link set lo up\nlink add {BRIDGE} type bridge\naddr add {address}/24 dev {BRIDGE}\nlink set {BRIDGE} up\n\
             route add {services} dev {BRIDGE}\n",
            services = self.addresses.services(),
        ))
        .context("make the cluster's bridge")
    }

    /// The bridge's end of a node's link is `portN`; the other becomes `eth0` in the node's namespace.
    fn create_node(&self, control_plane: &str, namespace: &str, index: usize) -> Result<()> {
        let port = format!("port{index}");
        if has_link(Some(namespace), "eth0")? && has_link(Some(control_plane), &port)? {
            return Ok(());
        }
        remove_link(Some(control_plane), &port)?;
        remove_link(Some(namespace), "eth0")?;
        batch(
            Some(control_plane),
            &format!(
                "link add {port} type veth peer name eth0 netns {namespace}\nlink set {port} master {BRIDGE} up\n"
            ),
        )?;
        let (address, gateway) = (self.addresses.node(index), self.addresses.node(0));
        batch(
            Some(namespace),
            &format!(
                "link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\nroute add default via {gateway}\n"
            ),
        )
        .with_context(|| format!("connect {namespace} to the bridge"))
    }

    fn create_host(&self, control_plane: &str) -> Result<()> {
        let link = self.link();
        if !(has_link(None, &link)? && has_link(Some(control_plane), "host")?) {
            remove_link(None, &link)?;
            remove_link(Some(control_plane), "host")?;
            batch(None, &format!("link add {link} type veth peer name host netns {control_plane}\n"))?;
            batch(Some(control_plane), &format!("link set host master {BRIDGE} up\n"))?;
        }
        let (host, balancers) = (self.addresses.host(), self.addresses.load_balancers());
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

/// The first route that overlaps one of the cluster's ranges.
fn overlap(routes: &str, addresses: Addresses, own_link: &str) -> Option<(String, Range)> {
    let ranges = [addresses.nodes(), addresses.load_balancers()];
    let own = format!(" dev {own_link} ");
    let foreign = routes.lines().filter(|line| !format!("{line} ").contains(&own));
    foreign.into_iter().find_map(|line| {
        let mut words = line.split_whitespace();
        // Lines of other tables begin with the route's type: `local 10.0.0.1 dev …`, `broadcast …`.
        let range = words.by_ref().take(2).find_map(Range::parse)?;
        let ours = ranges.into_iter().find(|ours| ours.overlaps(range) && range.bits > 0)?;
        Some((line.trim().to_owned(), ours))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_route_that_overlaps_is_found_and_named() {
        let routes =
            "default via 192.0.2.1 dev eth0\n172.18.0.0/16 dev br-kind proto kernel scope link src 172.18.0.1\n";
        let (route, range) = overlap(routes, Addresses::new(1), "ebpf-lab-1").unwrap();
        assert!(route.starts_with("172.18.0.0/16 dev br-kind"), "{route}");
        assert_eq!(range.to_string(), "172.18.101.0/24");
    }

    #[test]
    fn our_own_routes_and_the_default_are_no_overlap() {
        let routes = "default via 192.0.2.1 dev eth0\n172.18.101.0/24 dev ebpf-lab-1 proto kernel\n\
                      local 172.18.101.254 dev ebpf-lab-1 table local proto kernel\n";
        assert_eq!(overlap(routes, Addresses::new(1), "ebpf-lab-1"), None);
    }
}

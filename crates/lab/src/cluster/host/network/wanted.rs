//! What must be true in one network namespace: declared by `ip -batch`, compared with what `ip -json` shows.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use lab_cli::range::Range;
use serde::Deserialize;

use super::{batch, ip};
use crate::cmd::Cmd;

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// Of a node's namespace, or of this machine's own.
#[derive(Debug)]
pub struct Wanted {
    pub namespace: Option<String>,
    /// Whether packets of others go through: a node's pods.
    pub forwards: bool,
    pub links: Vec<Link>,
}

/// A link that is up.
#[derive(Debug)]
pub struct Link {
    name: String,
    /// The bridge that it is a port of.
    master: Option<&'static str>,
    /// With the length of its prefix.
    address: Option<String>,
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    to: String,
    via: Option<Ipv4Addr>,
    source: Option<Ipv4Addr>,
    /// The kernel makes this one with the address, but not again when somebody removed it.
    is_kernels: bool,
}

impl Link {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), master: None, address: None, routes: vec![] }
    }

    pub fn master(self, bridge: &'static str) -> Self {
        Self { master: Some(bridge), ..self }
    }

    /// An address of a network whose others are behind this link.
    pub fn address(mut self, address: Ipv4Addr, network: Range) -> Self {
        self.address = Some(format!("{address}/{}", network.bits));
        self.routes.push(Route { to: network.to_string(), via: None, source: Some(address), is_kernels: true });
        self
    }

    pub fn route(mut self, to: impl ToString, via: Option<Ipv4Addr>, source: Option<Ipv4Addr>) -> Self {
        self.routes.push(Route { to: to.to_string(), via, source, is_kernels: false });
        self
    }

    /// The lines of `ip -batch`; a link that goes down loses its routes, so that they come last.
    fn lines(&self) -> String {
        let name = &self.name;
        let mut lines = match self.master {
            Some(bridge) => format!("link set {name} master {bridge} up\n"),
            None => format!("link set {name} up\n"),
        };
        if let Some(address) = &self.address {
            lines += &format!("addr replace {address} dev {name}\n");
        }
        for Route { to, via, source, is_kernels } in &self.routes {
            let via = via.map(|via| format!(" via {via}")).unwrap_or_default();
            let source = source.map(|source| format!(" src {source}")).unwrap_or_default();
            let origin = if *is_kernels { " proto kernel scope link" } else { "" };
            lines += &format!("route replace {to}{via} dev {name}{origin}{source}\n");
        }
        lines
    }

    fn missing(&self, shown: &Shown) -> Option<String> {
        let name = &self.name;
        let Some(link) = shown.links.iter().find(|link| link.ifname == *name) else {
            return Some(format!("the link {name} is missing"));
        };
        if !link.flags.iter().any(|flag| flag == "UP") {
            return Some(format!("the link {name} is down"));
        }
        if self.master != link.master.as_deref() {
            let expected = self.master.unwrap_or("no bridge");
            return Some(format!(
                "the link {name} is a port of {}, not of {expected}",
                link.master.as_deref().unwrap_or("no bridge")
            ));
        }
        if let Some(address) = self.address.as_ref().filter(|address| !link.has(address)) {
            return Some(format!("the link {name} lacks its address {address}"));
        }
        let route = self.routes.iter().find(|route| !shown.routes.iter().any(|shown| shown.is(route, name)))?;
        Some(format!("the route to {} by {name} is missing", route.to))
    }
}

impl Wanted {
    /// Makes it true; the links exist.
    pub fn declare(&self) -> Result<()> {
        let lines: String = self.links.iter().map(Link::lines).collect();
        let namespace = self.namespace.as_deref();
        batch(namespace, &lines).with_context(|| format!("failed to set the links {}", self.place()))?;
        match namespace {
            Some(namespace) if self.forwards => {
                let write = ["netns", "exec", namespace, "tee", IP_FORWARD];
                Ok(Cmd::new("ip").args(write).stdin("1").run()?)
            }
            _ => Ok(()),
        }
    }

    /// What is not true, in words.
    pub fn missing(&self) -> Result<Vec<String>> {
        let shown = Shown::new(self.namespace.as_deref())?;
        let missing = self.links.iter().filter_map(|link| link.missing(&shown));
        let mut missing: Vec<_> = missing.map(|what| format!("{what} {}", self.place())).collect();
        if let Some(namespace) = self.namespace.as_deref().filter(|_| self.forwards) {
            let forwards = Cmd::new("ip").args(["netns", "exec", namespace, "cat", IP_FORWARD]).read()?;
            if forwards != "1" {
                missing.push(format!("net.ipv4.ip_forward is {forwards}, not 1, {}", self.place()));
            }
        }
        Ok(missing)
    }

    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("in the network namespace {namespace}"),
            None => "on this machine".to_owned(),
        }
    }
}

/// What `ip` shows of a namespace.
struct Shown {
    links: Vec<ShownLink>,
    routes: Vec<ShownRoute>,
}

#[derive(Debug, Deserialize)]
struct ShownLink {
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    flags: Vec<String>,
    master: Option<String>,
    #[serde(default)]
    addr_info: Vec<ShownAddress>,
}

#[derive(Debug, Deserialize)]
struct ShownAddress {
    local: Option<String>,
    prefixlen: Option<u8>,
}

#[derive(Debug, Deserialize)]
struct ShownRoute {
    dst: String,
    dev: Option<String>,
    gateway: Option<String>,
    prefsrc: Option<String>,
}

impl Shown {
    fn new(namespace: Option<&str>) -> Result<Self> {
        let show = |words: &[&str]| ip(namespace).args(["-json", "-4"]).args(words).read();
        let read = "failed to read what `ip` shows";
        Ok(Self {
            links: serde_json::from_str(&ip(namespace).args(["-json", "addr", "show"]).read()?).context(read)?,
            routes: serde_json::from_str(&show(&["route", "show"])?).context(read)?,
        })
    }
}

impl ShownLink {
    fn has(&self, address: &str) -> bool {
        self.addr_info.iter().any(|shown| match (&shown.local, shown.prefixlen) {
            (Some(local), Some(length)) => format!("{local}/{length}") == address,
            _ => false,
        })
    }
}

impl ShownRoute {
    fn is(&self, route: &Route, link: &str) -> bool {
        let gateway = route.via.map(|via| via.to_string());
        let source = route.source.map(|source| source.to_string());
        self.dst == route.to
            && self.dev.as_deref() == Some(link)
            && self.gateway == gateway
            && (source.is_none() || self.prefsrc == source)
    }
}

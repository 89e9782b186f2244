//! The addresses that this machine uses already: those of its links, and those that its routes lead to, in every table.

use std::{fmt, net::Ipv4Addr};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{machine::Machine, obstacle::Obstacle, range::Range};

/// A range that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub range: Range,
    /// The network link, such as `eth0`; for a route that drops packets its type, such as `blackhole`.
    pub by: String,
}

/// What the name of a link says about who made it: a container engine's bridges, hypervisors' networks, VPNs' tunnels.
const MAKERS: [(&str, &str); 19] = [
    ("br-", "Docker"),
    ("docker", "Docker"),
    ("podman", "Podman"),
    ("cni-podman", "Podman"),
    ("virbr", "libvirt"),
    ("lxdbr", "LXD"),
    ("lxcbr", "LXC"),
    ("incusbr", "Incus"),
    ("vmnet", "VMware"),
    ("vboxnet", "VirtualBox"),
    ("tun", "a VPN"),
    ("tap", "a VPN"),
    ("utun", "a VPN"),
    ("wg", "a VPN"),
    ("ppp", "a VPN"),
    ("tailscale", "Tailscale"),
    ("zt", "ZeroTier"),
    ("nebula", "a VPN"),
    ("ebpf-lab-", "another cluster of ours"),
];

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is taken by {}", self.range, self.by)?;
        match MAKERS.iter().find(|(prefix, _)| self.by.starts_with(prefix)) {
            Some((_, maker)) => write!(f, " ({maker})"),
            None => Ok(()),
        }
    }
}

/// Everything that is in use, but default routes: more particular ones come before them.
///
/// A default route counts where the rule of a VPN asks its table before the main one, in which ours would be.
///
/// # Errors
/// There is no `ip` that tells.
pub fn taken(machine: &dyn Machine) -> Result<Vec<Taken>, Obstacle> {
    let links: Vec<Link> = ask(machine, &["address", "show"])?;
    let routes: Vec<Route> = ask(machine, &["route", "show", "table", "all"])?;
    let before = tables_before_main(&ask::<Rule>(machine, &["rule", "show"])?);
    let of_routes = routes.iter().filter(|route| route.range().bits > 0 || takes_all(route, &before, &routes));
    let mut all: Vec<Taken> = links.iter().flat_map(Link::taken).collect();
    for taken in of_routes.filter_map(Route::taken) {
        // The route of a link's own network says nothing new.
        if !all.contains(&taken) {
            all.push(taken);
        }
    }
    Ok(all)
}

fn ask<T: DeserializeOwned>(machine: &dyn Machine, arguments: &[&str]) -> Result<Vec<T>, Obstacle> {
    let arguments = [&["-4", "-json"], arguments].concat();
    let line = format!("ip {}", arguments.join(" "));
    let unknown = |why: &str| Obstacle::new(format!("`{line}` {why}"), "install iproute2, 4.17 or newer");
    let said = machine.run("ip", &arguments).ok_or_else(|| unknown("could not start: there is no ip on PATH"))?;
    if !said.ok {
        return Err(unknown(&format!("failed: {}", said.stderr.trim())));
    }
    // Where there is nothing to list, older versions print nothing, or empty objects between the others.
    let text = if said.stdout.trim().is_empty() { "[]" } else { &said.stdout };
    serde_json::from_str(text).map_err(|error| unknown(&format!("prints no JSON: {error}")))
}

/// As `ip -json address` prints it, shortened.
#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    local: Ipv4Addr,
    prefixlen: u8,
}

impl Link {
    /// A bridge of Docker that is down has no route, but will have one.
    fn taken(&self) -> impl Iterator<Item = Taken> {
        let range = |address: &Address| Range::around(address.local, address.prefixlen.min(32));
        self.addr_info.iter().map(move |address| Taken { range: range(address), by: self.ifname.clone() })
    }
}

/// As `ip -json route` prints it, shortened.
#[derive(Deserialize)]
struct Route {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    dst: String,
    dev: Option<String>,
    #[serde(default)]
    table: String,
    #[serde(default)]
    nexthops: Vec<Hop>,
}

#[derive(Deserialize)]
struct Hop {
    dev: Option<String>,
}

impl Route {
    fn range(&self) -> Range {
        Range::parse(&self.dst).unwrap_or(Range { base: Ipv4Addr::UNSPECIFIED, bits: 0 })
    }

    fn taken(&self) -> Option<Taken> {
        if ["broadcast", "multicast", "anycast", "throw"].contains(&self.kind.as_str()) {
            return None;
        }
        let hop = self.nexthops.iter().find_map(|hop| hop.dev.as_ref());
        let by = self.dev.as_ref().or(hop).unwrap_or(&self.kind);
        Some(Taken { range: self.range(), by: by.clone() })
    }
}

/// As `ip -json rule` prints it: a rule that chooses by a mark, a link or an address has more fields than these.
type Rule = Map<String, Value>;

const OF_EVERY_RULE: [&str; 5] = ["priority", "src", "table", "protocol", "suppress_prefixlen"];

/// Whether a rule holds for what programs of this machine send. WireGuard's has `not from all fwmark …`.
fn is_for_all(rule: &Rule) -> bool {
    let inverted = rule.contains_key("not");
    let by_mark = |key: &str| inverted && ["not", "fwmark", "fwmask"].contains(&key);
    rule.get("src").is_some_and(|src| src == "all")
        && rule.keys().all(|key| OF_EVERY_RULE.contains(&key.as_str()) || by_mark(key))
}

/// The tables that are asked before the main one. Rules come in the order in which the kernel asks them; WireGuard asks main first,
/// and leaves out only its default route.
fn tables_before_main(rules: &[Rule]) -> Vec<String> {
    let tables = rules.iter().filter(|rule| is_for_all(rule)).filter_map(|rule| rule.get("table")?.as_str());
    tables.take_while(|table| *table != "main").filter(|table| *table != "local").map(str::to_owned).collect()
}

/// Whether it is the default route of a table that comes first, unless that table leaves this machine's own networks alone.
fn takes_all(route: &Route, before: &[String], routes: &[Route]) -> bool {
    let spares = |other: &Route| other.table == route.table && other.kind == "throw";
    before.contains(&route.table) && !routes.iter().any(spares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Said, recorded::Programs};

    /// A machine by what its `ip` prints for addresses, routes and rules: recorded or composed from its source, shortened.
    fn recorded(address: &'static str, route: &'static str, rule: &'static str) -> impl Machine {
        Programs(move |_: &str, arguments: &[&str]| {
            let stdout = match arguments[2] {
                "address" => address,
                "route" => route,
                _ => rule,
            };
            Some(Said { ok: true, stdout: stdout.to_owned(), stderr: String::new() })
        })
    }

    const PLAIN: &str = r#"[{"priority":0,"src":"all","table":"local"},{"priority":32766,"src":"all","table":"main"}]"#;
    /// wg-quick: main first, without its default route; then everything that is not WireGuard's own.
    const WIREGUARD: &str = r#"[{"priority":0,"src":"all","table":"local"},
        {"priority":32764,"src":"all","table":"main","suppress_prefixlen":0},
        {"priority":32765,"not":null,"src":"all","fwmark":"0xca6c","table":"51820"},
        {"priority":32766,"src":"all","table":"main"}]"#;
    const TAILSCALE: &str = r#"[{"priority":0,"src":"all","table":"local"},
        {"priority":5210,"src":"all","fwmark":"0x80000","fwmask":"0xff0000","table":"main"},
        {"priority":5270,"src":"all","table":"52"},{"priority":32766,"src":"all","table":"main"}]"#;

    #[track_caller]
    fn lists(machine: impl Machine, expected: &[&str]) {
        let taken = taken(&machine).unwrap();
        assert_eq!(taken.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn addresses_and_routes_are_taken_and_the_default_route_is_not() {
        let routes = r#"[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]},
            {"dst":"192.0.2.0/24","dev":"eth0","flags":[]},{"dst":"10.0.0.0/8","dev":"tun0","table":"200","flags":[]},
            {"type":"blackhole","dst":"10.244.0.0/26","flags":[]},
            {"dst":"203.0.113.0/24","nexthops":[{"gateway":"192.0.2.7","dev":"eth1","flags":[]}],"flags":[]},
            {"type":"broadcast","dst":"192.0.2.255","dev":"eth0","table":"local","flags":[]}]"#;
        let address = r#"[{"ifname":"eth0","addr_info":[{"family":"inet","local":"192.0.2.2","prefixlen":24}]},{}]"#;
        let expected = [
            "192.0.2.0/24 is taken by eth0",
            "10.0.0.0/8 is taken by tun0 (a VPN)",
            "10.244.0.0/26 is taken by blackhole",
            "203.0.113.0/24 is taken by eth1",
        ];
        lists(recorded(address, routes, PLAIN), &expected);
    }

    #[test]
    fn a_bridge_that_is_down_has_no_route_but_an_address() {
        let down =
            r#"[{"ifname":"br-0a1b2c3d4e5f","operstate":"DOWN","addr_info":[{"local":"172.18.0.1","prefixlen":16}]}]"#;
        lists(recorded(down, "[]", PLAIN), &["172.18.0.0/16 is taken by br-0a1b2c3d4e5f (Docker)"]);
    }

    #[test]
    fn a_vpns_default_route_counts_only_where_its_table_comes_before_main() {
        let wireguard = r#"[{"dst":"default","dev":"wg0","table":"51820","scope":"link","flags":[]}]"#;
        lists(recorded("", wireguard, WIREGUARD), &[]);
        let tailscale = r#"[{"dst":"100.100.100.100","dev":"tailscale0","table":"52","flags":[]},
            {"dst":"default","dev":"tailscale0","table":"52","flags":[]}]"#;
        let exit_node =
            ["100.100.100.100/32 is taken by tailscale0 (Tailscale)", "0.0.0.0/0 is taken by tailscale0 (Tailscale)"];
        lists(recorded("", tailscale, TAILSCALE), &exit_node);
        // With --exit-node-allow-lan-access this machine's own networks are thrown back to the main table.
        let spared = r#"[{"dst":"default","dev":"tailscale0","table":"52","flags":[]},
            {"type":"throw","dst":"192.0.2.0/24","table":"52","flags":[]}]"#;
        lists(recorded("", spared, TAILSCALE), &[]);
    }

    #[test]
    fn an_ip_that_does_not_tell_is_named() {
        let old =
            |_: &str, _: &[&str]| Some(Said { stderr: "Option \"-json\" is unknown".to_owned(), ..Said::default() });
        let obstacle = taken(&Programs(old)).unwrap_err();
        assert_eq!(obstacle.what, "`ip -4 -json address show` failed: Option \"-json\" is unknown");
    }
}

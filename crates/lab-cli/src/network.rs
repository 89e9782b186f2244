//! The container network of kind's nodes, the addresses in it that Services may have, and those of pods and Services beside it.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{base, obstacle::Obstacle, range::Range, taken::Taken};

/// Networks of at least this size give each cluster the 254 addresses that the workshop's text names.
const WHOLE: u8 = 16;
/// Smaller ones would have no address for each of the 99 clusters.
const LEAST: u8 = 24;

/// As the engine describes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Network {
    pub id: String,
    /// Its IPv4 addresses: kind's network has IPv6 ones as well.
    pub range: Range,
    /// The names of the containers on it.
    pub containers: Vec<String>,
}

impl Network {
    /// Reads what `docker network inspect` or `podman network inspect` prints for one network.
    pub fn read(text: &str) -> Result<Self> {
        let networks: Value =
            serde_json::from_str(text).context("failed to read the description of a container network")?;
        let network = &networks[0];
        let field = |docker: &str, podman: &str| network.get(docker).or_else(|| network.get(podman)).cloned();
        let subnets = network.pointer("/IPAM/Config").or_else(|| network.get("subnets"));
        let range = subnets.and_then(Value::as_array).into_iter().flatten().find_map(|subnet| {
            let text = subnet.get("Subnet").or_else(|| subnet.get("subnet"))?.as_str()?;
            text.contains('.').then(|| Range::parse(text)).flatten()
        });
        let containers = field("Containers", "containers").unwrap_or_default();
        let name = |container: &Value| {
            let name = container.get("Name").or_else(|| container.get("name"))?;
            Some(name.as_str()?.to_owned())
        };
        Ok(Self {
            id: field("Id", "id").and_then(|id| Some(id.as_str()?.to_owned())).unwrap_or_default(),
            range: range.context("the network of kind's nodes has no IPv4 addresses")?,
            containers: containers.as_object().into_iter().flat_map(|all| all.values()).filter_map(name).collect(),
        })
    }

    /// The addresses that MetalLB may give out in cluster `number`: `<network's /16>.n.1-254`. Engines give containers
    /// the first addresses of a network; a smaller network's upper half is shared out among the cluster numbers.
    pub fn pool(&self, number: u8) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let (base, number) = (self.range.base.to_bits(), u32::from(number));
        if self.range.bits <= WHOLE {
            let third = base | number << 8;
            return Some(((third | 1).into(), (third | 254).into()));
        }
        let half = 1u32.checked_shl(31 - u32::from(self.range.bits)).filter(|_| self.range.bits <= LEAST)?;
        let share = half / 100;
        let first = base + half + (number - 1) * share;
        Some((first.into(), (first + share - 1).into()))
    }

    /// What keeps cluster `number` from its place in it, if anything.
    fn overlap(&self, number: u8, taken: &[Taken]) -> Option<String> {
        let inside = [("pods", pods(number)), ("Services", services(number))];
        if let Some((what, range)) = inside.into_iter().find(|(_, range)| self.range.overlaps(*range)) {
            return Some(format!(
                "the container network of kind has {}, which overlaps {range} of the {what}",
                self.range
            ));
        }
        let Some((first, last)) = self.pool(number) else {
            let few = "too few for LoadBalancer addresses";
            return Some(format!("the container network of kind has {} only: {few}", self.range));
        };
        let more_particular = |taken: &&Taken| taken.range.bits > self.range.bits;
        let touches = |taken: &&Taken| {
            taken.range.contains(first) || taken.range.contains(last) || (first..=last).contains(&taken.range.base)
        };
        let taken = taken.iter().filter(more_particular).find(touches)?;
        Some(format!("{taken}, which overlaps {first} to {last} of the LoadBalancers of cluster {number}"))
    }
}

/// Why there can be no cluster `number` on kind's network beside what this machine has already, and where names are looked up.
pub fn obstacle(network: Option<&Network>, number: u8, taken: &[Taken], servers: &[IpAddr]) -> Option<Obstacle> {
    let overlap = |number| {
        let of_names = names_out_of_reach(number, servers);
        of_names.or_else(|| network.and_then(|network| network.overlap(number, taken)))
    };
    let what = overlap(number)?;
    let has_one = |number: u8| taken.iter().any(|taken| taken.by == base::link(number));
    let free = (1..=99).find(|&number| !has_one(number) && overlap(number).is_none());
    Some(Obstacle::new(
        what,
        match free {
            Some(free) => format!("choose another cluster: --number {free} has addresses that are free here"),
            None => format!("give the network other addresses: {RENEW}"),
        },
    ))
}

/// That pods of cluster `number` would look for a name server among themselves.
fn names_out_of_reach(number: u8, servers: &[IpAddr]) -> Option<String> {
    let inside = [("pods", pods(number)), ("Services", services(number))];
    let is_inside = |server: &IpAddr| {
        let IpAddr::V4(server) = *server else { return None };
        inside.into_iter().find(|(_, range)| range.contains(server)).map(|(what, range)| (server, what, range))
    };
    let (server, what, range) = servers.iter().find_map(is_inside)?;
    Some(format!("this machine's name server {server} is in {range}, which the {what} of cluster {number} have"))
}

/// What pods of cluster `number` won't reach, because they look for it among themselves.
pub fn hidden(number: u8, taken: &[Taken]) -> Option<&Taken> {
    let inside = [pods(number), services(number)];
    taken.iter().find(|taken| taken.range.bits > 0 && inside.iter().any(|range| range.overlaps(taken.range)))
}

const RENEW: &str = "`docker network rm kind`, then `docker network create kind --subnet 172.30.0.0/16`";

/// How names of Services end within a cluster, as `NO_PROXY` has it.
pub const NAMES: [&str; 2] = [".svc", ".cluster.local"];

/// The addresses of pods of cluster n, as in the workshop.
pub fn pods(number: u8) -> Range {
    Range { base: [10, 100 + number, 0, 0].into(), bits: 16 }
}

/// The addresses of Services of cluster n.
pub fn services(number: u8) -> Range {
    Range { base: [10, number, 0, 0].into(), bits: 16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Docker 20.10 and Podman 5.4 print kind's network, shortened.
    const DOCKER: &str = r#"[{"Name": "kind", "Id": "f00", "IPAM": {"Driver": "default", "Config": [
        {"Subnet": "fc00:f853:ccd:e793::/64"}, {"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
        "Containers": {"a1": {"Name": "ebpf-worker", "IPv4Address": "172.18.0.2/16"}}}]"#;
    const PODMAN: &str = r#"[{"name": "kind", "id": "f00", "subnets": [
        {"subnet": "fc00:f853:ccd:e793::/64"}, {"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}], "containers": {}}]"#;

    fn network(range: &str) -> Network {
        Network { id: String::new(), range: Range::parse(range).unwrap(), containers: vec![] }
    }

    fn pool(range: &str, number: u8) -> Option<String> {
        network(range).pool(number).map(|(first, last)| format!("{first}-{last}"))
    }

    #[test]
    fn the_ipv4_range_is_found_wherever_it_stands() {
        let network = Network::read(DOCKER).unwrap();
        assert_eq!((network.range.to_string().as_str(), network.id.as_str()), ("172.18.0.0/16", "f00"));
        assert_eq!(network.containers, ["ebpf-worker"]);
        assert_eq!(Network::read(PODMAN).unwrap().range.to_string(), "10.89.0.0/24");
        assert!(Network::read("[]").is_err());
    }

    #[test]
    fn a_wide_network_gives_each_cluster_the_addresses_of_the_workshop() {
        assert_eq!(pool("172.18.0.0/16", 1).unwrap(), "172.18.1.1-172.18.1.254");
        assert_eq!(pool("172.30.0.0/16", 99).unwrap(), "172.30.99.1-172.30.99.254");
        assert_eq!(pool("172.16.0.0/12", 7).unwrap(), "172.16.7.1-172.16.7.254");
    }

    #[test]
    fn a_narrow_network_is_shared_out_and_one_that_is_too_narrow_refused() {
        assert_eq!(pool("192.168.5.0/24", 1).unwrap(), "192.168.5.128-192.168.5.128");
        assert_eq!(pool("10.89.0.0/20", 2).unwrap(), "10.89.8.20-10.89.8.39");
        assert_eq!(pool("192.168.5.0/25", 1), None);
        for bits in 8..=LEAST {
            let network = network(&format!("10.0.0.0/{bits}"));
            let mut last = 0;
            for number in 1..=99 {
                let (first, end) = network.pool(number).unwrap();
                assert!(first.to_bits() > last && end >= first, "/{bits}: cluster {number} overlaps the one before");
                assert!(network.range.overlaps(Range { base: end, bits: 32 }), "/{bits}: {end} is outside");
                last = end.to_bits();
            }
        }
    }

    fn taken(range: &str, by: &str) -> Taken {
        Taken { range: Range::parse(range).unwrap(), by: by.to_owned() }
    }

    #[test]
    fn what_overlaps_is_named_with_a_number_that_is_free() {
        let obstacle = |range: &str, taken: &[Taken]| obstacle(Some(&network(range)), 1, taken, &[]).unwrap();
        let pods = obstacle("10.101.0.0/16", &[]);
        assert!(pods.what.contains("overlaps 10.101.0.0/16 of the pods"), "{pods:?}");
        assert_eq!(pods.fix, "choose another cluster: --number 2 has addresses that are free here");
        let all = obstacle("10.0.0.0/8", &[]);
        assert!(all.what.contains("10.0.0.0/8") && all.fix.contains("network create kind"), "{all:?}");
        let host = [taken("172.18.0.0/16", "br-f00"), taken("172.18.1.0/24", "ebpf-lab-1")];
        assert!(obstacle("172.18.0.0/16", &host).what.contains("172.18.1.0/24 is taken by ebpf-lab-1"));
        assert_eq!(super::obstacle(Some(&network("172.18.0.0/16")), 2, &host, &[]), None, "another number's");
        let inside = [taken("172.18.1.64/28", "vmnet8")];
        assert!(obstacle("172.18.0.0/16", &inside).what.contains("172.18.1.64/28"), "in the middle of the pool");
    }

    #[test]
    fn a_name_server_among_the_pods_or_services_is_named_even_before_there_is_a_network() {
        let server = |text: &str| text.parse().unwrap();
        let cloud = obstacle(None, 1, &[], &[server("10.1.0.2")]).unwrap();
        assert_eq!(
            cloud.what,
            "this machine's name server 10.1.0.2 is in 10.1.0.0/16, which the Services of cluster 1 have"
        );
        assert_eq!(cloud.fix, "choose another cluster: --number 2 has addresses that are free here");
        assert!(obstacle(None, 1, &[], &[server("10.101.0.2")]).unwrap().what.contains("pods"));
        assert_eq!(obstacle(None, 2, &[], &[server("10.1.0.2"), server("2001:db8::1")]), None);
    }

    #[test]
    fn a_vpn_that_pods_do_not_reach_is_found() {
        let vpn = [taken("0.0.0.0/0", "tailscale0"), taken("10.0.0.0/8", "tun0")];
        assert_eq!(hidden(1, &vpn), Some(&vpn[1]));
        assert_eq!(hidden(1, &[taken("10.2.0.0/16", "eth0"), taken("172.16.0.0/12", "tun0")]), None);
    }
}

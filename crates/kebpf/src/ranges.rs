//! Where pods and Services have their addresses. An address in there that belongs to nobody is one whose holder is
//! gone, never somebody outside.
//!
//! Nodes tell their pod ranges. The Services' range is told by no object that kebpf may read, but all ClusterIPs are
//! of one range, so it is at least the smallest one that covers those in use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;

use crate::objects::{Objects, cluster_ips};

/// The usual sizes, a few Services do not fill them: 10.96.0.0/16 on kind, fd00:10:96::/112.
const SERVICE_PREFIX_V4: u8 = 16;
const SERVICE_PREFIX_V6: u8 = 112;

/// `given` replaces what would be guessed, not what is known.
pub fn learn(objects: &Objects, given: &[IpNet]) -> BTreeSet<IpNet> {
    let pods = objects.nodes.iter().flat_map(|node| of_node(node));
    if given.is_empty() {
        return pods.chain(guess_service_ranges(objects)).collect();
    }
    pods.chain(given.iter().copied()).collect()
}

/// The ranges that a node's pods have their addresses from, one for each family.
pub fn of_node(node: &Node) -> impl Iterator<Item = IpNet> {
    let spec = node.spec.iter();
    let all = spec.flat_map(|spec| spec.pod_cidrs.iter().flatten().chain(&spec.pod_cidr));
    all.filter_map(|range| range.parse().ok())
}

/// The address after the network's own.
pub fn first_address(range: IpNet) -> Option<IpAddr> {
    let first: IpAddr = match range.network() {
        IpAddr::V4(network) => network.to_bits().checked_add(1).map(|bits| Ipv4Addr::from(bits).into()),
        IpAddr::V6(network) => network.to_bits().checked_add(1).map(|bits| Ipv6Addr::from(bits).into()),
    }?;
    range.contains(&first).then_some(first)
}

/// One range for each family.
fn guess_service_ranges(objects: &Objects) -> impl Iterator<Item = IpNet> {
    let mut ranges: BTreeMap<bool, IpNet> = BTreeMap::new();
    let addresses = objects.services.iter().flat_map(|service| cluster_ips(service));
    for address in addresses.filter_map(|text| text.parse::<IpAddr>().ok()) {
        let prefix = if address.is_ipv4() { SERVICE_PREFIX_V4 } else { SERVICE_PREFIX_V6 };
        let usual = IpNet::new_assert(address, prefix).trunc();
        ranges.entry(address.is_ipv4()).and_modify(|range| *range = cover(*range, usual)).or_insert(usual);
    }
    ranges.into_values()
}

fn cover(range: IpNet, other: IpNet) -> IpNet {
    let mut cover = range;
    while !cover.contains(&other) {
        let Some(wider) = cover.supernet() else { break };
        cover = wider;
    }
    cover
}

//! The addresses of cluster number n: pods 10.(100+n).0.0/16, Services 10.n.0.0/16, nodes 172.18.(100+n).0/24,
//! LoadBalancers 172.18.n.1-254.

use std::net::{Ipv4Addr, SocketAddrV4};

use interface::range::Range;

/// The nodes, named as kind names them; the first is the control plane.
pub const NODES: [&str; 3] = ["ebpf-control-plane", "ebpf-worker", "ebpf-worker2"];

/// Every address of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    number: u8,
}

impl Addresses {
    /// `number` is 1 to 99, which the command line sees to.
    pub fn new(number: u8) -> Self {
        Self { number }
    }

    pub fn pods(self) -> Range {
        Range { base: Ipv4Addr::new(10, 100 + self.number, 0, 0), bits: 16 }
    }

    pub fn services(self) -> Range {
        Range { base: Ipv4Addr::new(10, self.number, 0, 0), bits: 16 }
    }

    pub fn nodes(self) -> Range {
        Range { base: Ipv4Addr::new(172, 18, 100 + self.number, 0), bits: 24 }
    }

    pub fn load_balancers(self) -> Range {
        Range { base: Ipv4Addr::new(172, 18, self.number, 0), bits: 24 }
    }

    /// The node's address, by its place in [`NODES`].
    pub fn node(self, index: usize) -> Ipv4Addr {
        let last = u8::try_from(index + 1).unwrap_or(u8::MAX);
        Ipv4Addr::new(172, 18, 100 + self.number, last)
    }

    /// This machine's own address among the nodes.
    pub fn host(self) -> Ipv4Addr {
        Ipv4Addr::new(172, 18, 100 + self.number, 254)
    }

    /// Where the proxy to image registries listens, for the nodes.
    pub fn proxy(self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host(), 3128)
    }

    /// The API server as a Service.
    pub fn kubernetes(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.number, 0, 1)
    }

    pub fn dns(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.number, 0, 10)
    }

    pub fn api(self) -> String {
        format!("https://{}:6443", self.node(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_1_has_the_addresses_of_the_workshop() {
        let addresses = Addresses::new(1);
        let ranges = [addresses.pods(), addresses.services(), addresses.nodes(), addresses.load_balancers()];
        assert_eq!(
            ranges.map(|range| range.to_string()),
            ["10.101.0.0/16", "10.1.0.0/16", "172.18.101.0/24", "172.18.1.0/24"]
        );
        assert_eq!(addresses.node(2).to_string(), "172.18.101.3");
    }

    #[test]
    fn no_two_clusters_share_an_address() {
        for (a, b) in (1..=99).flat_map(|a| (a + 1..=99).map(move |b| (a, b))) {
            let (a, b) = (Addresses::new(a), Addresses::new(b));
            let ranges = |c: Addresses| [c.pods(), c.services(), c.nodes(), c.load_balancers()];
            assert!(!ranges(a).iter().any(|x| ranges(b).iter().any(|y| x.overlaps(*y))), "{a:?} {b:?}");
        }
    }
}

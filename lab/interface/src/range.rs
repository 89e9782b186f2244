//! A range of IPv4 addresses, and the ranges that this machine has routes to.

use std::{fmt, fs, net::Ipv4Addr};

/// As in `10.1.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub base: Ipv4Addr,
    pub bits: u8,
}

impl Range {
    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let bits = self.bits.min(other.bits);
        let mask = u32::MAX.checked_shl(u32::from(32 - bits)).unwrap_or(0);
        self.base.to_bits() & mask == other.base.to_bits() & mask
    }

    /// Reads `172.18.0.0/16` or, as `ip route` prints a single address, `172.18.0.2`.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/').unwrap_or((text, "32"));
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self { base: base.parse().ok()?, bits })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// Where packets to a range go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub to: Range,
    /// The network link, such as `eth0`.
    pub link: String,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} via {}", self.to, self.link)
    }
}

/// This machine's routes but the default one; none where the kernel does not tell.
pub fn routes() -> Vec<Route> {
    parse(&fs::read_to_string("/proc/net/route").unwrap_or_default())
}

/// Reads the table that the kernel keeps in `/proc/net/route`.
fn parse(table: &str) -> Vec<Route> {
    let route = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // The kernel prints addresses in the machine's own byte order, which is little-endian wherever we run.
        let address = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok().map(u32::swap_bytes);
        let bits = address(7)?.count_ones() as u8;
        Some(Route { to: Range { base: address(1)?.into(), bits }, link: fields.first()?.to_string() })
    };
    table.lines().skip(1).filter_map(route).filter(|route| route.to.bits > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_overlap_when_one_holds_the_other() {
        let overlaps = |a: &str, b: &str| Range::parse(a).unwrap().overlaps(Range::parse(b).unwrap());
        assert!(overlaps("172.18.0.0/16", "172.18.101.0/24"));
        assert!(overlaps("172.18.101.7", "172.18.101.0/24"));
        assert!(!overlaps("172.17.0.0/16", "172.18.101.0/24"));
        assert!(!overlaps("10.2.0.0/16", "10.1.0.0/16"));
    }

    #[test]
    fn the_kernels_table_is_read_without_the_default_route() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     br-kind\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let routes: Vec<_> = parse(table).iter().map(Route::to_string).collect();
        assert_eq!(routes, ["172.18.0.0/16 via br-kind"]);
    }
}

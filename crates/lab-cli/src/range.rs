//! A range of IPv4 addresses.

use std::{fmt, net::Ipv4Addr};

/// As in `10.1.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub base: Ipv4Addr,
    pub bits: u8,
}

impl Range {
    /// The range of this size that holds an address.
    pub fn around(address: Ipv4Addr, bits: u8) -> Self {
        Self { base: (address.to_bits() & mask(bits)).into(), bits }
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let mask = mask(self.bits.min(other.bits));
        self.base.to_bits() & mask == other.base.to_bits() & mask
    }

    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.overlaps(Self { base: address, bits: 32 })
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

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_overlap_when_one_holds_the_other() {
        let overlaps = |a: &str, b: &str| Range::parse(a).unwrap().overlaps(Range::parse(b).unwrap());
        assert!(overlaps("172.18.0.0/16", "172.18.101.0/24"));
        assert!(overlaps("172.18.101.7", "172.18.101.0/24"));
        assert!(overlaps("0.0.0.0/0", "172.18.101.0/24"));
        assert!(!overlaps("172.17.0.0/16", "172.18.101.0/24"));
        assert!(!overlaps("10.2.0.0/16", "10.1.0.0/16"));
    }

    #[test]
    fn an_address_with_a_size_is_a_range() {
        let around = |address: [u8; 4], bits| Range::around(address.into(), bits).to_string();
        assert_eq!(around([172, 18, 0, 1], 16), "172.18.0.0/16");
        assert_eq!(around([172, 18, 0, 1], 32), "172.18.0.1/32");
        assert_eq!(around([172, 18, 0, 1], 0), "0.0.0.0/0");
    }
}

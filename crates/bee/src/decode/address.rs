//! Addresses that are more than their bytes: of a union that holds either version, by the family beside it, and with a port.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use crate::decode::scalar::bits;

const AF_INET: u128 = libc::AF_INET as u128;
const AF_INET6: u128 = libc::AF_INET6 as u128;

/// Where the field lies that says which version an address of 16 bytes has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// From the beginning of the address, in bits.
    pub distance: isize,
    /// How many bits it has.
    pub width: usize,
    /// Whether it is 4 or 6 rather than `AF_INET` or `AF_INET6`.
    pub is_version: bool,
}

/// What a family says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Four,
    Six,
    Neither,
}

/// `struct sockaddr_in` and `struct sockaddr_in6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    V4,
    V6,
}

impl Family {
    /// What a field of this name says of the addresses beside it.
    pub fn named(name: &str) -> Option<bool> {
        match name.rsplit('_').next() {
            Some("family" | "af") => Some(false),
            Some("ver" | "version" | "ipver" | "ipv") => Some(true),
            _ => None,
        }
    }

    /// The same from a place so many bits further.
    pub fn seen_from(self, offset: usize) -> Self {
        Self { distance: self.distance - offset as isize, ..self }
    }

    /// The address whose bits begin at `offset`. That of no version that is known is its bytes.
    pub fn show(self, record: &[u8], offset: usize) -> Option<String> {
        let bytes: &[u8; 16] = record.get(offset / 8..)?.first_chunk()?;
        Some(match self.version(record, offset) {
            Version::Four => Ipv4Addr::from([bytes[0], bytes[1], bytes[2], bytes[3]]).to_string(),
            Version::Six => Ipv6Addr::from(*bytes).to_string(),
            Version::Neither => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Clears what is not shown of an address.
    pub fn clear(self, record: &mut [u8], offset: usize) {
        if self.version(record, offset) == Version::Four
            && let Some(unused) = record.get_mut(offset / 8 + 4..offset / 8 + 16)
        {
            unused.fill(0);
        }
    }

    fn version(self, record: &[u8], offset: usize) -> Version {
        let family = offset.checked_add_signed(self.distance).and_then(|at| bits(record, at, self.width));
        let (four, six) = if self.is_version { (4, 6) } else { (AF_INET, AF_INET6) };
        match family {
            Some(family) if family == four => Version::Four,
            Some(family) if family == six => Version::Six,
            _ => Version::Neither,
        }
    }
}

impl Socket {
    /// As in `10.0.0.1:443` or `[::1]:443`. A program may have an IPv4 address in the larger struct, where the family says so.
    pub fn show(self, bytes: &[u8]) -> Option<String> {
        let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
        if self == Self::V4 || is_four(bytes) {
            let address: [u8; 4] = *bytes.get(4..)?.first_chunk()?;
            return Some(SocketAddrV4::new(address.into(), port).to_string());
        }
        let address: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
        let scope = u32::from_ne_bytes(*bytes.get(24..)?.first_chunk()?);
        Some(SocketAddrV6::new(address.into(), port, 0, scope).to_string())
    }

    /// Clears what is not shown.
    pub fn clear(self, bytes: &mut [u8]) {
        let (family, unused) = match self {
            Self::V4 => (0, 8..16),
            Self::V6 if is_four(bytes) => (AF_INET, 8..28),
            Self::V6 => (AF_INET6, 4..8),
        };
        if let Some(bytes) = bytes.first_chunk_mut() {
            *bytes = (family as u16).to_ne_bytes();
        }
        if let Some(bytes) = bytes.get_mut(unused) {
            bytes.fill(0);
        }
    }
}

fn is_four(bytes: &[u8]) -> bool {
    bits(bytes, 0, 16) == Some(AF_INET)
}

/// Whether a `__be32` of this name is an IPv4 address: `saddr`, `src_addr`, `addr4`, `daddr_v4`, `remote_ip`.
pub fn is_address(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.trim_end_matches(['4', '6']).trim_end_matches('v').trim_end_matches('_');
    let last = name.rsplit('_').next().unwrap_or_default();
    last.ends_with("addr")
        || matches!(last, "ip" | "sip" | "dip" | "srcip" | "dstip" | "src" | "dst" | "gw" | "gateway")
}

/// What the members of a union have in common in their names, without the version: `saddr` of `saddr_v4` and `saddr_v6`.
pub fn common_name(one: &str, other: &str) -> String {
    let begin = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c);
    let begin: String = begin.collect();
    let end = one.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8());
    let end = &one[one.len() - end.sum::<usize>()..];
    let names = [begin.trim_end_matches('v').trim_matches('_'), end.trim_matches('_'), "addr"];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_says_what_an_address_is() {
        let family = Family { distance: 128, width: 16, is_version: false };
        let mut record = [0u8; 18];
        (record[0], record[3], record[15]) = (10, 1, 7);
        for (number, shown) in [(2, "10.0.0.1"), (10, "a00:1::7"), (0, "0a000001000000000000000000000007")] {
            record[16] = number;
            assert_eq!(family.show(&record, 0).as_deref(), Some(shown), "{number}");
        }
        assert_eq!(family.show(&record[..12], 0), None);
        record[16] = 4;
        let version = Family { is_version: true, ..family };
        assert_eq!(version.show(&record, 0).as_deref(), Some("10.0.0.1"));
        version.clear(&mut record, 0);
        assert_eq!(record, [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0]);
    }

    #[test]
    fn sockets_are_an_address_and_a_port() {
        let mut v4 = [9u8; 16];
        v4[..8].copy_from_slice(&[0, 0, 1, 0xbb, 10, 0, 0, 1]);
        assert_eq!(Socket::V4.show(&v4).as_deref(), Some("10.0.0.1:443"));
        Socket::V4.clear(&mut v4);
        assert_eq!(v4, [0, 0, 1, 0xbb, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut v6 = [0u8; 28];
        (v6[3], v6[5], v6[23]) = (80, 9, 1);
        assert_eq!(Socket::V6.show(&v6).as_deref(), Some("[::1]:80"));
        v6[24] = 3;
        assert_eq!(Socket::V6.show(&v6).as_deref(), Some("[::1%3]:80"));
        Socket::V6.clear(&mut v6);
        assert_eq!((v6[0], v6[5], v6[24]), (10, 0, 3));
        (v6[0], v6[4]) = (2, 127);
        assert_eq!(Socket::V6.show(&v6).as_deref(), Some("127.0.0.0:80"));
        assert_eq!(Socket::V6.show(&v6[..12]), Some("127.0.0.0:80".to_owned()));
        assert_eq!(Socket::V4.show(&v6[..7]), None);
    }

    #[test]
    fn names_say_what_is_an_address() {
        for name in [
            "saddr",
            "daddr",
            "addr",
            "src_addr",
            "addr4",
            "saddr_v4",
            "ip",
            "remote_ip",
            "ip4",
            "ipv4",
            "skc_rcv_saddr",
        ] {
            assert!(is_address(name), "{name}");
        }
        for name in ["be4", "seq", "ack_seq", "spi", "skip", "flags", "addrs", "v4"] {
            assert!(!is_address(name), "{name}");
        }
        for (one, other, name) in [
            ("saddr_v4", "saddr_v6", "saddr"),
            ("daddr", "daddr6", "daddr"),
            ("ip4", "ip6", "ip"),
            ("v4", "v6", "addr"),
            ("v4_saddr", "v6_saddr", "saddr"),
            ("é", "è", "addr"),
        ] {
            assert_eq!(common_name(one, other), name);
        }
    }
}

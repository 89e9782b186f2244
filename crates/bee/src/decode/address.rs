//! Addresses that are more than their bytes: of a union that holds either version, by the family beside it, and with a port.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;

use crate::decode::scalar::bits;
use crate::decode::text;

const AF_UNIX: u128 = libc::AF_UNIX as u128;
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

/// `struct sockaddr_in`, `struct sockaddr_in6`, and those of every family: `struct sockaddr`, the kernel's storage, a union of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    V4,
    V6,
    Any,
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
            Version::Neither => text::hex(bytes),
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
    /// As in `10.0.0.1:443` or `[::1]:443`, or the path of a Unix socket. A program may have an IPv4 address in a larger struct, where the
    /// family says so. That of no family that is known is its bytes.
    pub fn show(self, bytes: &[u8]) -> Option<String> {
        match self.family(bytes) {
            AF_INET => Some(SocketAddrV4::new(chunk::<4>(bytes, 4)?.into(), port(bytes)?).to_string()),
            AF_INET6 => {
                let scope = u32::from_ne_bytes(chunk(bytes, 24)?);
                Some(SocketAddrV6::new(chunk::<16>(bytes, 8)?.into(), port(bytes)?, 0, scope).to_string())
            }
            AF_UNIX => Some(text::text(bytes.get(2..)?)),
            _ => Some(text::hex(bytes)),
        }
    }

    /// Clears what is not shown.
    pub fn clear(self, bytes: &mut [u8]) {
        let family = self.family(bytes);
        let unused: [Range<usize>; 2] = match family {
            AF_INET => [0..0, 8..bytes.len()],
            AF_INET6 => [4..8, 28..bytes.len()],
            AF_UNIX => [0..0, text::end(bytes, 2)..bytes.len()],
            _ => return,
        };
        for range in unused {
            if let Some(bytes) = bytes.get_mut(range) {
                bytes.fill(0);
            }
        }
        // The type alone may say it.
        if let Some(bytes) = bytes.first_chunk_mut() {
            *bytes = (family as u16).to_ne_bytes();
        }
    }

    /// What the type says, or where that leaves it open the family itself.
    fn family(self, bytes: &[u8]) -> u128 {
        let said = bits(bytes, 0, 16).unwrap_or_default();
        match self {
            Self::V4 => AF_INET,
            Self::V6 if said == AF_INET => AF_INET,
            Self::V6 => AF_INET6,
            Self::Any if said == AF_INET6 && bytes.len() < 28 => 0,
            Self::Any => said,
        }
    }
}

fn port(bytes: &[u8]) -> Option<u16> {
    chunk(bytes, 2).map(u16::from_be_bytes)
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
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
        assert_eq!(v4, [2, 0, 1, 0xbb, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
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
    fn sockets_of_every_family_are_what_it_says() {
        let mut bytes = [0x2f_u8; 32];
        for (family, shown, length) in [
            (1, "/".repeat(30), 32),
            (2, "47.47.47.47:12079".to_owned(), 8),
            (10, "[2f2f:2f2f:2f2f:2f2f:2f2f:2f2f:2f2f:2f2f%791621423]:12079".to_owned(), 28),
            (16, format!("1000{}", "2f".repeat(30)), 32),
        ] {
            bytes[..2].copy_from_slice(&[family, 0]);
            assert_eq!(Socket::Any.show(&bytes), Some(shown.clone()));
            let mut cleared = bytes;
            Socket::Any.clear(&mut cleared);
            assert_eq!(Socket::Any.show(&cleared), Some(shown));
            assert_eq!(cleared.iter().rposition(|byte| *byte != 0), Some(length - 1), "{family}");
        }
        let mut path = *b"\x01\0/run/x\0noise";
        Socket::Any.clear(&mut path);
        assert_eq!((Socket::Any.show(&path).as_deref(), &path[8..]), (Some("/run/x"), &[0; 6][..]));
        assert_eq!(Socket::Any.show(&[10, 0, 1, 2]).as_deref(), Some("0a000102"), "too small for such an address");
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

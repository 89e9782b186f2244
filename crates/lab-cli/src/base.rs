//! The addresses of host cluster n on its machine: nodes B.(100+n).0/24 and LoadBalancers B.n.1-254, where the base B is 172.18
//! wherever that is free.
//!
//! They are in use on this machine alone: a link to the cluster and two routes. Nothing forwards, so that machines of one room may all
//! have the same. Pods and Services have addresses that only the cluster's own namespaces know, and nodes reach what is outside
//! through a proxy on this machine, which looks up names: neither is in anything's way.

use std::{fmt, net::Ipv4Addr};

use crate::{range::Range, taken::Taken};

/// The first two numbers of the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base(u8, u8);

/// A base that is free, and what has the first one.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    pub base: Base,
    pub instead: Option<Taken>,
}

impl Base {
    /// The workshop's.
    pub const FIRST: Self = Self(172, 18);

    pub fn nodes(self, number: u8) -> Range {
        self.range(100 + number)
    }

    pub fn load_balancers(self, number: u8) -> Range {
        self.range(number)
    }

    /// What of a machine's is in the way of cluster `number`, whose own link is not.
    pub fn overlap(self, number: u8, taken: &[Taken]) -> Option<&Taken> {
        let ours = [self.nodes(number), self.load_balancers(number)];
        let own = link(number);
        taken.iter().find(|taken| taken.by != own && ours.iter().any(|ours| ours.overlaps(taken.range)))
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let range = Range::parse(text.trim()).filter(|range| range.bits == 16)?;
        let [first, second, _, _] = range.base.octets();
        Some(Self(first, second))
    }

    fn range(self, third: u8) -> Range {
        Range { base: Ipv4Addr::new(self.0, self.1, third, 0), bits: 24 }
    }

    /// Those to choose from. Docker's own choice goes upwards from 172.17, AWS's first network is 172.31; our pods and Services have
    /// 10.1 to 10.199. VPNs that take every private address leave what is for tests of network devices (RFC 2544).
    fn all() -> impl Iterator<Item = Self> {
        let docker = (19..=30).rev().chain([31, 16]).map(|second| Self(172, second));
        let ten = (200..=254).rev().map(|second| Self(10, second));
        [Self::FIRST].into_iter().chain(docker).chain(ten).chain([Self(198, 18), Self(198, 19)])
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.0.0/16", self.0, self.1)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instead {
            None => write!(f, "{} is free", self.base),
            Some(taken) => write!(f, "{taken}; this cluster has {}.{}", self.base.0, self.base.1),
        }
    }
}

/// This machine's end of its connection to the cluster.
pub fn link(number: u8) -> String {
    format!("ebpf-lab-{number}")
}

/// The first base that is free.
///
/// # Errors
/// None is: what is in the way.
pub fn choose(number: u8, taken: &[Taken]) -> Result<Choice, Taken> {
    let Some(instead) = Base::FIRST.overlap(number, taken) else {
        return Ok(Choice { base: Base::FIRST, instead: None });
    };
    match Base::all().find(|base| base.overlap(number, taken).is_none()) {
        Some(base) => Ok(Choice { base, instead: Some(instead.clone()) }),
        None => Err(instead.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lines: &[&str]) -> Vec<Taken> {
        let taken = |line: &&str| {
            let (range, by) = line.split_once(' ').unwrap();
            Taken { range: Range::parse(range).unwrap(), by: by.to_owned() }
        };
        lines.iter().map(taken).collect()
    }

    /// Machines by what they have, and what cluster 1 gets there.
    #[test]
    fn the_first_base_that_nothing_overlaps_is_chosen() {
        let machines: [(&[&str], &str); 11] = [
            (&[], "172.18.0.0/16"),
            (&["192.168.1.0/24 wlan0", "172.17.0.0/16 docker0"], "172.18.0.0/16"),
            (&["172.18.0.0/16 br-0a1b2c3d4e5f"], "172.30.0.0/16"),
            (&["172.18.0.0/24 br-0a1b2c3d4e5f"], "172.18.0.0/16"),
            (&["172.18.1.0/24 br-0a1b2c3d4e5f"], "172.30.0.0/16"),
            (&["172.18.101.7/32 lo"], "172.30.0.0/16"),
            (&["172.18.101.0/24 ebpf-lab-1", "172.18.1.0/24 ebpf-lab-1"], "172.18.0.0/16"),
            (&["172.18.101.0/24 ebpf-lab-1", "172.18.102.0/24 ebpf-lab-2"], "172.18.0.0/16"),
            (&["172.16.0.0/12 tun0"], "10.254.0.0/16"),
            (&["172.16.0.0/12 tun0", "10.0.0.0/8 tun0", "192.168.0.0/16 tun0"], "198.18.0.0/16"),
            (&["172.18.0.0/16 a", "172.30.0.0/16 b", "172.29.0.0/16 c"], "172.28.0.0/16"),
        ];
        for (lines, base) in machines {
            assert_eq!(choose(1, &taken(lines)).unwrap().base.to_string(), base, "{lines:?}");
        }
    }

    #[test]
    fn what_has_the_first_base_is_said() {
        let choice = choose(1, &taken(&["172.18.0.0/16 br-0a1b2c3d4e5f"])).unwrap();
        assert_eq!(choice.to_string(), "172.18.0.0/16 is taken by br-0a1b2c3d4e5f (Docker); this cluster has 172.30");
        assert_eq!(choose(2, &taken(&["172.18.1.0/24 eth0"])).unwrap().to_string(), "172.18.0.0/16 is free");
        let all = taken(&["0.0.0.0/0 tailscale0"]);
        assert_eq!(choose(1, &all).unwrap_err(), all[0]);
    }

    #[test]
    fn no_base_holds_the_pods_or_services_of_any_cluster() {
        let ours = (1..=99).flat_map(|number| [[10, number, 0, 0], [10, 100 + number, 0, 0]]);
        let ours: Vec<_> = ours.map(|base| Range { base: base.into(), bits: 16 }).collect();
        for base in Base::all() {
            assert!(!ours.iter().any(|range| range.overlaps(base.nodes(1))), "{base}");
        }
    }

    #[test]
    fn a_base_is_read_as_it_is_written() {
        for base in Base::all() {
            assert_eq!(Base::parse(&format!("{base}\n")), Some(base));
        }
        assert_eq!(["", "172.18", "172.18.0.0/24", "x"].map(Base::parse), [None; 4]);
    }
}

//! Who held an address until a moment ago.
//!
//! The probes go on counting for a pod that has been deleted, and a pod may live for two seconds only. For some minutes
//! its connections are still drawn as its own; then its address is nobody's.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::identity::{Directory, Identity};

const KEPT_FOR: Duration = Duration::from_secs(15 * 60);

/// A cluster that replaces its pods faster than this loses the oldest memories first.
const ADDRESSES_KEPT: usize = 50_000;

#[derive(Default)]
pub struct Memory {
    last_seen: HashMap<IpAddr, (Instant, Arc<Identity>)>,
    /// Never forgotten: a node that is gone took its pods' addresses with it.
    ranges: BTreeSet<IpNet>,
}

impl Memory {
    /// Remembers everybody in `directory`, and adds to it who is missing there since a short while.
    pub fn complete(&mut self, directory: &mut Directory, now: Instant) {
        for (address, identity) in &directory.addresses {
            self.last_seen.insert(*address, (now, identity.clone()));
        }
        self.forget(now);
        for (address, (_, identity)) in &self.last_seen {
            directory.addresses.entry(*address).or_insert_with(|| identity.clone());
        }
        self.ranges.extend(&directory.ranges);
        directory.ranges.extend(&self.ranges);
    }

    fn forget(&mut self, now: Instant) {
        self.last_seen.retain(|_, (seen, _)| now.duration_since(*seen) < KEPT_FOR);
        if self.last_seen.len() <= ADDRESSES_KEPT {
            return;
        }
        let mut seen: Vec<Instant> = self.last_seen.values().map(|(seen, _)| *seen).collect();
        seen.sort_unstable_by(|a, b| b.cmp(a));
        let oldest = seen[ADDRESSES_KEPT];
        self.last_seen.retain(|_, (seen, _)| *seen > oldest || *seen == now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(address: &str, node: &str) -> Directory {
        let mut directory = Directory::default();
        directory.addresses.insert(address.parse().unwrap(), Arc::new(Identity::Node(node.to_owned())));
        directory
    }

    #[test]
    fn who_left_is_remembered_for_some_minutes_and_then_forgotten() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        memory.complete(&mut directory("10.101.1.9", "gone"), start);

        let mut soon = Directory::default();
        memory.complete(&mut soon, start + Duration::from_secs(60));
        assert_eq!(soon.addresses.len(), 1);

        let mut late = Directory::default();
        memory.complete(&mut late, start + KEPT_FOR);
        assert_eq!(late.addresses.len(), 0);
    }

    #[test]
    fn a_new_holder_of_an_address_wins_over_the_remembered_one() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.complete(&mut directory("10.101.1.9", "old"), now);
        let mut directory = directory("10.101.1.9", "new");
        memory.complete(&mut directory, now);
        let held: Vec<_> = directory.addresses.values().map(|identity| (**identity).clone()).collect();
        assert_eq!(held, [Identity::Node("new".to_owned())]);
    }

    #[test]
    fn a_full_memory_drops_the_oldest_and_never_who_is_there() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        memory.complete(&mut directory("10.255.0.1", "oldest"), start);
        let mut many = Directory::default();
        for host in 0..ADDRESSES_KEPT as u32 {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + host);
            many.addresses.insert(address.into(), Arc::new(Identity::Node(host.to_string())));
        }
        memory.complete(&mut many, start + Duration::from_secs(1));
        assert_eq!(memory.last_seen.len(), ADDRESSES_KEPT);
        assert!(!many.addresses.contains_key(&IpAddr::from([10, 255, 0, 1])));
    }
}

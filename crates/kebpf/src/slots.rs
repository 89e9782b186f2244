//! A bounded number of places, of which no client's address gets all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone)]
pub struct Slots {
    most: usize,
    most_each: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place, free again when this is dropped.
pub struct Slot {
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Why there is no place.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Full {
    #[error("{0} are open already")]
    All(usize),
    #[error("{0} are open already from your address")]
    Yours(usize),
}

impl Slots {
    pub fn new(most: usize, most_each: usize) -> Self {
        Self { most, most_each, taken: Arc::default() }
    }

    /// # Errors
    /// All places are taken, or all that this address may have.
    pub fn take(&self, address: IpAddr) -> Result<Slot, Full> {
        let address = address.to_canonical();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&address).is_some_and(|own| *own >= self.most_each) {
            return Err(Full::Yours(self.most_each));
        }
        if taken.values().sum::<usize>() >= self.most {
            return Err(Full::All(self.most));
        }
        *taken.entry(address).or_default() += 1;
        Ok(Slot { address, taken: self.taken.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.address) {
            *own -= 1;
        }
        taken.retain(|_, own| *own > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_share_all_get_no_more_than_there_are_and_each_comes_back() {
        let slots = Slots::new(3, 2);
        let take = |last| slots.take([192, 0, 2, last].into());
        let (first, _second) = (take(1).unwrap(), take(1).unwrap());
        assert_eq!(take(1).err(), Some(Full::Yours(2)));
        let _other = take(2).unwrap();
        assert_eq!(take(3).err(), Some(Full::All(3)));
        drop(first);
        let _again = take(3).unwrap();
        assert_eq!(take(2).err(), Some(Full::All(3)));
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_is_the_same_client() {
        let slots = Slots::new(3, 1);
        let _slot = slots.take("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(slots.take([192, 0, 2, 1].into()).is_err());
    }
}

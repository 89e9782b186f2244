//! Who is asking the proxy and has not said for what: few of each peer at a time, so that none keeps the others out by saying nothing.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// A containerd asks for some layers of some images at once, and each within milliseconds.
const MOST: usize = 16;

/// How many each peer has at the moment.
#[derive(Debug, Clone, Default)]
pub struct Asking(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// The place of one that asks, given back when dropped.
#[derive(Debug)]
pub struct Place {
    asking: Asking,
    peer: IpAddr,
}

impl Asking {
    /// A place for one more of this peer, if it has not too many.
    pub fn enter(&self, peer: IpAddr) -> Option<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(peer).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        Some(Place { asking: self.clone(), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.asking.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.peer) {
            *count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_has_too_many_keeps_no_other_out() {
        let asking = Asking::default();
        let [one, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
        let mut places: Vec<_> = (0..MOST).map(|_| asking.enter(one).unwrap()).collect();
        assert!(asking.enter(one).is_none());
        assert!(asking.enter(other).is_some());
        places.pop();
        assert!(asking.enter(one).is_some(), "a place that was given back is free");
    }
}

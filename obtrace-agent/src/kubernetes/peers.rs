//! Whose an address is.

use std::{net::IpAddr, sync::Arc};

use obtrace_export::model::Text;
use rustc_hash::FxHashMap;

/// Who has an address.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Peer {
    /// The name of its service.
    pub name: Text,
    /// Its namespace.
    pub namespace: Text,
}

/// What says whose an address is. The later ones are believed first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(not(any(test, feature = "kubernetes")), expect(dead_code, reason = "only the API tells of these"))]
pub(super) enum Source {
    /// An EndpointSlice: a Pod of any node, called as the Service that it is behind.
    Slice,
    /// A Service's own addresses.
    Service,
    /// A Pod of this node, called by its labels.
    Pod,
}

/// An object that has addresses.
pub(super) type Key = (Source, Arc<str>);

/// Addresses, at most so many.
#[derive(Debug)]
pub(super) struct Peers {
    most: usize,
    count: usize,
    objects: FxHashMap<Key, (Peer, Vec<IpAddr>)>,
    by_address: FxHashMap<IpAddr, Key>,
    refused: u64,
}

impl Peers {
    pub(super) fn new(most: usize) -> Self {
        Self { most, count: 0, objects: FxHashMap::default(), by_address: FxHashMap::default(), refused: 0 }
    }

    pub(super) fn get(&self, address: IpAddr) -> Option<&Peer> {
        self.objects.get(self.by_address.get(&address)?).map(|(peer, _)| peer)
    }

    /// Addresses that found no room.
    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    /// An object has these addresses now, and no others.
    pub(super) fn set(&mut self, source: Source, object: &str, peer: Peer, mut addresses: Vec<IpAddr>) {
        let key: Key = (source, object.into());
        let old = self.take(&key);
        let room = self.most.saturating_sub(self.count);
        if addresses.len() > room {
            self.refused += (addresses.len() - room) as u64;
            addresses.truncate(room);
        }
        addresses.shrink_to_fit();
        for address in &addresses {
            let other = self.by_address.get(address);
            if other.is_none_or(|other| other.0 <= source) {
                self.by_address.insert(*address, key.clone());
            }
        }
        self.count += addresses.len();
        if !addresses.is_empty() {
            self.objects.insert(key.clone(), (peer, addresses));
        }
        self.settle(&key, &old);
    }

    /// An object is gone.
    pub(super) fn remove(&mut self, source: Source, object: &str) {
        let key: Key = (source, object.into());
        let old = self.take(&key);
        self.settle(&key, &old);
    }

    /// Every object of a source that is not among these is gone.
    #[cfg(any(test, feature = "kubernetes"))]
    pub(super) fn retain(&mut self, source: Source, keep: impl Fn(&str) -> bool) {
        let gone: Vec<Key> =
            self.objects.keys().filter(|(from, name)| *from == source && !keep(name)).cloned().collect();
        gone.iter().for_each(|(_, name)| self.remove(source, name));
    }

    fn take(&mut self, key: &Key) -> Vec<IpAddr> {
        let addresses = self.objects.remove(key).map(|(_, addresses)| addresses).unwrap_or_default();
        self.count -= addresses.len();
        addresses
    }

    /// Gives addresses that `key` had and has no more to another object that has them.
    fn settle(&mut self, key: &Key, old: &[IpAddr]) {
        let has = |objects: &FxHashMap<Key, (Peer, Vec<IpAddr>)>, key: &Key, address: &IpAddr| {
            objects.get(key).is_some_and(|(_, addresses)| addresses.contains(address))
        };
        for address in old {
            if self.by_address.get(address) != Some(key) || has(&self.objects, key, address) {
                continue;
            }
            let others = self.objects.iter().filter(|(_, (_, addresses))| addresses.contains(address));
            match others.map(|(key, _)| key).max_by_key(|(source, _)| *source).cloned() {
                Some(other) => self.by_address.insert(*address, other),
                None => self.by_address.remove(address),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> Peer {
        Peer { name: name.to_owned().into(), namespace: "shop".into() }
    }

    fn name(peers: &Peers, address: &str) -> Option<String> {
        peers.get(address.parse().unwrap()).map(|peer| peer.name.to_string())
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_knows_more_is_believed_and_what_is_left_takes_its_place() {
        let mut peers = Peers::new(100);
        peers.set(Source::Pod, "p", peer("cart"), ips(&["10.0.0.7"]));
        peers.set(Source::Slice, "shop/a", peer("cart-svc"), ips(&["10.0.0.7", "10.0.1.7"]));
        peers.set(Source::Service, "shop/cart-svc", peer("cart-svc"), ips(&["10.96.0.9"]));
        assert_eq!(name(&peers, "10.0.0.7").as_deref(), Some("cart"));
        assert_eq!(name(&peers, "10.0.1.7").as_deref(), Some("cart-svc"));
        assert_eq!(name(&peers, "10.96.0.9").as_deref(), Some("cart-svc"));
        peers.remove(Source::Pod, "p");
        assert_eq!(name(&peers, "10.0.0.7").as_deref(), Some("cart-svc"));
        // The address moved to another slice.
        peers.set(Source::Slice, "shop/b", peer("other"), ips(&["10.0.1.7"]));
        peers.set(Source::Slice, "shop/a", peer("cart-svc"), ips(&["10.0.0.7"]));
        assert_eq!(name(&peers, "10.0.1.7").as_deref(), Some("other"));
        peers.retain(Source::Slice, |name| name == "shop/a");
        assert_eq!(name(&peers, "10.0.1.7"), None);
        assert_eq!(name(&peers, "10.0.0.7").as_deref(), Some("cart-svc"));
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut peers = Peers::new(2);
        peers.set(Source::Slice, "a", peer("a"), ips(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
        assert_eq!((peers.refused(), peers.count), (1, 2));
        peers.remove(Source::Slice, "a");
        assert_eq!((peers.count, peers.by_address.len(), peers.objects.len()), (0, 0, 0));
    }
}

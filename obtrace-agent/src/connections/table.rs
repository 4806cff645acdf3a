//! Where the sockets are kept: in pages, apart from what comes and goes with their traffic, so that the memory of a
//! burst can be given back while its connections stay open.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::socket::Socket;

/// Sockets of a page.
const PAGE: usize = 512;

/// Sockets by their ids.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Page and place in it.
    places: FxHashMap<u64, (u32, u32)>,
    pages: Vec<Page>,
    /// Pages with room. The first is filled first: the last ones become empty and are given back.
    with_room: BTreeSet<u32>,
}

#[derive(Debug, Default)]
struct Page {
    slots: Vec<Option<Socket>>,
    /// Slots that were used and are not.
    free: Vec<u32>,
}

impl Page {
    const fn used(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.places.contains_key(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Socket> {
        let (page, slot) = *self.places.get(&id)?;
        self.pages.get_mut(page as usize)?.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Takes in a socket that is not there yet.
    pub(super) fn insert(&mut self, socket: Socket) {
        let number = match self.with_room.first() {
            Some(number) => *number,
            None => {
                self.pages.push(Page::default());
                let number = (self.pages.len() - 1) as u32;
                self.with_room.insert(number);
                number
            }
        };
        let Some(page) = self.pages.get_mut(number as usize) else { return };
        if page.slots.capacity() == 0 {
            page.slots.reserve_exact(PAGE);
        }
        let id = socket.info.id;
        let slot = page.free.pop().unwrap_or(page.slots.len() as u32);
        match page.slots.get_mut(slot as usize) {
            Some(empty) => *empty = Some(socket),
            None => page.slots.push(Some(socket)),
        }
        if page.used() == PAGE {
            self.with_room.remove(&number);
        }
        self.places.insert(id, (number, slot));
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Socket> {
        let (number, slot) = self.places.remove(&id)?;
        let page = self.pages.get_mut(number as usize)?;
        let socket = page.slots.get_mut(slot as usize)?.take();
        page.free.push(slot);
        if page.used() == 0 {
            *page = Page::default();
        }
        self.with_room.insert(number);
        if self.places.capacity() > 4 * PAGE && self.places.len() < self.places.capacity() / 8 {
            self.places.shrink_to(2 * self.places.len());
        }
        socket
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Socket> {
        self.pages.iter_mut().flat_map(|page| &mut page.slots).flatten()
    }

    /// Takes all of them out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Socket> + use<> {
        std::mem::take(self).pages.into_iter().flat_map(|page| page.slots).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::{ConnectionInfo, Transport};

    fn socket(id: u64) -> Socket {
        Socket::new(ConnectionInfo::new(id, Transport::Tcp), id)
    }

    #[test]
    fn sockets_are_found_by_their_ids_and_empty_pages_are_given_back() {
        let mut table = Table::default();
        let count = 3 * PAGE as u64 + 7;
        (0..count).for_each(|id| table.insert(socket(id)));
        assert_eq!((table.len() as u64, table.pages.len()), (count, 4));
        for id in 0..count {
            assert_eq!(table.get_mut(id).map(|socket| socket.info.id), Some(id));
        }
        for id in (0..count).filter(|id| id % 2 == 0 || *id > PAGE as u64) {
            assert_eq!(table.remove(id).map(|socket| socket.last), Some(id));
            assert!(!table.contains(id) && table.get_mut(id).is_none() && table.remove(id).is_none());
        }
        assert_eq!(table.len(), PAGE / 2);
        assert!(table.pages.iter().skip(1).all(|page| page.slots.capacity() == 0));
        (count..2 * count).for_each(|id| table.insert(socket(id)));
        assert_eq!(table.pages.len(), 4, "the room of those that went is used again");
        let mut seen: Vec<_> = table.iter_mut().map(|socket| socket.info.id).collect();
        seen.sort_unstable();
        assert!(seen.iter().copied().eq((0..PAGE as u64).filter(|id| id % 2 == 1).chain(count..2 * count)));
        assert_eq!((table.drain().count(), table.len()), (seen.len(), 0));
    }
}

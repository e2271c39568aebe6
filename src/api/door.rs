//! Who may knock: how many connections may be there at all, and how many of one address that nobody knows yet.
//!
//! Behind the door callers are known by their certificates, and [`Open`](super::connection::Open) bounds how many
//! connections each of them has. Before it there is only an address, which a flood shares with everybody behind the same
//! router; so the bound holds for handshakes only, and whoever is known does not count towards it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections at one time, known and unknown: more than there are counties, twice.
pub const CONNECTIONS_MAX: usize = 8_192;
/// Handshakes of one address at one time.
pub const UNKNOWN_MAX: usize = 64;

/// Counts those who knock. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<Mutex<Knocking>>);

#[derive(Debug, Default)]
struct Knocking {
    all: usize,
    /// Whether somebody was turned away since there was last room for all.
    turned_away: bool,
    by_address: HashMap<IpAddr, Address>,
}

#[derive(Debug, Default)]
struct Address {
    knocking: usize,
    /// Whether somebody was turned away since there was last room for one of this address.
    turned_away: bool,
}

/// Somebody who knocks; ends when dropped.
#[derive(Debug)]
pub struct Knock {
    door: Door,
    address: IpAddr,
}

/// There are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMany {
    /// The first that is turned away for want of room: worth a line in the log.
    First,
    /// One more of them.
    Again,
}

impl Door {
    /// Lets somebody knock, `open` connections being there already.
    ///
    /// # Errors
    /// [`TooMany`]: the connection is to be closed.
    pub fn knock(&self, address: IpAddr, open: usize) -> Result<Knock, TooMany> {
        let mut knocking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.saturating_add(knocking.all) >= CONNECTIONS_MAX {
            return Err(TooMany::of(&mut knocking.turned_away));
        }
        knocking.turned_away = false;
        let of_address = knocking.by_address.entry(address).or_default();
        if of_address.knocking >= UNKNOWN_MAX {
            return Err(TooMany::of(&mut of_address.turned_away));
        }
        of_address.turned_away = false;
        of_address.knocking += 1;
        knocking.all += 1;
        Ok(Knock { door: self.clone(), address })
    }
}

impl TooMany {
    fn of(turned_away: &mut bool) -> Self {
        if std::mem::replace(turned_away, true) { Self::Again } else { Self::First }
    }
}

impl Drop for Knock {
    fn drop(&mut self) {
        let mut knocking = self.door.0.lock().unwrap_or_else(PoisonError::into_inner);
        knocking.all = knocking.all.saturating_sub(1);
        let Some(of_address) = knocking.by_address.get_mut(&self.address) else { return };
        of_address.knocking = of_address.knocking.saturating_sub(1);
        if of_address.knocking == 0 {
            knocking.by_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn an_address_has_so_many_handshakes_and_others_do_not_notice() {
        let door = Door::default();
        let mut knocks: Vec<_> = (0..UNKNOWN_MAX).map(|_| door.knock(FLOOD, 0).unwrap()).collect();
        assert_eq!(door.knock(FLOOD, 0).unwrap_err(), TooMany::First);
        assert_eq!(door.knock(FLOOD, 0).unwrap_err(), TooMany::Again);
        let other = door.knock(OTHER, 0).unwrap();
        knocks.pop();
        knocks.push(door.knock(FLOOD, 0).unwrap());
        assert!(door.knock(FLOOD, 0).is_err());
        drop((knocks, other));
        assert!(door.0.lock().unwrap().by_address.is_empty(), "nothing is kept of who has gone");
        assert_eq!(door.0.lock().unwrap().all, 0);
    }

    #[test]
    fn there_is_an_end_to_connections() {
        let door = Door::default();
        assert_eq!(door.knock(OTHER, CONNECTIONS_MAX).unwrap_err(), TooMany::First);
        assert_eq!(door.knock(FLOOD, CONNECTIONS_MAX).unwrap_err(), TooMany::Again);
        assert!(door.0.lock().unwrap().by_address.is_empty());
        let _last = door.knock(OTHER, CONNECTIONS_MAX - 1).unwrap();
        assert!(door.knock(FLOOD, CONNECTIONS_MAX - 1).is_err());
    }
}

//! When each peer was last heard, noted at most once a minute: whoever is silent for days is noticed by it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use store::messages::peer_key;
use store::network::PeerHeardRow;
use store::tables::PEER_HEARD;
use store::{Store, Unit};

use crate::app::AppError;

/// How often it is noted.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// In which sense a peer was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sense {
    /// A session with it stands.
    Contact,
    /// A message from it was stored here, whoever carried it.
    Mail,
    /// A receipt signed by it was kept here.
    Receipt,
}

/// Notes when peers are heard. Clones share what they remember.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    // Touched for each parcel and each session; never across an await.
    noted: Arc<Mutex<HashMap<(AreaCode, Sense), UnixMillis>>>,
}

impl Heard {
    /// Whether it is time to note that a peer was heard; if so, it counts as noted.
    #[must_use]
    pub fn is_due(&self, area: AreaCode, sense: Sense, now: UnixMillis) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let last = noted.get(&(area, sense));
        let due = last.is_none_or(|last| now.since(*last) >= NOTED_EVERY || now < *last);
        if due {
            noted.insert((area, sense), now);
        }
        due
    }

    /// Notes that a peer was heard, if it is time to, in a unit of its own that nobody waits for.
    pub fn note(&self, store: &Store, area: AreaCode, sense: Sense, now: UnixMillis) {
        if self.is_due(area, sense, now) {
            // A full queue has more important things in it.
            let _busy = store.try_commit(move |unit| note(unit, area, sense, now)).is_err();
        }
    }
}

/// Writes when a peer was heard.
///
/// # Errors
/// When rows cannot be read or written.
pub fn note(
    unit: &mut Unit<'_>,
    area: AreaCode,
    sense: Sense,
    at: UnixMillis,
) -> Result<(), AppError> {
    let key = peer_key(area);
    let mut row: PeerHeardRow = unit.get(&PEER_HEARD, &key)?.unwrap_or_default();
    let slot = match sense {
        Sense::Contact => &mut row.contact,
        Sense::Mail => &mut row.mail,
        Sense::Receipt => &mut row.receipt,
    };
    *slot = (*slot).max(Some(at));
    Ok(unit.put(&PEER_HEARD, &key, &row)?)
}

/// When a peer was last heard in any sense.
#[must_use]
pub fn last(row: &PeerHeardRow) -> Option<UnixMillis> {
    row.contact.max(last_exchange(row))
}

/// When mail was last exchanged with it: a message from it stored here, or a receipt of it kept.
#[must_use]
pub fn last_exchange(row: &PeerHeardRow) -> Option<UnixMillis> {
    row.mail.max(row.receipt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_noted_once_a_minute_in_each_sense() {
        let (heard, area) = (Heard::default(), "410522".parse().unwrap());
        let at = |seconds: u64| UnixMillis::new(1_794_326_400_000 + seconds * 1_000);
        assert!(heard.is_due(area, Sense::Mail, at(0)));
        assert!(!heard.is_due(area, Sense::Mail, at(59)));
        assert!(heard.is_due(area, Sense::Contact, at(59)));
        assert!(heard.is_due(area, Sense::Mail, at(60)));
        // A clock that was set back does not silence anybody for long.
        assert!(heard.is_due(area, Sense::Mail, at(10)));
    }
}

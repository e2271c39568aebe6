//! What the directory holds, for people who look after a node.

use domain::hex::hex;
use std::collections::BTreeMap;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::card::NodeCard;
use store::messages::peer_key;
use store::network::DirectoryChange;
use store::tables::{CARD, DIRECTORY_LOG, REVOCATION_LIST};
use trust::crl::{AuthorityId, Freshness};
use wire::decode_card;

use super::Directory;
use crate::app::AppError;
use crate::delivery::identity::LIST_GRACE;
use crate::delivery::peers::CardState;

/// A card of the directory.
#[derive(Clone, Debug)]
pub struct CardEntry {
    /// What it says.
    pub card: NodeCard,
    /// What it is worth.
    pub state: CardState,
    /// When it came.
    pub received: UnixMillis,
    /// Neighbour that told it; our own area for our own card; none when that is not known any more.
    pub heard_from: Option<AreaCode>,
}

/// A revocation list of the directory.
#[derive(Clone, Debug)]
pub struct ListEntry {
    /// Who issued it, for people.
    pub issuer: String,
    /// Its number, hexadecimal.
    pub number: String,
    /// When it was issued.
    pub issued: UnixMillis,
    /// When it ends.
    pub until: UnixMillis,
    /// How fresh it is.
    pub freshness: Freshness,
    /// When it came.
    pub received: UnixMillis,
    /// Neighbour that told it; our own area for one of our files.
    pub heard_from: Option<AreaCode>,
}

impl Directory {
    /// The cards after `after`, in the order of their areas, at most `limit`; ours is among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn cards(
        &self,
        after: Option<AreaCode>,
        limit: usize,
        now: UnixMillis,
    ) -> Result<Vec<CardEntry>, AppError> {
        use std::ops::Bound;
        let start = after.map_or(Bound::Unbounded, |area| Bound::Excluded(peer_key(area)));
        let rows = self.0.parts.store.scan(&CARD, (start, Bound::Unbounded), limit)?;
        let entries = rows.into_iter().map(|(_, row)| {
            let Ok(card) = decode_card(&row.card.manifest.0) else { return Ok(None) };
            let heard_from = self.heard_from(row.logged)?;
            let state = self.state_of(&card, now);
            Ok(Some(CardEntry { card, state, received: row.received, heard_from }))
        });
        entries.filter_map(Result::transpose).collect()
    }

    /// The card of one area, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn card_of(&self, area: AreaCode, now: UnixMillis) -> Result<Option<CardEntry>, AppError> {
        let Some(row) = self.0.parts.store.get(&CARD, &peer_key(area))? else { return Ok(None) };
        let Ok(card) = decode_card(&row.card.manifest.0) else { return Ok(None) };
        let heard_from = self.heard_from(row.logged)?;
        let state = self.state_of(&card, now);
        Ok(Some(CardEntry { card, state, received: row.received, heard_from }))
    }

    fn state_of(&self, card: &NodeCard, now: UnixMillis) -> CardState {
        if card.area == self.0.parts.peers.own() {
            return if now < card.valid_until { CardState::Good } else { CardState::Ended };
        }
        let peer = self.0.parts.peers.get(card.area);
        peer.map_or(CardState::Missing, |peer| peer.card_state(now))
    }

    fn heard_from(&self, logged: u64) -> Result<Option<AreaCode>, AppError> {
        let row = self.0.parts.store.get(&DIRECTORY_LOG, &logged)?;
        Ok(row.map(|row| row.heard_from))
    }

    /// Every revocation list in force, by issuer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn lists(&self, now: UnixMillis) -> Result<Vec<ListEntry>, AppError> {
        let (mut heard, store) = (BTreeMap::<AuthorityId, _>::new(), &self.0.parts.store);
        for (authority, row) in store.scan(&REVOCATION_LIST, .., usize::MAX)? {
            let log = store.get(&DIRECTORY_LOG, &row.logged)?;
            let from =
                log.filter(|log| matches!(log.change, DirectoryChange::RevocationList { .. }));
            heard.insert(authority, (row.received, from.map(|log| log.heard_from)));
        }
        let known = self.known();
        let mut entries: Vec<_> = known
            .lists
            .iter()
            .map(|(authority, verified)| {
                let list = verified.list();
                let (received, heard_from) =
                    heard.get(authority).copied().unwrap_or((list.this_update(), None));
                ListEntry {
                    issuer: list.issuer().to_owned(),
                    number: hex(list.number()),
                    issued: list.this_update(),
                    until: list.next_update(),
                    freshness: list.freshness(now, LIST_GRACE),
                    received,
                    heard_from,
                }
            })
            .collect();
        entries.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        Ok(entries)
    }
}

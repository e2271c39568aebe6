//! What the directory held at the last run is taken up, and looked at again when certificates or lists have changed.

use store::Unit;
use store::messages::{peer_area, peer_key};
use store::network::CardRow;
use store::tables::{CARD, REVOCATION_LIST};
use trust::refused::Refused;
use wire::decode_card;

use super::rows::{Heard, keep_card, signed_card};
use super::{Directory, examine};
use crate::app::AppError;
use crate::time::SystemClock;

impl Directory {
    pub(super) fn recall_lists(&self) -> Result<(), AppError> {
        let material = self.0.parts.identity.material();
        let mut lists = Vec::new();
        for (_, row) in self.0.parts.store.scan(&REVOCATION_LIST, .., usize::MAX)? {
            match material.chains().verify_list(&row.list.0, &[row.authority.0]) {
                Ok(list) => lists.push(list),
                Err(refused) => {
                    tracing::warn!(
                        code = refused.code(),
                        "a revocation list that was kept does not hold any more: {refused}"
                    );
                }
            }
        }
        self.put_in_force(&lists);
        Ok(())
    }

    pub(super) fn recall_cards(&self) -> Result<(), AppError> {
        let (peers, own) = (&self.0.parts.peers, self.0.parts.peers.own());
        let rows = self.0.parts.store.scan(&CARD, .., usize::MAX)?;
        peers.join_all(
            rows.iter().filter_map(|(key, _)| peer_area(key)).filter(|area| *area != own),
        );
        for (_, row) in rows {
            if row.logged == 0 {
                self.log_card(row.clone())?;
            }
            let authorities: Vec<_> = row.chain.iter().skip(1).map(|c| c.0.clone()).collect();
            match decode_card(&row.card.manifest.0) {
                Ok(card) if card.area != own => peers.join(card.area).learn(card),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a card that was kept cannot be read"),
            }
            self.remember(&authorities);
        }
        self.tell_changes();
        Ok(())
    }

    /// Gives a card an entry in the log that a version of the program without one has kept.
    fn log_card(&self, row: CardRow) -> Result<(), AppError> {
        let Ok(card) = decode_card(&row.card.manifest.0) else { return Ok(()) };
        let heard = Heard { from: card.area, at: SystemClock.now() };
        let row = CardRow { version: card.version, ..row };
        let inner = self.0.clone();
        let write =
            move |unit: &mut Unit<'_>| keep_card(unit, &inner.numbers, card.area, row, heard);
        self.0.parts.store.commit_blocking(write).map_err(AppError::from)?;
        Ok(())
    }

    /// Looks at all cards again, as certificates and lists are now: nothing is sealed for a node that was revoked.
    pub(super) fn look_again(&self) {
        let (parts, now) = (&self.0.parts, SystemClock.now());
        let material = parts.identity.material();
        for peer in parts.peers.all() {
            let Some(card) = peer.card() else { continue };
            let kept = parts.store.get(&CARD, &peer_key(peer.area));
            let Ok(Some(row)) = kept else { continue };
            let received = row.received;
            let signed = signed_card(row);
            let held = match examine::verify(material.chains(), &signed, peer.area, now) {
                // Its certificate or our lists have come to their end; then the card's own end decides.
                Err(
                    Refused::Expired
                    | Refused::RevocationListTooOld
                    | Refused::RevocationListMissing,
                ) => material.chains().verify_as_of(&signed.chain, received, Vec::new()).map(drop),
                other => other.map(drop),
            };
            if peer.believe(&card, held.is_ok())
                && let Err(refused) = held
            {
                tracing::warn!(peer = %peer.area, code = refused.code(), "the card of a peer does not hold any more: {refused}");
            }
        }
    }
}

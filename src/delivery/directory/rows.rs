//! Cards and revocation lists as rows of the store, each with its entry in the log.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::card::SignedCard;
use store::messages::{Blob, Signed, peer_key};
use store::network::{
    CardRow, DirectoryChange, DirectoryCursorRow, DirectoryLogRow, RevocationListRow,
};
use store::tables::{CARD, DIRECTORY_CURSOR, DIRECTORY_LOG, REVOCATION_LIST};
use store::{Store, Unit};
use trust::crl::{RevocationList, VerifiedList};
use wire::decode_card;

use crate::app::AppError;
use crate::app::ledger::growth;

/// Numbers of the entries of the log. They grow with the clock as well, so that after a restore no number is given to
/// something else than before: whoever has seen a number has seen everything below it.
#[derive(Debug)]
pub(super) struct Numbers(AtomicU64);

impl Numbers {
    /// Goes on after the last entry of the log.
    pub(super) fn open(store: &Store) -> Result<Self, AppError> {
        let last = store.scan_back(&DIRECTORY_LOG, .., 1)?;
        Ok(Self(AtomicU64::new(last.first().map_or(0, |(number, _)| *number))))
    }

    /// The next number. To be called on the committer's thread alone, so that numbers reach the disk in order.
    fn next(&self, now: UnixMillis) -> u64 {
        let next = self.0.load(Ordering::Relaxed).saturating_add(1).max(now.get());
        self.0.store(next, Ordering::Relaxed);
        next
    }

    /// The last number that was given.
    pub(super) fn last(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A card as it is kept.
pub(super) fn card_row(signed: SignedCard, version: u64, received: UnixMillis) -> CardRow {
    let SignedCard { card_bytes, signature, chain } = signed;
    CardRow {
        card: Signed { manifest: Blob(card_bytes.to_vec()), signature: Blob(signature.to_vec()) },
        chain: chain.into_iter().map(Blob).collect(),
        version,
        logged: 0,
        received,
    }
}

/// A card as it travels.
pub(super) fn signed_card(row: CardRow) -> SignedCard {
    SignedCard {
        card_bytes: Bytes::from(row.card.manifest.0),
        signature: Bytes::from(row.card.signature.0),
        chain: row.chain.into_iter().map(|certificate| certificate.0).collect(),
    }
}

/// Who told it, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) from: AreaCode,
    pub(super) at: UnixMillis,
}

/// Keeps a card with its entry in the log, unless a newer one is there. Says whether it is the newest.
pub(super) fn keep_card(
    unit: &mut Unit<'_>,
    numbers: &Numbers,
    area: AreaCode,
    mut row: CardRow,
    heard: Heard,
) -> Result<bool, AppError> {
    let key = peer_key(area);
    let known = unit.get(&CARD, &key)?;
    if known.as_ref().is_some_and(|known| known.logged != 0 && known.version >= row.version) {
        return Ok(false);
    }
    let change = DirectoryChange::Card { area, version: row.version };
    row.logged = log(unit, numbers, known.map_or(0, |known| known.logged), change, heard)?;
    unit.put(&CARD, &key, &row)?;
    let head = decode_card(&row.card.manifest.0).ok().and_then(|card| card.ledger_head);
    if let Some(head) = head {
        growth::in_card(unit, area, head, &row, heard.at)?;
    }
    Ok(true)
}

/// Keeps a list with its entry in the log, unless a newer one is there. Says whether it is the newest.
pub(super) fn keep_list(
    unit: &mut Unit<'_>,
    numbers: &Numbers,
    list: &VerifiedList,
    heard: Heard,
) -> Result<bool, AppError> {
    let authority = list.authority_id();
    let known = unit.get(&REVOCATION_LIST, &authority)?;
    // One that cannot be read any more is replaced by whatever comes.
    let newer = |known: &RevocationListRow| {
        RevocationList::from_der(&known.list.0)
            .map_or(true, |known| list.list().is_newer_than(&known))
    };
    if known.as_ref().is_some_and(|known| !newer(known)) {
        return Ok(false);
    }
    let change = DirectoryChange::RevocationList { authority };
    let logged = log(unit, numbers, known.map_or(0, |known| known.logged), change, heard)?;
    let row = RevocationListRow {
        list: Blob(list.list().der().to_vec()),
        authority: Blob(list.authority().to_vec()),
        issued: list.list().this_update(),
        logged,
        received: heard.at,
    };
    unit.put(&REVOCATION_LIST, &authority, &row)?;
    Ok(true)
}

fn log(
    unit: &mut Unit<'_>,
    numbers: &Numbers,
    before: u64,
    change: DirectoryChange,
    heard: Heard,
) -> Result<u64, AppError> {
    if before != 0 {
        unit.delete(&DIRECTORY_LOG, &before);
    }
    let number = numbers.next(heard.at);
    let row = DirectoryLogRow { change, heard_from: heard.from, at: heard.at };
    unit.put(&DIRECTORY_LOG, &number, &row)?;
    Ok(number)
}

/// Keeps how far we are in a neighbour's directory.
pub(super) fn keep_cursor(
    unit: &mut Unit<'_>,
    neighbour: AreaCode,
    cursor: &[u8],
    synced: UnixMillis,
) -> Result<(), AppError> {
    let row = DirectoryCursorRow { theirs: Blob(cursor.to_vec()), synced };
    Ok(unit.put(&DIRECTORY_CURSOR, &peer_key(neighbour), &row)?)
}

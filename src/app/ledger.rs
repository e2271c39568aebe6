//! The ledger, as anybody may ask about it: its head, and proofs that an entry is in it and that it only grew.

pub mod blocks;
pub mod growth;

use std::collections::BTreeMap;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::ledger::{HeadChange, LedgerEntry, LedgerHead, SeenHead};
use exchange::tree;
use store::Store;
use store::messages::{Side, Signed, peer_key, side_key};
use store::network::CardRow;
use store::tables::{HEAD_CARD, RECEIPT};
use wire::{decode_card, decode_receipt_manifest};

use self::blocks::Blocks;
use crate::app::relay::chain_of;
use crate::app::{AppError, Refusal};

/// Entries that are read in one go.
const ENTRIES_AT_ONCE: usize = 8_192;
const BYTES_AT_ONCE: usize = 1024 * 1024;

const UNREADABLE: AppError = AppError::Internal("an entry of the ledger cannot be read");

/// The head of the ledger as it is on disk.
#[must_use]
pub fn head(store: &Store) -> LedgerHead {
    let head = store.ledger_head();
    LedgerHead { size: head.size, root: head.root }
}

/// Reads entries from one index to another.
fn read(
    store: &Store,
    mut from: u64,
    until: u64,
    mut take: impl FnMut(u64, &[u8]),
) -> Result<(), AppError> {
    while from < until {
        let entries = store.ledger_entries(from, ENTRIES_AT_ONCE, BYTES_AT_ONCE)?;
        let Some((last, _)) = entries.last() else { return Err(UNREADABLE) };
        let next = last.saturating_add(1);
        for (at, entry) in entries.iter().filter(|(at, _)| *at < until) {
            take(*at, entry);
        }
        from = next;
    }
    Ok(())
}

/// The head of the ledger when it had this size.
///
/// # Errors
/// `INVALID_FIELD` for a size that it never had; when entries cannot be read.
pub fn head_at(store: &Store, blocks: &Blocks, size: u64) -> Result<LedgerHead, AppError> {
    let now = head(store);
    if size == 0 || size == now.size {
        return Ok(now);
    }
    if size > now.size {
        return Err(Refusal::new(Reason::InvalidField).field("size").into());
    }
    Ok(LedgerHead { size, root: blocks.root(store, 0..size)? })
}

/// A proof (RFC 9162, 2.1.4) from the first `old` entries to `new`; 0 for the present size. Gives the head it leads to.
///
/// # Errors
/// `INVALID_FIELD` for sizes that the ledger never had; when entries cannot be read.
pub fn consistency(
    store: &Store,
    blocks: &Blocks,
    (old, new): (u64, u64),
) -> Result<(LedgerHead, Vec<Digest>), AppError> {
    let to = head_at(store, blocks, new)?;
    let ranges = tree::consistency_ranges(old, to.size)
        .ok_or_else(|| AppError::from(Refusal::new(Reason::InvalidField).field("old_size")))?;
    let proof =
        ranges.into_iter().map(|range| blocks.root(store, range)).collect::<Result<_, _>>()?;
    Ok((to, proof))
}

/// A proof (RFC 9162, 2.1.3) that an entry is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The entry.
    pub entry: LedgerEntry,
    /// Its index, from 0.
    pub index: u64,
    /// The head that it is proven under.
    pub head: LedgerHead,
    /// The path, from the leaf up.
    pub path: Vec<Digest>,
}

/// Proofs under a head for all entries about a message; there are several when it was sealed anew.
///
/// # Errors
/// `NOT_FOUND` when there is none; when entries cannot be read.
pub fn inclusion(
    store: &Store,
    head: LedgerHead,
    id: MessageId,
) -> Result<Vec<Inclusion>, AppError> {
    let mut found = Vec::new();
    read(store, 0, head.size, |index, bytes| {
        let entry = LedgerEntry::from_canonical(bytes).filter(|entry| entry.message_id == id);
        found.extend(entry.map(|entry| (index, entry)));
    })?;
    if found.is_empty() {
        return Err(Reason::NotFound.into());
    }
    let blocks = Blocks::default();
    let proven = found.into_iter().map(|(index, entry)| {
        let ranges = tree::inclusion_ranges(head.size, index).ok_or(UNREADABLE)?;
        let path = ranges.into_iter().map(|range| blocks.root(store, range));
        Ok(Inclusion { entry, index, head, path: path.collect::<Result<_, AppError>>()? })
    });
    proven.collect()
}

/// A head in a receipt, or in a card, that a peer has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadSigned {
    /// The head.
    pub seen: SeenHead,
    /// Whether it stands in a card.
    pub in_card: bool,
    /// The manifest of the receipt, or the card, and the signature.
    pub signed: Signed,
    /// The certificates of the signature, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
}

/// What two signed heads of a peer show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// It was set back: no proof joins them, and the later one is the shorter.
    RolledBack,
    /// It was rewritten: two of one size, or no proof joins them.
    Rewritten,
    /// Nothing yet: it has still to show that one continues the other.
    Owes,
}

/// Two signed heads of a peer that are not, or not yet, known to be of one history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwoHeads {
    /// What was signed first.
    pub before: HeadSigned,
    /// What was signed later.
    pub after: HeadSigned,
    /// What they show.
    pub shows: Shows,
}

/// Looks through all receipts of a peer for two signed heads that cannot be of one history: two of one size, or two of which
/// it could not prove that one continues the other. The newest such pair. That a shorter one bears a later time is no proof:
/// such a pair is told as one of which it has still to show that they are of one history.
///
/// # Errors
/// When rows cannot be read.
pub fn two_heads(
    store: &Store,
    peer: AreaCode,
    now: UnixMillis,
) -> Result<Option<TwoHeads>, AppError> {
    let side = side_key(Side::Sent, peer);
    let mut receipts: Vec<Heard> = Vec::new();
    let mut after = None;
    loop {
        let rows = store.scan_under(&RECEIPT, &(side,), after.as_ref(), ENTRIES_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(*last);
        for (_, signed) in rows {
            if let Ok(manifest) = decode_receipt_manifest(&signed.manifest.0) {
                let seen = SeenHead { head: manifest.ledger_head, signed: manifest.signed };
                receipts.push((seen, Source::Receipt(manifest.signer, signed)));
            }
        }
    }
    let key = peer_key(peer);
    for (_, row) in store.scan(&HEAD_CARD, (key, 0)..=(key, u64::MAX), ENTRIES_AT_ONCE)? {
        let card = decode_card(&row.card.manifest.0).ok().and_then(|card| card.ledger_head);
        receipts.extend(card.map(|seen| (seen, Source::Card(row))));
    }
    receipts.sort_by_key(|(seen, _)| (seen.signed, seen.head.size));
    let told = |before: &Heard, after: &Heard, shows| {
        let of = |(seen, source): &Heard| source.signed(store, *seen);
        Ok(Some(TwoHeads { before: of(before)?, after: of(after)?, shows }))
    };
    let mut known: BTreeMap<u64, &Heard> = BTreeMap::new();
    let mut rewritten = None;
    for heard in &receipts {
        let before = known.insert(heard.0.head.size, heard);
        if let Some(before) = before.filter(|before| before.0.head != heard.0.head) {
            rewritten = Some((before, heard));
        }
    }
    if let Some((before, after)) = rewritten {
        return told(before, after, Shows::Rewritten);
    }
    // A history that was set back, or rewritten and has grown since, shows only where it cannot prove that it grew.
    let of = |head: SeenHead| receipts.iter().find(|(seen, _)| seen.head == head.head);
    let (pair, shows) = match growth::broken(store, peer)? {
        Some((before, after)) if before.compare(&after) == HeadChange::RolledBack => {
            (Some((before, after)), Shows::RolledBack)
        }
        Some(pair) => (Some(pair), Shows::Rewritten),
        None => (growth::owed(store, peer, now)?, Shows::Owes),
    };
    match pair.and_then(|(before, after)| of(before).zip(of(after))) {
        Some((before, after)) => told(before, after, shows),
        None => Ok(None),
    }
}

/// A head, and where it stands.
type Heard = (SeenHead, Source);

/// Where a signed head stands.
enum Source {
    /// In a receipt, by this certificate.
    Receipt(Digest, Signed),
    /// In a card.
    Card(CardRow),
}

impl Source {
    fn signed(&self, store: &Store, seen: SeenHead) -> Result<HeadSigned, AppError> {
        Ok(match self {
            Self::Receipt(signer, signed) => {
                let chain = chain_of(store, *signer)?;
                HeadSigned { seen, in_card: false, signed: signed.clone(), chain }
            }
            Self::Card(row) => {
                let chain = row.chain.iter().map(|certificate| certificate.0.clone()).collect();
                HeadSigned { seen, in_card: true, signed: row.card.clone(), chain }
            }
        })
    }
}

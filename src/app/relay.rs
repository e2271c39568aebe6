//! Carrying parcels for others: taken in with one unit, handed on with another, and words sent back.
//!
//! Nothing here can be opened by this node. What is promised, that the parcel is held, is on disk before the
//! word is signed; what is let go, its content, is let go in the unit that writes who has it now.

pub mod age;
mod held;
mod words;

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::custody::CustodyReceipt;
use exchange::digest::Digest;
use exchange::envelope::SealedEnvelope;
use exchange::parcel::{Parcel, ParcelId};
use exchange::receipt::Receipt;
use store::messages::{Blob, ChainRow, Signed, peer_key};
use store::tables::{ARRIVAL, CHAIN, CUSTODY, TRANSIT, TRANSIT_MAIL, TRANSIT_QUEUE};
use store::transit::{CustodyRow, ReturnKind, TransitQueueKey, TransitRow, TransitState, Word};
use store::{Store, Unit};

use crate::app::AppError;
use crate::app::messages::receive::keep_chain;
use crate::app::messages::{envelope_of, journal_entry};

pub use held::{HeldHere, held_of};
pub use words::{ToReturn, neighbours_with_words, put_return, returned, words_for};

/// Rows that are looked at in one go.
const ROWS_AT_ONCE: usize = 256;

/// A word as it came, with the signer's chain.
#[derive(Clone, Debug)]
pub struct SignedWord {
    /// Manifest and signature.
    pub word: Word,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
}

impl SignedWord {
    /// Of its parts.
    #[must_use]
    pub fn new(manifest: &[u8], signature: &[u8], signer: Digest, chain: &[Vec<u8>]) -> Self {
        let signed =
            Signed { manifest: Blob(manifest.to_vec()), signature: Blob(signature.to_vec()) };
        Self { word: Word { signed, signer }, chain: chain.to_vec() }
    }

    /// Of a relay's word that `signer` signed.
    #[must_use]
    pub fn of_custody(word: &CustodyReceipt, signer: Digest) -> Self {
        Self::new(&word.manifest_bytes, &word.signature, signer, &word.chain)
    }

    /// As a relay's word travels.
    #[must_use]
    pub fn custody(self) -> CustodyReceipt {
        let Signed { manifest, signature } = self.word.signed;
        CustodyReceipt {
            manifest_bytes: Bytes::from(manifest.0),
            signature: Bytes::from(signature.0),
            chain: self.chain,
        }
    }

    /// Keeps the chain, once.
    ///
    /// # Errors
    /// When rows cannot be read or written.
    pub fn keep_chain(&self, unit: &mut Unit<'_>) -> Result<(), AppError> {
        keep_chain(unit, self.word.signer, &self.chain)
    }
}

/// A parcel for others that was checked in every respect.
#[derive(Debug)]
pub struct Handed {
    /// Its name.
    pub parcel_id: ParcelId,
    /// Its sender.
    pub from: AreaCode,
    /// Its recipient.
    pub to: AreaCode,
    /// Who handed it over.
    pub handed_by: AreaCode,
    /// To whom it goes next.
    pub next: AreaCode,
    /// The sender's signature.
    pub parcel: SignedWord,
    /// Root in its manifest.
    pub root: Digest,
    /// Its envelopes.
    pub envelopes: Vec<SealedEnvelope>,
    /// Words of the relays before us, in order.
    pub words: Vec<SignedWord>,
    /// By when it should be there.
    pub deadline: UnixMillis,
}

impl Handed {
    /// Bytes of its envelopes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = self.envelopes.iter().map(|e| e.wire_bytes()).sum::<usize>();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// What came of taking a parcel in.
#[derive(Debug)]
pub enum Taken {
    /// It is held from now on.
    New,
    /// It is, or was, here already.
    Known(Box<TransitRow>),
}

/// Takes a parcel in. To be run as one unit of the store; the word is signed afterwards.
///
/// # Errors
/// When rows cannot be read or written.
pub fn take_in(unit: &mut Unit<'_>, handed: &Handed, now: UnixMillis) -> Result<Taken, AppError> {
    let key = *handed.parcel_id.as_bytes();
    if let Some(row) = unit.get(&TRANSIT, &key)? {
        return Ok(Taken::Known(Box::new(row)));
    }
    let arrival = next_arrival(unit)?;
    for envelope in &handed.envelopes {
        unit.append(&TRANSIT_MAIL, &key, &journal_entry(envelope))?;
    }
    let row = TransitRow {
        from: handed.from,
        to: handed.to,
        handed_by: handed.handed_by,
        next: handed.next,
        parcel: handed.parcel.word.clone(),
        root: handed.root,
        count: u32::try_from(handed.envelopes.len()).unwrap_or(u32::MAX),
        bytes: handed.bytes(),
        received: now,
        deadline: handed.deadline,
        arrival,
        state: TransitState::Waiting,
        words: handed.words.iter().map(|signed| signed.word.clone()).collect(),
        own_word: None,
    };
    unit.put(&TRANSIT, &key, &row)?;
    unit.put(&TRANSIT_QUEUE, &queue_key(&row), &key)?;
    handed.parcel.keep_chain(unit)?;
    handed.words.iter().try_for_each(|word| word.keep_chain(unit))?;
    Ok(Taken::New)
}

/// Keeps our own word about a parcel, so that it is repeated and not given twice.
///
/// # Errors
/// When rows cannot be read or written.
pub fn keep_own_word(
    unit: &mut Unit<'_>,
    parcel: ParcelId,
    word: &SignedWord,
) -> Result<(), AppError> {
    let key = *parcel.as_bytes();
    let Some(mut row) = unit.get(&TRANSIT, &key)? else { return Ok(()) };
    if row.own_word.is_none() {
        row.own_word = Some(word.word.clone());
        unit.put(&TRANSIT, &key, &row)?;
        word.keep_chain(unit)?;
    }
    Ok(())
}

/// What the next hop, or the recipient by another way, has said about a parcel in transit.
#[derive(Clone, Debug)]
pub enum Said {
    /// The recipient has answered.
    Receipt(Box<ReturnedReceipt>),
    /// The next hop holds it.
    Held(SignedWord),
    /// A relay further on has said something about it.
    Further(SignedWord),
    /// It can go no further; the word says why, when there is one.
    Refused(Reason, Option<SignedWord>),
}

impl Said {
    /// The word that goes back, whose it is, and its dispositions.
    fn word(&self) -> Option<(ReturnKind, &SignedWord, &[Bytes])> {
        match self {
            Self::Receipt(said) => Some((ReturnKind::Receipt, &said.word, &said.dispositions)),
            Self::Held(word) | Self::Further(word) | Self::Refused(_, Some(word)) => {
                Some((ReturnKind::Custody, word, &[]))
            }
            Self::Refused(_, None) => None,
        }
    }
}

/// A recipient's answer on its way back.
#[derive(Clone, Debug)]
pub struct ReturnedReceipt {
    /// The receipt's signature.
    pub word: SignedWord,
    /// Its dispositions, serialised.
    pub dispositions: Vec<Bytes>,
}

impl ReturnedReceipt {
    /// Of a receipt that `signer` signed.
    #[must_use]
    pub fn of(receipt: &Receipt, signer: Digest) -> Self {
        let word =
            SignedWord::new(&receipt.manifest_bytes, &receipt.signature, signer, &receipt.chain);
        Self { word, dispositions: receipt.dispositions.clone() }
    }
}

/// What changed by what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// There is a word to hand back to this neighbour.
    pub hand_back_to: Option<AreaCode>,
    /// The content was let go: who sent it, and how many bytes.
    pub let_go: Option<(AreaCode, u64)>,
}

/// Writes what was said about a parcel in transit: with what it changes here, and the word that goes back. To be
/// run as one unit of the store. A word about a parcel that is not known here, or that says nothing new,
/// changes nothing.
///
/// # Errors
/// When rows cannot be read or written.
pub fn note(
    unit: &mut Unit<'_>,
    parcel: ParcelId,
    said: &Said,
    now: UnixMillis,
) -> Result<Change, AppError> {
    let key = *parcel.as_bytes();
    let Some(mut row) = unit.get(&TRANSIT, &key)? else { return Ok(Change::default()) };
    let was_held = row.state.is_held();
    let state = match said {
        Said::Receipt(_) => TransitState::Answered { at: now },
        Said::Held(_) => TransitState::HandedOn { at: now },
        Said::Further(_) => row.state,
        Said::Refused(reason, _) => TransitState::GivenUp { at: now, reason: *reason },
    };
    let news = match (said, row.state) {
        (Said::Receipt(_), state) => !matches!(state, TransitState::Answered { .. }),
        // Whoever is not next in line cannot make us let go of what we hold.
        (Said::Further(_), state) => matches!(state, TransitState::HandedOn { .. }),
        (Said::Held(_) | Said::Refused(..), _) => was_held,
    };
    if !news {
        return Ok(Change::default());
    }
    row.state = state;
    unit.put(&TRANSIT, &key, &row)?;
    let mut change = Change::default();
    if was_held && !row.state.is_held() {
        unit.delete(&TRANSIT_QUEUE, &queue_key(&row));
        unit.remove_journal(&TRANSIT_MAIL, &key)?;
        change.let_go = Some((row.from, row.bytes));
    }
    let Some((kind, word, dispositions)) = said.word() else { return Ok(change) };
    if kind == ReturnKind::Custody {
        keep_custody(unit, parcel, word, now)?;
    }
    let (toward, addressee) = (row.handed_by, row.from);
    let to_return = ToReturn { toward, addressee, parcel, kind, word, dispositions };
    put_return(unit, &to_return, now)?;
    change.hand_back_to = Some(toward);
    Ok(change)
}

/// Puts a word about a parcel that went another way into the queue toward the node that it is for. To be run as one unit
/// of the store.
///
/// # Errors
/// When rows cannot be read or written.
pub fn pass_on(
    unit: &mut Unit<'_>,
    addressee: AreaCode,
    parcel: ParcelId,
    said: &Said,
    now: UnixMillis,
) -> Result<(), AppError> {
    let Some((kind, word, dispositions)) = said.word() else { return Ok(()) };
    let toward = addressee;
    let to_return = ToReturn { toward, addressee, parcel, kind, word, dispositions };
    put_return(unit, &to_return, now)
}

/// Keeps the word of a relay further on under the next free hop; the same word is kept once.
///
/// # Errors
/// When rows cannot be read or written.
pub fn keep_custody(
    unit: &mut Unit<'_>,
    parcel: ParcelId,
    word: &SignedWord,
    now: UnixMillis,
) -> Result<(), AppError> {
    let known = unit.scan_under(&CUSTODY, &(*parcel.as_bytes(),), None, ROWS_AT_ONCE)?;
    if known.iter().any(|(_, row)| row.word.signed.manifest == word.word.signed.manifest) {
        return Ok(());
    }
    let manifest = wire::decode_custody_manifest(&word.word.signed.manifest.0);
    let relay = manifest.map_err(|_| AppError::Internal("a checked word cannot be read"))?.relay;
    let hop = known.last().map_or(0, |((_, hop), _)| hop.saturating_add(1));
    let row = CustodyRow { relay, word: word.word.clone(), received: now };
    unit.put(&CUSTODY, &(*parcel.as_bytes(), hop), &row)?;
    word.keep_chain(unit)
}

/// A parcel that waits for its next hop, with its words: ready to travel, but for our own word if that is missing.
#[derive(Debug)]
pub struct Waiting {
    /// Its name.
    pub parcel_id: ParcelId,
    /// What is known of it.
    pub row: TransitRow,
    /// As it travels: with its envelopes, the sender's chain, and the words there are.
    pub parcel: Parcel,
}

/// The most urgent parcel toward a next hop that `skip` does not name.
///
/// # Errors
/// When rows cannot be read.
pub fn most_urgent(
    store: &Store,
    next: AreaCode,
    skip: &[ParcelId],
) -> Result<Option<Waiting>, AppError> {
    let head = (peer_key(next),);
    let mut after: Option<TransitQueueKey> = None;
    loop {
        let rows = store.scan_under(&TRANSIT_QUEUE, &head, after.as_ref(), ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { return Ok(None) };
        after = Some(*last);
        for (_, key) in rows {
            let parcel_id = ParcelId::from_bytes(key);
            if skip.contains(&parcel_id) {
                continue;
            }
            let Some(row) = store.get(&TRANSIT, &key)? else { continue };
            if let Some(waiting) = load(store, parcel_id, row)? {
                return Ok(Some(waiting));
            }
        }
    }
}

/// `None` when it is just being written: rows can be seen before the journals that belong to them.
fn load(store: &Store, parcel_id: ParcelId, row: TransitRow) -> Result<Option<Waiting>, AppError> {
    let count = usize::try_from(row.count).unwrap_or(usize::MAX);
    let entries = store.read_from(&TRANSIT_MAIL, parcel_id.as_bytes(), 1, count, usize::MAX)?;
    if entries.len() != count {
        return Ok(None);
    }
    let envelopes = entries.into_iter().map(|(_, entry)| envelope_of(entry));
    let envelopes = envelopes
        .collect::<Option<Vec<_>>>()
        .ok_or(AppError::Internal("not an envelope in transit"))?;
    let words = row.words.iter().chain(&row.own_word).map(|word| {
        let chain = chain_of(store, word.signer)?;
        Ok(SignedWord { word: word.clone(), chain }.custody())
    });
    let custody = words.collect::<Result<Vec<_>, AppError>>()?;
    let parcel = Parcel {
        manifest_bytes: Bytes::from(row.parcel.signed.manifest.0.clone()),
        signature: Bytes::from(row.parcel.signed.signature.0.clone()),
        envelopes,
        chain: chain_of(store, row.parcel.signer)?,
        custody,
    };
    Ok(Some(Waiting { parcel_id, row, parcel }))
}

/// How many parcels wait for a next hop.
///
/// # Errors
/// When rows cannot be read.
pub fn count_waiting(store: &Store, next: AreaCode) -> Result<u64, AppError> {
    let (head, mut count) = ((peer_key(next),), 0_u64);
    let mut after: Option<TransitQueueKey> = None;
    loop {
        let rows = store.scan_under(&TRANSIT_QUEUE, &head, after.as_ref(), ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { return Ok(count) };
        after = Some(*last);
        count += u64::try_from(rows.len()).unwrap_or_default();
    }
}

/// What a relay finds on its disk when it starts.
#[derive(Debug, Default)]
pub struct Found {
    /// Parcels that wait, by next hop.
    pub waiting: BTreeMap<AreaCode, u64>,
    /// Bytes of content held, by sender.
    pub bytes: BTreeMap<AreaCode, u64>,
}

/// Looks through what is in transit. Takes time in proportion to it.
///
/// # Errors
/// When rows cannot be read.
pub fn find(store: &Store) -> Result<Found, AppError> {
    let mut found = Found::default();
    let mut after: Option<TransitQueueKey> = None;
    loop {
        let rows = store.scan_under(&TRANSIT_QUEUE, &(), after.as_ref(), ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(*last);
        for (_, key) in rows {
            let Some(row) = store.get(&TRANSIT, &key)? else { continue };
            *found.waiting.entry(row.next).or_default() += 1;
            *found.bytes.entry(row.from).or_default() += row.bytes;
        }
    }
    Ok(found)
}

/// The chain that was kept of a signer.
///
/// # Errors
/// When it was not, or cannot be read.
pub fn chain_of(store: &Store, signer: Digest) -> Result<Vec<Vec<u8>>, AppError> {
    let row: Option<ChainRow> = store.get(&CHAIN, &signer.into_bytes())?;
    let row = row.ok_or(AppError::Internal("the chain of a signer is missing"))?;
    Ok(row.certificates.into_iter().map(|certificate| certificate.0).collect())
}

fn next_arrival(unit: &mut Unit<'_>) -> Result<u64, AppError> {
    let arrival = unit.get(&ARRIVAL, &())?.unwrap_or_default().saturating_add(1);
    unit.put(&ARRIVAL, &(), &arrival)?;
    Ok(arrival)
}

fn queue_key(row: &TransitRow) -> TransitQueueKey {
    (peer_key(row.next), row.deadline.get(), row.arrival)
}

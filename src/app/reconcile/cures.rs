//! Cures: what the county that holds a message does so that the other one has it as well.
//!
//! Each is safe to do at any time and any number of times, by both sides at once: what is there already is left as it is.

mod taken;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::{Content, Kind};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::envelope::{pad, unpad};
use exchange::keys::{Opener, Sealer, Signer};
use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::receipt::Receipt;
use exchange::reconcile::calls::{HandedBack, ReceiptAgain, SealedFor, take_back_data};
use exchange::reconcile::cure::{Again, again, expires_again};
use store::messages::{
    Blob, EnvelopeKey, MessageRow, ParcelKey, ParcelRow, Side, Signed, message_key, peer_key,
};
use store::reconcile::RefusedRow;
use store::tables::{
    CHAIN, DELIVERED_AGAIN, LANE_EPOCH, LANE_OUT, MESSAGE, PARCEL, RECEIPT, REFUSED, WITHDRAWN,
};
use store::{Kept, Store, Unit};
use trust::refused::Refused;
use trust::verify::{ChainVerifier, Purpose};
use wire::content::decode_content;
use wire::{decode_disposition, decode_header, decode_manifest, decode_receipt_manifest};

pub use taken::{Back, Checked, keep_receipt, take_back, take_word};

use crate::app::agreements::rule;
use crate::app::consents::spread;
use crate::app::messages::heal::{put_again, sent};
use crate::app::messages::track::{Word, last_word};
use crate::app::messages::{kept_envelope, receipt};
use crate::app::{AppError, at_risk, letters};

/// The epoch under which envelopes lie that a recipient has handed back: those of a lane that is no more. No lane that is
/// opened gets it.
pub const RETURNED_EPOCH: LaneEpoch = LaneEpoch::new(0);

const UNREADABLE: AppError = AppError::Internal("a kept proof cannot be read");

/// What delivering again has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivering {
    /// It is on its way: nudge its courier, and tell it these marks.
    OnItsWay {
        /// Epoch of its lane.
        epoch: LaneEpoch,
        /// Its place.
        sequence: LaneSeq,
        /// What holds it up ends now.
        mark: Option<Mark>,
    },
    /// It was answered: its recipient has refused it, and a refusal stays one, or has it. Nothing is delivered.
    Answered,
    /// It cannot be: it is not here, or its person was erased.
    Lost,
}

/// Sees to it that a message of ours is delivered: what waits is offered now, what was settled and is not there any more is
/// sealed anew and goes into the present lane under its own id. `sealer` seals for `to`: what is for anybody else is lost to
/// whoever asks so. What its recipient has (`is_there`) is not sealed anew.
///
/// # Errors
/// When rows cannot be read or written.
pub fn deliver_again(
    unit: &mut Unit<'_>,
    (own, to): (AreaCode, AreaCode),
    (id, is_there): (MessageId, bool),
    sealer: &dyn Sealer,
    new_epoch: LaneEpoch,
    now: UnixMillis,
) -> Result<Delivering, AppError> {
    let found = sent(unit, id)?.filter(|row| row.peer == to);
    let Some(row) = found else { return Ok(Delivering::Lost) };
    let lane = EnvelopeKey::of(Side::Sent, row.peer, row.epoch).key();
    let lane = unit.get(&LANE_OUT, &lane)?.map(|kept| kept.lane);
    let was_refused = unit.contains(&REFUSED, &(*id.as_bytes(), peer_key(row.peer)))?;
    match again(lane.as_ref(), row.sequence, (was_refused, is_there), now) {
        Again::Waits(mark) => {
            let (epoch, sequence) = (row.epoch, row.sequence);
            return Ok(Delivering::OnItsWay { epoch, sequence, mark });
        }
        Again::Refused | Again::Answered => return Ok(Delivering::Answered),
        Again::Anew => {}
    }
    let (side, epoch) = EnvelopeKey::of(Side::Sent, row.peer, row.epoch).key();
    if !may_still_go(unit, id, (own, row.peer), &row, now)? {
        return Ok(Delivering::Lost);
    }
    let withdrawn = unit.get(&WITHDRAWN, &(side, epoch, row.sequence.get()))?;
    let key = peer_key(row.peer);
    let epoch = match unit.get(&LANE_EPOCH, &key)? {
        Some(epoch) => LaneEpoch::new(epoch),
        None => {
            unit.put(&LANE_EPOCH, &key, &new_epoch.get())?;
            new_epoch
        }
    };
    let expires = expires_again(row.expires, now);
    let row = MessageRow { expires, ..row };
    let sequence = put_again(unit, id, &row, (epoch, sealer), own)?;
    unit.put(&DELIVERED_AGAIN, id.as_bytes(), &())?;
    if let Some(before) = withdrawn
        && let Some(row) = sent(unit, id)?
    {
        // Its body stays here: the recipient learns that it was withdrawn, and both say so from then on.
        letters::withdraw(unit, id, &row, before.why, before.at)?;
    }
    Ok(Delivering::OnItsWay { epoch, sequence, mark: None })
}

/// Whether a message that arrived once may be told again: not when its consent was withdrawn since, not when its content
/// was deleted, not what is not agreed any more, and not where somebody lives who is at risk by now.
fn may_still_go(
    unit: &Unit<'_>,
    id: MessageId,
    (own, to): (AreaCode, AreaCode),
    row: &MessageRow,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let Ok(content) = decode_content(&row.content.0) else { return Ok(false) };
    if spread::ended(unit, &content, own, to)?.is_some()
        || at_risk::names_hidden(unit, id, to, now)?
    {
        return Ok(false);
    }
    let agreed = rule::with_peer(unit, (own, to), now.date())?;
    let is_agreed = matches!(rule::narrowed(unit, &agreed, &content, now)?, Ok(None));
    Ok(is_agreed && at_risk::told(unit, &content, (own, to), now)?.is_none())
}

/// Whether a message is one of ours that we know of.
///
/// # Errors
/// When rows cannot be read.
pub fn is_ours(store: &Store, id: MessageId) -> Result<bool, AppError> {
    Ok(kept(store, id, Side::Sent)?.is_some())
}

/// A message that was received here.
fn received(store: &Store, id: MessageId, from: AreaCode) -> Result<Option<MessageRow>, AppError> {
    Ok(kept(store, id, Side::Received)?.filter(|row| row.peer == from))
}

/// The receipt of a message that `sender` has sent us, with the parcel that it answers.
///
/// # Errors
/// `NOT_FOUND` when no such message is here; when rows cannot be read or the node does not sign.
pub fn issue_again(
    store: &Store,
    signing: Signing<'_>,
    sender: AreaCode,
    id: MessageId,
    now: UnixMillis,
) -> Result<ReceiptAgain, AppError> {
    let (key, row) = word_about(store, id, sender)?.ok_or(Reason::NotFound)?;
    proof(store, signing, (&key, &row), now)
}

/// The parcel with our last word about a message that `sender` has sent us: stored, or refused.
fn word_about(
    store: &Store,
    id: MessageId,
    sender: AreaCode,
) -> Result<Option<(ParcelKey, ParcelRow)>, AppError> {
    let stored = match received(store, id, sender)? {
        Some(row) => last_word(store, &row, Side::Received)?,
        None => None,
    };
    match stored {
        Some(Word { key, row, .. }) => Ok(Some((key, row))),
        None => refusal(store, id, sender),
    }
}

/// The parcel with the refusal of a message between us and `peer`.
fn refusal(
    store: &Store,
    id: MessageId,
    peer: AreaCode,
) -> Result<Option<(ParcelKey, ParcelRow)>, AppError> {
    let refused = store.get(&REFUSED, &(*id.as_bytes(), peer_key(peer)))?;
    let Some(RefusedRow { parcel: key }) = refused else { return Ok(None) };
    Ok(store.get(&PARCEL, &key)?.map(|row| (key, row)))
}

/// The signed refusal of a message between us and `peer`, whichever of us has sent it. `None` when it is not here.
///
/// # Errors
/// When rows cannot be read or the node does not sign.
pub fn show(
    store: &Store,
    signing: Signing<'_>,
    peer: AreaCode,
    id: MessageId,
    now: UnixMillis,
) -> Result<Option<ReceiptAgain>, AppError> {
    let word = refusal(store, id, peer)?;
    word.map(|(key, row)| proof(store, signing, (&key, &row), now)).transpose()
}

/// What a receipt is signed with, and by what it is seen whether one of before still holds.
#[derive(Clone, Copy)]
pub struct Signing<'a> {
    /// Our area.
    pub own: AreaCode,
    /// Our present key.
    pub signer: &'a dyn Signer,
    /// Roots and revocation lists as they are now.
    pub chains: &'a ChainVerifier,
}

impl std::fmt::Debug for Signing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signing").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Signing<'_> {
    /// Whether nobody takes any more what this chain has signed at that time: its certificate was revoked, or its root
    /// replaced.
    fn has_gone(&self, chain: &[Vec<u8>], signed: UnixMillis, now: UnixMillis) -> bool {
        let refused = match self.chains.verify(chain, Purpose::Node, now) {
            Err(Refused::Expired) => self.chains.verify_as_of(chain, signed, Vec::new()).err(),
            checked => checked.err(),
        };
        matches!(refused, Some(Refused::Revoked | Refused::WrongAuthority))
    }
}

/// A receipt with the parcel that it answers. The one that is kept, unless its certificate has gone: then the same is said
/// under the present one.
fn proof(
    store: &Store,
    signing: Signing<'_>,
    (key, row): (&ParcelKey, &ParcelRow),
    now: UnixMillis,
) -> Result<ReceiptAgain, AppError> {
    let parcel = decode_manifest(&row.parcel.manifest.0).map_err(|_| UNREADABLE)?;
    let kept = match store.get(&RECEIPT, key)? {
        Some(signed) => {
            let manifest = decode_receipt_manifest(&signed.manifest.0).map_err(|_| UNREADABLE)?;
            let chain = chain(store, &manifest.signer.into_bytes())?;
            // What another has signed, nobody else can sign anew.
            let must_be_anew =
                manifest.from == signing.own && signing.has_gone(&chain, manifest.signed, now);
            Some((signed, chain)).filter(|_| !must_be_anew)
        }
        None => None,
    };
    let (signed, chain) = match kept {
        Some(kept) => kept,
        None => {
            let said = row.dispositions.iter().map(|said| said.0.as_slice());
            let signed = receipt::issue(store, signing.signer, signing.own, &parcel, said, now)?;
            (signed, signing.signer.chain_der().to_vec())
        }
    };
    let Signed { manifest, signature } = signed;
    let dispositions = row.dispositions.iter().map(|said| Bytes::from(said.0.clone()));
    Ok(ReceiptAgain {
        epoch: LaneEpoch::new(key.1),
        sequences: row.sequences.iter().map(|at| LaneSeq::new(*at)).collect(),
        parcel_manifest: Bytes::from(row.parcel.manifest.0.clone()),
        parcel_signature: Bytes::from(row.parcel.signature.0.clone()),
        parcel_chain: self::chain(store, &parcel.signer.into_bytes())?,
        receipt: Receipt {
            manifest_bytes: Bytes::from(manifest.0),
            signature: Bytes::from(signature.0),
            dispositions: dispositions.collect(),
            chain,
        },
    })
}

fn chain(store: &Store, signer: &[u8; 32]) -> Result<Vec<Vec<u8>>, AppError> {
    let row = store.get(&CHAIN, signer)?.ok_or(UNREADABLE)?;
    Ok(row.certificates.into_iter().map(|Blob(certificate)| certificate).collect())
}

/// The message that one answers which was received here, or sent from here: that has to be at the other side first, if it is
/// to be there again.
///
/// # Errors
/// When rows cannot be read.
pub fn asked_by(
    store: &Store,
    id: MessageId,
    peer: AreaCode,
    side: Side,
) -> Result<Option<MessageId>, AppError> {
    Ok(kept(store, id, side)?.filter(|row| row.peer == peer).and_then(|row| row.in_reply_to))
}

fn kept(store: &Store, id: MessageId, side: Side) -> Result<Option<MessageRow>, AppError> {
    Ok(store.get_personal(&MESSAGE, &message_key(id, side))?.and_then(Kept::value))
}

/// What a recipient seals and opens with.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// Signs receipts.
    pub signing: Signing<'a>,
    /// Seals for the sender.
    pub sealer: &'a dyn Sealer,
    /// Opens what was sealed for us.
    pub opener: &'a dyn Opener,
}

impl std::fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// A message that was received here, for its sender, which has lost it: envelope, proof, and what opens the envelope,
/// sealed for it; without a body where the content was deleted here. `None` when it is not here, its person was erased, or
/// its key is.
///
/// # Errors
/// When rows cannot be read or nothing can be sealed.
pub fn hand_back(
    store: &Store,
    Keys { signing, sealer, opener }: Keys<'_>,
    sender: AreaCode,
    (id, question_follows): (MessageId, bool),
    now: UnixMillis,
) -> Result<Option<HandedBack>, AppError> {
    let Some(row) = received(store, id, sender)? else { return Ok(None) };
    let Some(word) = last_word(store, &row, Side::Received)? else { return Ok(None) };
    let envelope = kept_envelope(store, &row, Side::Received)?;
    let proof = proof(store, signing, (&word.key, &word.row), now)?;
    let Some(_) = envelope.sealed().filter(|_| !row.is_deleted()) else {
        let (envelope, secret) = (envelope.without_body(), None);
        return Ok(Some(HandedBack { envelope, proof, secret, question_follows }));
    };
    let header = decode_header(&envelope.header_bytes).map_err(|_| UNREADABLE)?;
    let Ok(secret) = opener.reveal(&header.seal) else { return Ok(None) };
    let cannot = |_| AppError::Signing("nothing can be sealed for this peer".to_owned());
    let seal = sealer.next_seal().map_err(cannot)?;
    let padded = pad(&secret).map_err(|_| AppError::Internal("a secret is too large"))?;
    let data = take_back_data(&envelope.header_bytes);
    let secret = SealedFor {
        encapsulated_key: seal.encapsulated_key,
        recipient_key_id: seal.recipient_key_id,
        counter: seal.counter,
        sealed: Bytes::from(sealer.seal(seal.counter, &data, padded).map_err(cannot)?),
    };
    Ok(Some(HandedBack { envelope, proof, secret: Some(secret), question_follows }))
}

/// The content of an envelope of ours, opened with its secret: its tag proves that this is what we had sealed.
///
/// # Errors
/// `SIGNATURE_INVALID` when it does not open so; `MALFORMED` when nobody can read it.
pub fn open_again(secret: &[u8], header: &[u8], sealed: &[u8]) -> Result<Content, AppError> {
    let padded = trust::seal::open_with(secret, header, sealed);
    let padded = padded.map_err(|_| AppError::from(Reason::SignatureInvalid))?;
    let malformed = || AppError::from(Reason::Malformed);
    let bytes = unpad(&padded).map_err(|_| malformed())?;
    decode_content(bytes).map_err(|_| malformed())
}

/// The kind of a content that may be taken back; what no version knows is kept as it is all the same.
fn kind_number(kind: Kind) -> u8 {
    kind.number()
}

/// Reads the dispositions of a receipt.
fn dispositions(receipt: &Receipt) -> Result<Vec<exchange::receipt::Disposition>, wire::Malformed> {
    receipt.dispositions.iter().map(|bytes| decode_disposition(bytes)).collect()
}

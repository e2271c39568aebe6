//! Where a message is, and whose turn it is: from rows and receipts, without its content.

use std::ops::Bound;
use std::time::Duration;

use domain::area::AreaCode;
use domain::clock::{Counted, counted};
use domain::id::MessageId;
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::lane::{LANE_WINDOW, LaneSeq};
use exchange::receipt::{Disposition, Outcome};
use store::Store;
use store::letters::{DeadLetterRow, DeadReason, DeadState};
use store::messages::{EnvelopeKey, MessageRow, ParcelKey, ParcelRow, Side};
use store::tables::{DEAD_LETTER, PARCEL, REDIRECTED};
use wire::content::decode_content;
use wire::decode_disposition;

use super::consign::{self, Consignment, Hop};
use super::turned_back::Refusal;
use crate::app::{AppError, Ctx};

/// Parcels that are looked at in one go.
const PARCELS_AT_ONCE: usize = 16;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On the sender's disk, waiting for the recipient.
    Queued,
    /// The recipient asked to wait.
    Deferred,
    /// On the recipient's disk.
    Stored,
    /// Opened by an office of the recipient.
    Opened,
    /// Answered.
    Answered,
    /// Refused by the recipient; a person has to look at it.
    Refused,
    /// On the disk of a relay or in a file, on its way to the recipient.
    AtRelay,
    /// It lost its purpose before the recipient had it; a person has to look at it.
    Expired,
    /// The recipient's office has ended its service; a person has to look at it.
    RecipientRetired,
    /// It was sent again, as a new message.
    Replaced,
    /// It was given up, with a reason.
    Discarded,
}

/// Where a message is and whose turn it is.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its id.
    pub id: MessageId,
    /// The message that opened its case.
    pub case: MessageId,
    /// County that sent it.
    pub from: AreaCode,
    /// County it is for.
    pub to: AreaCode,
    /// County it was addressed to, when `to` has taken over from it.
    pub addressed_to: Option<AreaCode>,
    /// Its kind; none when its content was deleted, when this version does not know it, or when the caller is not told
    /// (`Ctx::is_told`).
    pub kind: Option<Kind>,
    /// Where it stands.
    pub stage: Stage,
    /// When the sender accepted it.
    pub created: UnixMillis,
    /// When it loses its purpose.
    pub expires: UnixMillis,
    /// When the recipient stored it, by its own signed word.
    pub stored: Option<UnixMillis>,
    /// When an office of the recipient opened it, as far as this node knows.
    pub opened: Option<UnixMillis>,
    /// When it was answered, and by which message.
    pub answered: Option<(MessageId, UnixMillis)>,
    /// The message it answers.
    pub in_reply_to: Option<MessageId>,
    /// Day by which it is to be answered.
    pub due: Option<Date>,
    /// How its days were counted.
    pub counted: Option<Counted>,
    /// Not offered again before this time, when the recipient asked for it.
    pub retry_at: Option<UnixMillis>,
    /// Why it was refused or put off.
    pub reason: Option<Reason>,
    /// Digest of its envelope.
    pub digest: Digest,
    /// Its place in the lane.
    pub sequence: LaneSeq,
    /// Who carries it, while its recipient has not answered.
    pub carried: Option<Consignment>,
    /// Who did not take it on its way, when it is to take another one.
    pub turned_back: Option<Refusal>,
    /// What the relays said about it, in order.
    pub hops: Vec<Hop>,
    /// The message that it was sent in place of.
    pub replaces: Option<MessageId>,
    /// The message that was sent in its place.
    pub replaced_by: Option<MessageId>,
}

/// The track of a message that is kept here.
///
/// # Errors
/// When rows cannot be read.
pub(crate) fn of(
    ctx: &Ctx,
    store: &Store,
    id: MessageId,
    side: Side,
    row: &MessageRow,
) -> Result<Track, AppError> {
    let (from, to) = super::from_and_to(ctx.county(), row.peer, side);
    let content = decode_content(&row.content.0).ok();
    let basis = content.as_ref().map(|content| content.basis);
    let due = row.due.map(|due| due.saturating_sub(Duration::from_millis(1)).date());
    let mut track = Track {
        id,
        case: row.case,
        from,
        to,
        addressed_to: None,
        kind: row.kind().filter(|kind| !row.is_deleted() && ctx.is_told(*kind, basis)),
        stage: Stage::Stored,
        created: row.created,
        expires: row.expires,
        stored: Some(row.stored),
        opened: row.opened,
        answered: row.answered,
        in_reply_to: row.in_reply_to,
        due,
        counted: due
            .zip(row.kind().filter(|_| !row.is_deleted()))
            .and_then(|(due, kind)| counted(kind, row.created.date(), due)),
        retry_at: None,
        reason: None,
        digest: row.digest,
        sequence: row.sequence,
        carried: None,
        turned_back: None,
        hops: Vec::new(),
        replaces: content.and_then(|content| content.replaces),
        replaced_by: None,
    };
    if side == Side::Sent {
        let redirected = store.get(&REDIRECTED, id.as_bytes())?;
        track.addressed_to = redirected.map(|row| row.addressed_to);
        sent(store, row, &mut track)?;
        if let Some(letter) = store.get(&DEAD_LETTER, id.as_bytes())? {
            dead(&letter, &mut track);
        }
    }
    // Whoever says that it was opened has it, even if the receipt is still on its way.
    let on_its_way = [Stage::Queued, Stage::Deferred, Stage::AtRelay, Stage::Stored];
    if track.opened.is_some() && on_its_way.contains(&track.stage) {
        track.stage = Stage::Opened;
    }
    if track.answered.is_some() {
        track.stage = Stage::Answered;
    }
    Ok(track)
}

/// Adds the relays that a received message came by to its track; those of a sent one are there.
///
/// # Errors
/// When rows cannot be read.
pub(super) fn add_way(
    store: &Store,
    side: Side,
    row: &MessageRow,
    track: &mut Track,
) -> Result<(), AppError> {
    if side == Side::Received
        && let Some(word) = last_word(store, row, side)?
    {
        track.hops = consign::hops(store, word.row.parcel_id)?;
    }
    Ok(())
}

/// What the list of dead letters says about a message that was sent from here.
fn dead(letter: &DeadLetterRow, track: &mut Track) {
    track.stage = match (&letter.state, &letter.why) {
        // The late receipt says where it stands.
        (DeadState::Arrived { .. }, _) => return,
        (DeadState::SentAgain { id, .. }, _) => {
            track.replaced_by = Some(*id);
            Stage::Replaced
        }
        (DeadState::Discarded { .. }, _) => Stage::Discarded,
        (DeadState::Open, DeadReason::Refused { reason, .. }) => {
            track.reason = Some(*reason);
            Stage::Refused
        }
        (DeadState::Open, DeadReason::Expired | DeadReason::Withdrawn) => {
            track.reason = Some(Reason::Expired);
            Stage::Expired
        }
        (DeadState::Open, DeadReason::RecipientRetired) => {
            track.reason = Some(Reason::AreaRetired);
            Stage::RecipientRetired
        }
    };
    (track.carried, track.turned_back) = (None, None);
}

/// What the receipts say about a message that was sent from here.
fn sent(store: &Store, row: &MessageRow, track: &mut Track) -> Result<(), AppError> {
    track.stored = None;
    track.stage = Stage::Queued;
    let lane = super::settle::lane_in_epoch(store, row.peer, row.epoch)?;
    if let Some(until) = lane.deferred().get(&row.sequence) {
        track.stage = Stage::Deferred;
        track.retry_at = Some(*until);
    }
    if lane.rests_until(row.sequence).is_some()
        && let Some((carried, hops)) = consign::consignment_of(store, row)?
    {
        match carried.turned_back {
            Some(refusal) => {
                (track.turned_back, track.reason) = (Some(refusal), Some(refusal.reason));
                (track.stage, track.hops) = (Stage::Queued, hops);
            }
            None if track.stage == Stage::Queued => {
                (track.carried, track.hops) = (Some(carried), hops);
                track.stage = Stage::AtRelay;
            }
            None => {}
        }
    }
    let Some(said) = last_word(store, row, Side::Sent)? else { return Ok(()) };
    // A relay's word that is younger than what the recipient has said.
    let turned_back = track.turned_back.take();
    let since = turned_back.filter(|refusal| refusal.at > said.disposition.decided);
    match said.disposition.outcome {
        Outcome::Stored => {
            track.stage = Stage::Stored;
            track.stored = Some(said.disposition.decided);
            track.hops = consign::hops(store, said.row.parcel_id)?;
        }
        Outcome::Refused { reason, .. } => {
            track.stage = Stage::Refused;
            track.reason = Some(reason);
        }
        Outcome::Deferred { .. } if since.is_some() => track.turned_back = since,
        Outcome::Deferred { reason, .. } => {
            track.reason = Some(reason);
            if track.retry_at.is_some() {
                track.stage = Stage::Deferred;
            }
        }
    }
    Ok(())
}

/// What a kept parcel says about one envelope.
pub(crate) struct Word {
    pub(crate) key: ParcelKey,
    pub(crate) row: ParcelRow,
    pub(super) index: usize,
    pub(crate) disposition: Disposition,
}

/// The final word about a message, or the latest that is not final, from the parcels that are kept.
pub(crate) fn last_word(
    store: &Store,
    message: &MessageRow,
    side: Side,
) -> Result<Option<Word>, AppError> {
    let (side_key, epoch) = EnvelopeKey::of(side, message.peer, message.epoch).key();
    let sequence = message.sequence.get();
    let from = (side_key, epoch, sequence.saturating_sub(LANE_WINDOW), [0; 16]);
    let mut until = Bound::Included((side_key, epoch, sequence, [0xFF; 16]));
    let mut latest: Option<Word> = None;
    loop {
        // The parcel is nearly always among the first few below the sequence.
        let rows = store.scan_back(&PARCEL, (Bound::Included(from), until), PARCELS_AT_ONCE)?;
        let Some((lowest, _)) = rows.last() else { return Ok(latest) };
        until = Bound::Excluded(*lowest);
        for (key, row) in rows {
            let Some(word) = word_in(key, row, message) else { continue };
            if word.disposition.outcome.is_final() {
                return Ok(Some(word));
            }
            if latest.as_ref().is_none_or(|l| l.disposition.decided <= word.disposition.decided) {
                latest = Some(word);
            }
        }
    }
}

fn word_in(key: ParcelKey, row: ParcelRow, message: &MessageRow) -> Option<Word> {
    let index = row.sequences.iter().position(|place| *place == message.sequence.get())?;
    let disposition = decode_disposition(&row.dispositions.get(index)?.0).ok()?;
    (disposition.digest == message.digest).then_some(Word { key, row, index, disposition })
}

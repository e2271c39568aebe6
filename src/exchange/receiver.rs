//! The receiving end: what to answer about one envelope, and what to remember.
//!
//! ```text
//! admission        original known      answer                     remembered
//! Fresh, CheckId   no                  verdict, or EXPIRED        message / refusal / nothing
//! Fresh, CheckId   no, withdrawn       WITHDRAWN, or EXPIRED      the refusal
//! Fresh, CheckId   same content        the original outcome       that the sequence is used
//! Fresh, CheckId   other content       CONFLICT                   the refusal; the original stays
//! Seen             same content        the original outcome       nothing
//! Seen             other content       CONFLICT                   nothing; the original stays
//! Seen             no (our own fault)  deferred INTERNAL          nothing
//! TooFarAhead      –                   deferred WINDOW_EXCEEDED   nothing
//! OtherEpoch       –                   deferred EPOCH_UNKNOWN     nothing
//! ```
//!
//! A withdrawn envelope is one that came without its body because its sender has signed that it has
//! withdrawn it. The original of its message id is its original, whatever the body was.
//!
//! The caller marks the sequence in its [`LaneIn`](crate::lane::LaneIn) exactly when
//! [`Effect::uses_sequence`] says so, in the same unit that stores the effect, and signs the disposition
//! only after that unit is on disk. Envelopes of one parcel are decided one after the other, each
//! against what the earlier ones have changed.

#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::envelope::Header;
use crate::lane::Admission;
use crate::receipt::Disposition;
use crate::receipt::Outcome;
use crate::receipt::nil_message_id;

/// When an envelope beyond the window may be offered again: soon, since the missing ones are on their way.
pub const WINDOW_RETRY: Duration = Duration::from_secs(5);
/// When to offer again what this node cannot judge for a fault of its own.
pub const FAULT_RETRY: Duration = Duration::from_secs(300);

/// What is known of an envelope that came before, found by its lane sequence or by its message id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Original {
    /// The message.
    pub message_id: MessageId,
    /// Digest of the envelope it came in.
    pub digest: Digest,
    /// What became of it; always final.
    pub outcome: Outcome,
    /// When that was decided.
    pub decided: UnixMillis,
    /// Whether the caller has opened the new envelope and found the very body of the original in it.
    ///
    /// A message that is sealed again for a new epoch has another digest but the same id and body. `false`
    /// where that was not looked at, or the original body is no longer kept.
    pub same_body: bool,
}

/// What opening and checking a fresh envelope came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It can be stored.
    Accept,
    /// It cannot, for ever.
    Refuse {
        /// Why.
        reason: Reason,
        /// Field that the reason is about.
        field: Option<String>,
    },
    /// Not now.
    Defer {
        /// Why.
        reason: Reason,
        /// Not before.
        until: UnixMillis,
    },
}

/// What has to be written before the disposition may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Store the message with everything that follows from it, and this disposition as its original.
    Store,
    /// Store this disposition under the sequence, so that it is repeated for ever.
    RecordRefusal,
    /// The message is known; store under the sequence that it is answered by the original.
    RecordRepeat,
    /// Nothing.
    Nothing,
}

impl Effect {
    /// Whether the lane's memory has to mark the sequence in the same unit.
    #[must_use]
    pub const fn uses_sequence(self) -> bool {
        match self {
            Self::Store | Self::RecordRefusal | Self::RecordRepeat => true,
            Self::Nothing => false,
        }
    }
}

/// The answer about one envelope, and what it takes to make it true.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Goes into the receipt.
    pub disposition: Disposition,
    /// Goes to disk first.
    pub effect: Effect,
}

impl Decision {
    /// Whether two contents under one name were seen: to be alarmed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        let conflict =
            matches!(self.disposition.outcome, Outcome::Refused { reason: Reason::Conflict, .. });
        conflict && !self.disposition.duplicate
    }
}

/// Decides about one envelope with a verdict that is ready.
#[must_use]
pub fn decide(
    admission: Admission,
    original: Option<&Original>,
    header: &Header,
    digest: Digest,
    withdrawn: bool,
    verdict: Verdict,
    now: UnixMillis,
) -> Decision {
    decide_without_opening(admission, original, header, digest, withdrawn, now)
        .unwrap_or_else(|| judge(header, digest, verdict, now))
}

/// Decides about one envelope as far as that needs no look into it. `None` means that it has to be opened
/// and checked, and then goes to [`judge`]; duplicates, the expired and the withdrawn never cost that.
#[must_use]
pub fn decide_without_opening(
    admission: Admission,
    original: Option<&Original>,
    header: &Header,
    digest: Digest,
    withdrawn: bool,
    now: UnixMillis,
) -> Option<Decision> {
    let answer = Answer { header, digest, now };
    let same = |original: &Original| {
        original.message_id == header.message_id
            && (original.digest == digest || original.same_body || withdrawn)
    };
    match (admission, original) {
        (Admission::Fresh | Admission::CheckId, None) if header.expires <= now => {
            Some(answer.refuse(Reason::Expired, None))
        }
        (Admission::Fresh | Admission::CheckId, None) if withdrawn => {
            Some(answer.refuse(Reason::Withdrawn, None))
        }
        (Admission::Fresh | Admission::CheckId, None) => None,
        (Admission::Fresh | Admission::CheckId, Some(original)) => Some(if same(original) {
            answer.repeat(original, Effect::RecordRepeat)
        } else {
            answer.refuse(Reason::Conflict, None)
        }),
        (Admission::Seen, Some(original)) => Some(if same(original) {
            answer.repeat(original, Effect::Nothing)
        } else {
            let refusal = answer.refuse(Reason::Conflict, None);
            Decision { effect: Effect::Nothing, ..refusal }
        }),
        // Neither "stored" nor "refused" would be known to be true, so nothing is claimed.
        (Admission::Seen, None) => Some(answer.defer(Reason::Internal, FAULT_RETRY)),
        (Admission::TooFarAhead { .. }, _) => {
            Some(answer.defer(Reason::WindowExceeded, WINDOW_RETRY))
        }
        (Admission::OtherEpoch, _) => Some(answer.defer(Reason::EpochUnknown, FAULT_RETRY)),
    }
}

/// Decides about a fresh envelope that [`decide_without_opening`] left open.
#[must_use]
pub fn judge(header: &Header, digest: Digest, verdict: Verdict, now: UnixMillis) -> Decision {
    let answer = Answer { header, digest, now };
    match verdict {
        Verdict::Accept => answer.give(Outcome::Stored, Effect::Store),
        Verdict::Refuse { reason, field } => answer.refuse(reason, field),
        Verdict::Defer { reason, until } => {
            answer.give(Outcome::Deferred { reason, until }, Effect::Nothing)
        }
    }
}

/// Answers an envelope whose header cannot be read: it has no place in a lane, so nothing is remembered.
#[must_use]
pub fn refuse_unreadable(digest: Digest, now: UnixMillis) -> Disposition {
    Disposition {
        message_id: nil_message_id(),
        digest,
        outcome: Outcome::Refused { reason: Reason::Malformed, field: None },
        duplicate: false,
        decided: now,
    }
}

/// Refuses an envelope that does not belong here at all (`NOT_FOR_US`, `SENDER_MISMATCH`): its lane is not ours,
/// so nothing is remembered; offered again it gets the same answer.
#[must_use]
pub fn refuse_misdirected(
    header: &Header,
    digest: Digest,
    reason: Reason,
    now: UnixMillis,
) -> Disposition {
    Answer { header, digest, now }.refuse(reason, None).disposition
}

/// Puts off an envelope whose times say that one of two clocks is wrong; nothing is remembered.
#[must_use]
pub fn defer_untimely(header: &Header, digest: Digest, now: UnixMillis) -> Disposition {
    Answer { header, digest, now }.defer(Reason::ClockWrong, FAULT_RETRY).disposition
}

/// What every answer about one envelope has in common.
struct Answer<'a> {
    header: &'a Header,
    digest: Digest,
    now: UnixMillis,
}

impl Answer<'_> {
    fn give(&self, outcome: Outcome, effect: Effect) -> Decision {
        let disposition = Disposition {
            message_id: self.header.message_id,
            digest: self.digest,
            outcome,
            duplicate: false,
            decided: self.now,
        };
        Decision { disposition, effect }
    }

    fn refuse(&self, reason: Reason, field: Option<String>) -> Decision {
        self.give(Outcome::Refused { reason, field }, Effect::RecordRefusal)
    }

    fn defer(&self, reason: Reason, by: Duration) -> Decision {
        let until = self.now.saturating_add(by);
        self.give(Outcome::Deferred { reason, until }, Effect::Nothing)
    }

    /// The original answer again, with its time; a refusal stays a refusal.
    fn repeat(&self, original: &Original, effect: Effect) -> Decision {
        let Decision { disposition, effect } = self.give(original.outcome.clone(), effect);
        let disposition = Disposition { duplicate: true, decided: original.decided, ..disposition };
        Decision { disposition, effect }
    }
}

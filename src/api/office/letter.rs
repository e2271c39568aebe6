//! Dead letters, as the office API says them.

use domain::reason::Reason;
use store::letters::{DeadReason, DeadState};
use wire::pb::office as pb;

use super::track;
use super::track::millis;
use crate::app::letters::Letter;
use crate::delivery::peers::Peers;

/// A dead letter; the words with which it was given up only where the content is shown as well.
pub(super) fn to_pb(letter: &Letter, peers: &Peers) -> pb::DeadLetter {
    let row = &letter.row;
    let (cause, reason, field) = match &row.why {
        DeadReason::Refused { reason, field } => {
            (pb::DeadLetterCause::Refused, *reason, field.clone())
        }
        DeadReason::Expired => (pb::DeadLetterCause::Expired, Reason::Expired, String::new()),
        DeadReason::RecipientRetired => {
            (pb::DeadLetterCause::RecipientRetired, Reason::AreaRetired, String::new())
        }
        DeadReason::Withdrawn => (pb::DeadLetterCause::Withdrawn, Reason::Expired, String::new()),
    };
    let (state, by, at) = match &row.state {
        DeadState::Open => (pb::DeadLetterState::Open, String::new(), None),
        DeadState::SentAgain { by, at, .. } => {
            (pb::DeadLetterState::SentAgain, by.to_string(), Some(*at))
        }
        DeadState::Discarded { by, at } => {
            (pb::DeadLetterState::Discarded, by.to_string(), Some(*at))
        }
        DeadState::Arrived { at } => (pb::DeadLetterState::Arrived, String::new(), Some(*at)),
    };
    let is_open = row.state == DeadState::Open;
    let advice = |text: &str| if is_open { text.to_owned() } else { String::new() };
    let purpose = domain::purpose::Purpose::Verification;
    let words = letter.discard_reason.as_ref().map(|note| note.expose(&purpose).to_owned());
    pb::DeadLetter {
        track: Some(track::to_pb(&letter.track, peers)),
        cause: cause.into(),
        state: state.into(),
        since_ms: row.since.get(),
        field,
        decided_ms: millis(at),
        decided_by: by,
        discard_reason: words.unwrap_or_default(),
        advice_zh: advice(reason.todo_zh()),
        advice_en: advice(reason.todo_en()),
    }
}

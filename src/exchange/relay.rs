//! What a relay does: which parcels it may carry, to whom it hands them, in which order, and when.
//!
//! Every answer follows from area codes and times alone, so that all nodes agree about the way of a parcel
//! without asking each other.

mod forwarder;
mod handover;
#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;

use crate::custody::CustodyManifest;
use crate::custody::CustodyOutcome;
use crate::envelope::Header;

pub use forwarder::Answer;
pub use forwarder::Effect;
pub use forwarder::Ending;
pub use forwarder::Event;
pub use forwarder::FlightNo;
pub use forwarder::Forwarder;
pub use forwarder::ForwarderSettings;
pub use forwarder::ForwarderStatus;
pub use handover::Handover;
pub use handover::HandoverFault;
pub use handover::Task;
pub use handover::check_handover;

/// What has no time of its own is handed on as if it were due so long after it was accepted.
pub const DUE_WITHIN: Duration = Duration::from_secs(30 * 86_400);

/// To whom `own` hands a parcel for `to`: to that node itself when its area is under ours, otherwise to the
/// node of its province.
#[must_use]
pub fn next_hop(own: AreaCode, to: AreaCode) -> AreaCode {
    if own.contains(&to) { to } else { to.province() }
}

/// Whether `own` carries a parcel of `from` for `to` that `handed_by` hands to it: for the areas under it
/// whatever comes, and what the areas under it send themselves. A node carries nothing of its own, and
/// nothing back.
#[must_use]
pub fn may_carry(own: AreaCode, handed_by: AreaCode, from: AreaCode, to: AreaCode) -> bool {
    let is_end = own == from || own == to;
    let comes_back = handed_by == own || handed_by == to;
    let is_of_ours = handed_by == from && own.contains(&from);
    !is_end && !comes_back && (own.contains(&to) || is_of_ours)
}

/// Whether the node that gave a word may have had the parcel in hand: as a relay, by the codes alone, or as its
/// recipient, which gives such a word to refuse what a relay above it hands over. Nobody else is believed when
/// a word comes back.
#[must_use]
pub fn may_speak(word: &CustodyManifest) -> bool {
    let CustodyManifest { relay, handed_by, from, to, .. } = *word;
    if relay == to {
        let refuses = !matches!(word.outcome, CustodyOutcome::Held { .. });
        return refuses && handed_by != to && handed_by.contains(&to);
    }
    may_carry(relay, handed_by, from, to)
}

/// The time that decides the order: when the recipient has to have acted, but at most [`DUE_WITHIN`] after
/// `since`, when the message was created or arrived, and not before that.
///
/// So every item has a finite time, and one that arrives later than the time of another never overtakes it,
/// whatever it claims: earliest first cannot starve anything.
#[must_use]
pub fn effective_deadline(due: Option<UnixMillis>, since: UnixMillis) -> UnixMillis {
    let latest = since.saturating_add(DUE_WITHIN);
    due.map_or(latest, |due| due.clamp(since, latest))
}

/// The same for a parcel that arrived at that time: that of its most urgent envelope.
#[must_use]
pub fn parcel_deadline<'a>(
    headers: impl IntoIterator<Item = &'a Header>,
    arrived: UnixMillis,
) -> UnixMillis {
    let deadlines = headers.into_iter().map(|header| effective_deadline(header.due, arrived));
    deadlines.min().unwrap_or_else(|| effective_deadline(None, arrived))
}

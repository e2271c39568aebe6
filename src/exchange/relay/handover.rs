//! Whether a parcel may come from the node that hands it over, what is to be done with it, and at what time
//! its sender's certificate has to hold.

#[cfg(test)]
mod tests;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;

use super::may_carry;
use super::next_hop;
use crate::custody::CUSTODY_WORDS_MAX;
use crate::custody::CustodyFault;
use crate::custody::CustodyManifest;
use crate::custody::check_way;
use crate::parcel::ParcelManifest;

/// A parcel that may be handed over like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handover {
    /// Who hands it over: the last relay, or the sender.
    pub handed_by: AreaCode,
    /// What is to be done with it.
    pub task: Task,
    /// When the sender's chain has to hold: when the first relay took the parcel, by its signed word, since
    /// a parcel may travel longer than a certificate lives; now, when it comes from its sender.
    pub sender_holds_at: UnixMillis,
}

/// What is to be done with a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// It is for this node.
    Receive,
    /// It is for somebody else and this node carries it.
    Carry {
        /// To whom it is handed next.
        next: AreaCode,
    },
}

/// Why a parcel may not be handed over like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HandoverFault {
    /// It is neither for this node nor one that it carries, or it was sent by this node itself.
    #[error("the parcel is not for this node, and this node does not carry it")]
    NotForUs,
    /// It comes from another node than the one that holds it, by the words it carries.
    #[error("{found} hands over a parcel that {expected} holds")]
    Bearer {
        /// Who holds it.
        expected: AreaCode,
        /// Who hands it over.
        found: AreaCode,
    },
    /// The last relay said that it hands it to somebody else.
    #[error("the parcel is on its way to {next}, not to this node")]
    OtherNext {
        /// To whom it was to be handed.
        next: AreaCode,
    },
    /// A node has carried it that carries nothing between these areas.
    #[error("{relay} carries nothing between these areas")]
    NotARelay {
        /// The node.
        relay: AreaCode,
    },
    /// The words do not tell of a way.
    #[error("the words of the relays do not fit the parcel")]
    Words(#[source] CustodyFault),
}

impl HandoverFault {
    /// What the one that hands it over is told.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NotForUs | Self::OtherNext { .. } => Reason::NotForUs,
            Self::Bearer { .. } => Reason::SenderMismatch,
            Self::NotARelay { .. } | Self::Words(_) => Reason::Malformed,
        }
    }
}

/// Checks that `handed_by` may hand the parcel to `own`, by the words that it carries; `None` stands for a
/// file, which anybody may bring.
///
/// Signatures are checked elsewhere: the chain of the last word now, those of the others and that of the
/// sender at the times given by what was signed after them. The order of these times says nothing here: a
/// relay that lies writes them as it likes, and a clock that is wrong must not stop mail.
///
/// # Errors
/// [`HandoverFault`] names the first thing that speaks against it.
pub fn check_handover(
    own: AreaCode,
    handed_by: Option<AreaCode>,
    parcel: &ParcelManifest,
    words: &[CustodyManifest],
    now: UnixMillis,
) -> Result<Handover, HandoverFault> {
    let way = check_way(words.iter(), parcel).map_err(HandoverFault::Words)?;
    if let Some(found) = handed_by.filter(|bearer| *bearer != way.last) {
        return Err(HandoverFault::Bearer { expected: way.last, found });
    }
    if let Some(next) = way.next.filter(|next| *next != own) {
        return Err(HandoverFault::OtherNext { next });
    }
    let no_relay = words.iter().find(|w| !may_carry(w.relay, w.handed_by, w.from, w.to));
    if let Some(word) = no_relay {
        return Err(HandoverFault::NotARelay { relay: word.relay });
    }
    let task = if parcel.to == own && parcel.from != own {
        Task::Receive
    } else if may_carry(own, way.last, parcel.from, parcel.to) && words.len() < CUSTODY_WORDS_MAX {
        Task::Carry { next: next_hop(own, parcel.to) }
    } else {
        return Err(HandoverFault::NotForUs);
    };
    let sender_holds_at = words.first().map_or(now, |word| word.signed.min(now));
    Ok(Handover { handed_by: way.last, task, sender_holds_at })
}

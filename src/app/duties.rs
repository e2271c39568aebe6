//! What a node sends by itself: withdrawals and their answers, and answers that an earlier report gives. Each is noted in
//! the unit that it follows from, and done until it is sent; what cannot be sealed yet waits.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::area::AreaCode;
use domain::consent::Ground;
use domain::id::{ConsentId, MessageId, RequestId};
use domain::message::{Body, ConsentWithdrawal, ConsentWithdrawalDone, Content};
use domain::purpose::{LawfulBasis, Purpose};
use domain::time::UnixMillis;
use store::Store;
use store::agreements::GroundKey;
use store::messages::{PeerKey, peer_area, peer_key};
use store::tables::DUTY;

use super::consents::{refused, spread};
use super::each::First;
use super::messages::send::{Accepted, Outgoing, Outlet};
use super::{AppError, asked};

/// Duties that are done in one go.
const DUTIES_AT_ONCE: usize = 500;
/// How long a withdrawal and its answer are offered: as long as the longest consent holds.
const OFFERED_FOR: Duration = Duration::from_secs(3 * 366 * 86_400);

/// Something that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Answer this question from an earlier report.
    Answer(MessageId),
    /// Tell a county that a consent was withdrawn, or a request taken back.
    Withdrawal(Ground),
    /// Tell a county that what came under its consent or request is deleted.
    Deleted(Ground),
}

/// As it stands in keys: sort, what it is about, county.
pub type DutyKey = (u8, GroundKey, PeerKey);

impl Duty {
    /// What a key stands for.
    #[must_use]
    pub const fn of(key: &DutyKey) -> Option<Self> {
        let (sort, id) = (key.0, key.1);
        Some(match sort {
            1 => Self::Answer(MessageId::from_bytes(id)),
            2 => Self::Withdrawal(Ground::Consent(ConsentId::from_bytes(id))),
            3 => Self::Deleted(Ground::Consent(ConsentId::from_bytes(id))),
            4 => Self::Withdrawal(Ground::Request(RequestId::from_bytes(id))),
            5 => Self::Deleted(Ground::Request(RequestId::from_bytes(id))),
            _ => return None,
        })
    }

    /// The key of such a duty toward a county.
    #[must_use]
    pub fn key(self, peer: AreaCode) -> DutyKey {
        let (sort, id) = match self {
            Self::Answer(id) => (1, *id.as_bytes()),
            Self::Withdrawal(ground @ Ground::Consent(_)) => (2, ground.bytes()),
            Self::Deleted(ground @ Ground::Consent(_)) => (3, ground.bytes()),
            Self::Withdrawal(ground @ Ground::Request(_)) => (4, ground.bytes()),
            Self::Deleted(ground @ Ground::Request(_)) => (5, ground.bytes()),
        };
        (sort, id, peer_key(peer))
    }
}

/// Does what is to be done, and says how many messages were sent. What a county cannot be sealed for yet is left for the
/// next time.
///
/// # Errors
/// When rows cannot be read or written; whatever else could be done has been done.
pub async fn perform(
    own: AreaCode,
    store: &Store,
    outlet: &dyn Outlet,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let again = refused::say_again(store, now).await;
    let mut node = Node::new(own, store, outlet, now);
    let (mut sent, mut first) = (0, First::default());
    for page in store.pages(&DUTY, .., DUTIES_AT_ONCE) {
        for (key, row) in page? {
            let (Some(duty), Some(peer)) = (Duty::of(&key), peer_area(&key.2)) else { continue };
            if !node.reaches(peer) {
                continue;
            }
            let done = match duty {
                Duty::Answer(id) => asked::answer(&node, id, row, peer).await,
                Duty::Withdrawal(ground) => {
                    let body = ConsentWithdrawal { ground, withdrawn: row.at };
                    node.tell(body.into(), key, Some(ground), peer).await
                }
                Duty::Deleted(ground) => {
                    let body = ConsentWithdrawalDone { ground, deleted: row.at };
                    node.tell(body.into(), key, None, peer).await
                }
            };
            // A withdrawal does not wait for an answer that cannot be given.
            sent += usize::from(first.take(done).unwrap_or_default());
        }
    }
    again?;
    first.end().map(|()| sent)
}

/// The node that does its duty, one time round.
pub(super) struct Node<'a> {
    pub(super) own: AreaCode,
    pub(super) store: &'a Store,
    pub(super) outlet: &'a dyn Outlet,
    pub(super) now: UnixMillis,
    /// Counties that could not be sealed for: what is for them keeps nothing else waiting.
    unreachable: BTreeSet<AreaCode>,
}

impl<'a> Node<'a> {
    pub(super) const fn new(
        own: AreaCode,
        store: &'a Store,
        outlet: &'a dyn Outlet,
        now: UnixMillis,
    ) -> Self {
        Self { own, store, outlet, now, unreachable: BTreeSet::new() }
    }

    /// Whether a county can be sealed for; each is asked about once a round.
    pub(super) fn reaches(&mut self, peer: AreaCode) -> bool {
        if self.unreachable.contains(&peer) {
            return false;
        }
        let reaches = self.outlet.sealer(peer).is_ok();
        if !reaches {
            self.unreachable.insert(peer);
        }
        reaches
    }

    /// Tells a county of the withdrawal of `withdrawn`, or that a withdrawal was followed.
    async fn tell(
        &self,
        body: Body,
        key: DutyKey,
        withdrawn: Option<Ground>,
        peer: AreaCode,
    ) -> Result<bool, AppError> {
        let now = self.now;
        let expires = Some(now.saturating_add(OFFERED_FOR));
        let addressed = (peer, about_nobody(body));
        let outgoing = Outgoing::new(self.own, self.store, self.outlet, addressed, expires, now);
        let mut outgoing = match outgoing {
            Ok(outgoing) => outgoing,
            Err(AppError::Refused(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let done = self.store.commit(move |unit| {
            let accepted = outgoing.accept(unit)?;
            unit.delete(&DUTY, &key);
            if let Some(ground) = withdrawn {
                spread::was_told(unit, ground, peer, (accepted.id, now))?;
            }
            Ok(accepted)
        });
        let accepted: Accepted = done.await.map_err(AppError::from)?;
        accepted.nudge(self.outlet);
        Ok(true)
    }
}

/// A message between nodes about a right of a person whom it does not name.
fn about_nobody(body: Body) -> Content {
    Content {
        case: None,
        in_reply_to: None,
        basis: LawfulBasis::StatutoryDuty,
        purpose: Purpose::PersonRights,
        consent: None,
        service_request: None,
        person: None,
        replaces: None,
        step: 0,
        answered_from: None,
        asked_again: None,
        body,
    }
}

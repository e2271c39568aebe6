//! What somebody has to be told about cards, lists and certificates before it keeps mail from anybody.

use std::time::Duration;

use domain::time::UnixMillis;
use store::letters::NoticeKind;
use store::{Store, Unit};
use trust::crl::Freshness;

use super::Directory;
use crate::app::AppError;
use crate::app::clocks::alarms::remind;
use crate::delivery::identity::LIST_GRACE;
use crate::delivery::peers::CardState;

/// A certificate that ends within this time should have been renewed.
const CERTIFICATE_ENDS_IN: Duration = Duration::from_secs(30 * 86_400);
/// Areas that one line of the log names.
const AREAS_TOLD: usize = 8;

impl Directory {
    /// Everything that somebody has to look at now.
    pub(super) fn alarms(&self, now: UnixMillis) -> Vec<NoticeKind> {
        let (parts, mut alarms) = (&self.0.parts, self.old_lists(now));
        let peers = parts.peers.all();
        let grace = peers.iter().filter(|peer| peer.card_state(now) == CardState::InGrace);
        let areas: Vec<_> = grace.map(|peer| peer.area.to_string()).collect();
        if !areas.is_empty() {
            let (cards, some) = (areas.len(), areas.iter().take(AREAS_TOLD).cloned());
            let areas = some.collect::<Vec<_>>().join(" ");
            tracing::warn!(cards, areas, "cards of peers have ended and are used in grace");
            alarms.push(NoticeKind::CardsOld);
        }
        let own = parts.identity.material().identity().leaf().not_after;
        let certificates = peers.iter().filter_map(|peer| {
            let until = peer.state().certificate_until?;
            Some((peer.area, until))
        });
        let all = certificates.chain([(parts.peers.own(), own)]);
        let ends = all.filter(|(_, until)| *until < now.saturating_add(CERTIFICATE_ENDS_IN));
        alarms.extend(ends.map(|(area, at)| NoticeKind::CertificateEnds { area, at }));
        alarms
    }

    /// Lists for which a newer one should have come: past half of their life.
    fn old_lists(&self, now: UnixMillis) -> Vec<NoticeKind> {
        let known = self.known();
        let old = known.lists.values().filter(|verified| {
            match verified.list().freshness(now, LIST_GRACE) {
                Freshness::Fresh => false,
                Freshness::HalfSpent | Freshness::InGrace | Freshness::TooOld => true,
            }
        });
        old.map(|verified| NoticeKind::ListOld {
            authority: verified.province(),
            issued: verified.list().this_update(),
        })
        .collect()
    }
}

/// Puts alarms on the list of notices. One that somebody has taken off comes back after a while, if it goes on.
pub(super) async fn tell(
    store: &Store,
    alarms: Vec<NoticeKind>,
    now: UnixMillis,
) -> Result<(), AppError> {
    if alarms.is_empty() {
        return Ok(());
    }
    let write = move |unit: &mut Unit<'_>| {
        alarms.into_iter().try_for_each(|what| remind(unit, what, &[], now).map(drop))
    };
    store.commit(write).await.map_err(AppError::from)
}

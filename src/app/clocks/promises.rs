//! Alarms about what counties have promised each other: withdrawals that nobody answers, agreements that end.

use domain::agreement::{Agreement, AgreementState};
use domain::time::{Date, UnixMillis};
use store::letters::NoticeKind;
use store::messages::peer_area;
use store::tables::AGREED;

use super::Clocks;
use super::alarms::remind;
use crate::app::AppError;
use crate::app::consents::refused;

/// So many days before its last day an office is told that an agreement ends: long enough for a proposal and its answer,
/// which has thirty days.
const ENDS_WITHIN_DAYS: i32 = 60;
/// It is told until so many days after the last day.
const ENDED_FOR_DAYS: i32 = 30;
/// Counties that are looked at.
const COUNTIES_MAX: usize = 10_000;

impl Clocks {
    /// Looks for withdrawals without an answer and for agreements that end with nothing in their place. Says how much was
    /// told.
    ///
    /// # Errors
    /// When rows cannot be read or written.
    pub async fn promises(&self, now: UnixMillis) -> Result<usize, AppError> {
        let before = UnixMillis::new(now.get().saturating_sub(millis(self.unopened_after)));
        let unanswered = refused::unanswered(&self.store, before)?;
        let mut told: Vec<NoticeKind> =
            unanswered.into_iter().map(|peer| NoticeKind::WithdrawalRefused { peer }).collect();
        for (peer, row) in self.store.scan(&AGREED, .., COUNTIES_MAX)? {
            let Some(peer) = peer_area(&peer) else { continue };
            let ends = ends(&row.agreements, now.date());
            told.extend(ends.map(|day| NoticeKind::AgreementEnds { peer, at: day.begins() }));
        }
        if told.is_empty() {
            return Ok(0);
        }
        let told = self.store.commit(move |unit| {
            let mut count = 0;
            for what in told {
                count += usize::from(remind(unit, what, &[], now)?);
            }
            Ok::<_, AppError>(count)
        });
        told.await.map_err(AppError::from)
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The last day of an agreement that ends soon, or has just ended, when none with all that it lists goes on after it.
pub(crate) fn ends(agreements: &[Agreement], today: Date) -> Option<Date> {
    let soon = today.plus_days(-ENDED_FOR_DAYS)..=today.plus_days(ENDS_WITHIN_DAYS);
    let ending = agreements.iter().filter(|agreement| {
        // What one side has ended was told to both, with its reason.
        // Nor is one told of that another takes the place of before its time: both have agreed on that.
        let runs_out = match agreement.state {
            AgreementState::Agreed { .. } => true,
            AgreementState::Replaced { .. } => {
                agreement.last_day() == Some(agreement.terms.valid_until)
            }
            _ => false,
        };
        runs_out && soon.contains(&agreement.terms.valid_until)
    });
    let followed = |agreement: &&Agreement| {
        agreements.iter().any(|other| {
            let longer = other.terms.valid_until > agreement.terms.valid_until;
            let lists = |kind| other.terms.kinds.contains_key(kind);
            longer
                && matches!(other.state, AgreementState::Agreed { .. })
                && other.terms.valid_from <= agreement.terms.valid_until.plus_days(1)
                && agreement.terms.kinds.keys().all(lists)
        })
    };
    ending.filter(|agreement| !followed(agreement)).map(|a| a.terms.valid_until).min()
}

#[cfg(test)]
mod tests {
    use domain::agreement::{AgreementTerms, KindTerms};
    use domain::area::AreaCode;
    use domain::id::AgreementId;
    use domain::message::Kind;
    use domain::purpose::Purpose;
    use domain::text::Note;

    use super::*;

    fn agreed(version: u32, from: &str, until: &str) -> Agreement {
        let kind = Kind::Inquiry;
        let terms = AgreementTerms {
            kinds: [(kind, KindTerms::whole(kind))].into(),
            purposes: [Purpose::Verification].into(),
            valid_from: from.parse().unwrap(),
            valid_until: until.parse().unwrap(),
            retention_months: 12,
            ask_once_days: 0,
            notice_days: 30,
            contact: Note::new("值班室").unwrap(),
        };
        let area = |code: &str| -> AreaCode { code.parse().unwrap() };
        let id = AgreementId::from_bytes([u8::try_from(version).unwrap(); 16]);
        let (proposer, other) = (area("440305"), area("410522"));
        let state = AgreementState::Agreed { at: UnixMillis::new(1) };
        Agreement { id, version, proposer, other, terms, state }
    }

    #[test]
    fn an_office_is_told_in_time_and_not_when_it_has_a_renewal() {
        let today: Date = "2026-06-01".parse().unwrap();
        let old = agreed(1, "2025-07-01", "2026-06-30");
        assert_eq!(ends(std::slice::from_ref(&old), today), Some(old.terms.valid_until));
        assert_eq!(
            ends(std::slice::from_ref(&old), "2026-03-01".parse().unwrap()),
            None,
            "too early"
        );
        let just = "2026-07-15".parse().unwrap();
        assert_eq!(
            ends(std::slice::from_ref(&old), just),
            Some(old.terms.valid_until),
            "it has just ended"
        );
        assert_eq!(
            ends(std::slice::from_ref(&old), "2026-09-01".parse().unwrap()),
            None,
            "long ago"
        );
        let next = agreed(2, "2026-07-01", "2027-06-30");
        assert_eq!(ends(&[old.clone(), next], today), None, "it is renewed");
        let late = agreed(3, "2026-08-01", "2027-06-30");
        assert_eq!(ends(&[old.clone(), late], today), Some(old.terms.valid_until), "with a gap");
        let by = old.other;
        let on = old.terms.valid_until;
        let ended = Agreement { state: AgreementState::Ended { by, on }, ..old };
        assert_eq!(ends(&[ended], today), None);
    }
}

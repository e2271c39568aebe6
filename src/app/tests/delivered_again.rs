//! What its recipient has lost is delivered again, in a reconciliation.

use std::time::Duration;

use domain::message::Kind;
use exchange::lane::LaneEpoch;
use exchange::ledger::Direction;
use exchange::reconcile::{Entry, EntryState};
use store::messages::{EnvelopeKey, Side};
use store::reconcile::Change;
use store::tables::{CASE, ENVELOPE};

use super::mail::{Post, content, receipt, row, said_again, send};
use super::*;
use crate::app::letters;
use crate::app::messages::heal::Healing;
use crate::app::messages::send::{Accepted, Outlet as _};
use crate::app::reconcile::books;
use crate::app::reconcile::cures::{self, Delivering, deliver_again};

const DAYS: Duration = Duration::from_secs(100 * 86_400);

pub(super) async fn delivered_again(
    office: &Office,
    post: &Post,
    to: &str,
    accepted: Accepted,
    now: UnixMillis,
) -> Delivering {
    delivered(office, post, to, (accepted, false), now).await
}

async fn delivered(
    office: &Office,
    post: &Post,
    to: &str,
    (accepted, is_there): (Accepted, bool),
    now: UnixMillis,
) -> Delivering {
    let (own, to) = (office.area, to.parse().unwrap());
    let sealer = post.sealer(to).unwrap();
    let again = office.store.commit(move |unit| {
        let (epoch, id) = (LaneEpoch::new(9), accepted.id);
        deliver_again(unit, (own, to), (id, is_there), sealer.as_ref(), epoch, now)
    });
    again.await.map_err(AppError::from).unwrap()
}

#[tokio::test]
async fn it_is_for_its_recipient_alone_and_taken_however_old_it_is() {
    let (office, post) = (Office::here(), Post::new());
    let asked = send(&office, &office.clerk(), &post, content(6, Kind::CertificateInquiry)).await;
    receipt(&office, &[(asked, None)], NOW).await;
    let before = row(&office.store, asked.id, Side::Sent);
    let late = NOW.saturating_add(DAYS);
    assert!(before.expires < late);
    // Whoever says that it was for another gets nothing that is sealed for that one.
    let astray = delivered_again(&office, &post, "410000", asked, late).await;
    assert_eq!(astray, Delivering::Lost);
    assert_eq!(row(&office.store, asked.id, Side::Sent), before);

    // What its recipient has is not sealed anew: it would differ once more.
    let there = delivered(&office, &post, ORIGIN, (asked, true), late).await;
    assert_eq!(there, Delivering::Answered);
    assert_eq!(row(&office.store, asked.id, Side::Sent), before);

    let again = delivered_again(&office, &post, ORIGIN, asked, late).await;
    let Delivering::OnItsWay { epoch, sequence, .. } = again else { panic!("{again:?}") };
    let lane = EnvelopeKey::of(Side::Sent, asked.to, epoch).key();
    let entry = office.store.read(&ENVELOPE, &lane, sequence.get()).unwrap().unwrap();
    let header = crate::app::messages::envelope_of(entry).unwrap().header_bytes;
    assert!(wire::decode_header(&header).unwrap().expires > late);

    // A refusal now is told, and takes nothing back of what has followed from it.
    let again = Accepted { epoch, sequence, ..asked };
    receipt(&office, &[(again, Some(Reason::SenderRevoked))], late).await;
    assert!(letters::show(&office.clerk(), &office.store, asked.id, LOOKING).await.is_ok());
    let case = office.store.get(&CASE, asked.case.opening_message().as_bytes()).unwrap();
    assert!(case.is_some(), "its case stands");
}

#[tokio::test]
async fn the_book_says_of_what_was_sealed_anew_what_the_receipt_says_that_comes_again() {
    let (office, post) = (Office::here(), Post::new());
    let sent = send(&office, &office.clerk(), &post, content(6, Kind::CertificateInquiry)).await;
    receipt(&office, &[(sent, None)], NOW).await;
    let digest = || row(&office.store, sent.id, Side::Sent).digest;
    let first = digest();
    let again = delivered_again(&office, &post, ORIGIN, sent, NOW).await;
    assert!(matches!(again, Delivering::OnItsWay { .. }), "{again:?}");
    assert_ne!(digest(), first);

    let (own, to) = (office.area, sent.to);
    // Ids only grow within a process, and another test may be days ahead.
    let day = sent.id.timestamp().date();
    let scope = super::reconciling::scope((day, day));
    let said = async || {
        books::advance(&office.store, own).await.unwrap();
        let entry = books::load(&office.store, own, &scope).unwrap().get(sent.id).unwrap();
        (entry.digest, entry.state)
    };
    assert_eq!(said().await, (digest(), EntryState::Waiting));
    // It had stored the first one all the time, and says so, however often it is asked; in between comes its receipt for the
    // second one, which it calls a duplicate.
    for _ in 0..2 {
        let known = [(sent.id, first)];
        let checked = said_again((own, to), sent.epoch, &known, &[sent.sequence.get()]);
        let (new_epoch, sealer) = (LaneEpoch::new(77), None);
        let healing = Healing { own, sealer, new_epoch, may_open: false, now: NOW };
        let keep = move |unit: &mut store::Unit<'_>| {
            cures::keep_receipt(unit, sent.id, checked, &healing, NOW)
        };
        office.store.commit(keep).await.map_err(AppError::from).unwrap();
        assert_eq!(said().await, (first, EntryState::Stored));
        let (from, digest, state) = (own, digest(), EntryState::Stored);
        let duplicate = Entry { id: sent.id, digest, from, to, state };
        let change = Change::Word(Direction::Sent, duplicate);
        office.store.commit(move |unit| books::note(unit, &change)).await.unwrap();
        assert_eq!(said().await, (digest, EntryState::Stored));
    }
}

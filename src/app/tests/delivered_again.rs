//! What its recipient has lost is delivered again, in a reconciliation.

use std::time::Duration;

use domain::id::MessageId;
use domain::message::Kind;
use exchange::digest::Digest;
use exchange::lane::LaneEpoch;
use exchange::ledger::Direction;
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::{Entry, EntryState};
use store::messages::{EnvelopeKey, Side};
use store::reconcile::Change;
use store::tables::{CASE, ENVELOPE};

use super::mail::{Post, content, receipt, row, send};
use super::*;
use crate::app::letters;
use crate::app::messages::send::{Accepted, Outlet as _};
use crate::app::reconcile::books;
use crate::app::reconcile::cures::{Delivering, deliver_again, settle_known};

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
async fn what_its_recipient_has_stored_is_not_sealed_anew_for_each_comparison() {
    let office = Office::here();
    let (own, to) = (office.area, ORIGIN.parse().unwrap());
    let id = MessageId::new(NOW, [7; 10]);
    let say = |name: &[u8]| Entry {
        id,
        digest: Digest::of(name),
        from: own,
        to,
        state: EntryState::Stored,
    };
    let note = async |entry: Entry| {
        let change = Change::Word(Direction::Sent, entry);
        office.store.commit(move |unit| books::note(unit, &change)).await.unwrap();
        books::advance(&office.store, own).await.unwrap();
    };
    for name in [b"first", b"again", b"third"] {
        note(say(name)).await;
    }
    // It took the second envelope, and has told so only after the third one was under way.
    let differs = |theirs: &[u8]| Difference {
        name: DifferenceName::StateDiffers,
        sender: Some(say(b"third")),
        recipient: Some(say(theirs)),
    };
    let settled = async |theirs: &[u8]| {
        let settled = settle_known(&office.store, own, &[differs(theirs)]).await.unwrap();
        books::advance(&office.store, own).await.unwrap();
        settled.len()
    };
    let scope = super::reconciling::scope((NOW.date(), NOW.date()));
    let said = || books::load(&office.store, own, &scope).unwrap().get(id).unwrap();
    assert_eq!(settled(b"of nobody").await, 0);
    assert_eq!(said(), say(b"third"));
    assert_eq!(settled(b"again").await, 1, "nothing is delivered again");
    assert_eq!(said(), say(b"again"), "both books say the same");
}

//! What a recipient shows of a message of which it holds something else: kept for the person who decides and for nobody else,
//! and not longer.

use std::time::Duration;

use domain::access::{AccessAction, Role};
use domain::erasure::ErasureGround;
use domain::id::MessageId;
use domain::message::{Content, Kind};
use domain::text::{Note, WrittenReason};
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::lane::LaneEpoch;
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::{Entry, EntryState};
use store::Kept;
use store::messages::{Side, peer_key};
use store::tables::VERSION;
use wire::decode_header;

use super::mail::{Post, content, deliver, envelope, receipt, row, said_again, send};
use super::*;
use crate::app::erasure::{self, Demand};
use crate::app::reconcile::versions::{self, Looked, Proof, Shown};
use crate::app::reconcile::{decisions, runs};

/// A message of here that was sent, and its recipient.
async fn sent(seed: u64) -> (Office, Post, MessageId) {
    let (here, post) = (Office::here(), Post::new());
    let sent = send(&here, &here.clerk(), &post, content(seed, Kind::DepartureNotice)).await;
    let id = sent.id;
    receipt(&here, &[(sent, None)], NOW).await;
    (here, post, id)
}

/// What the recipient shows of it: something else, or what it was sent.
fn shown(office: &Office, id: MessageId, other: Option<Content>) -> Shown {
    let sent = envelope(&office.store, id);
    let header = decode_header(&sent.header_bytes).unwrap();
    let digest = other.as_ref().map_or(sent.digest(), |_| Digest::of(b"something else"));
    let sides = (header.from, header.to);
    let checked = said_again(sides, LaneEpoch::new(1), &[(id, digest)], &[1]);
    Shown { header, digest, content: other, checked, is_ours: true }
}

async fn keep(office: &Office, shown: Shown) -> Result<(), AppError> {
    let store = office.store.clone();
    let kept = office.store.commit(move |unit| versions::keep(unit, &store, &shown, NOW));
    kept.await.map_err(AppError::from)
}

/// A comparison has found it.
async fn found(office: &Office, id: MessageId, theirs: Digest) {
    let (from, to) = (HERE.parse().unwrap(), ORIGIN.parse().unwrap());
    let entry = |digest| Some(Entry { id, digest, from, to, state: EntryState::Stored });
    let name = DifferenceName::ContentDiffers;
    let (sender, recipient) = (entry(Digest::of(b"reported")), entry(theirs));
    let difference = Difference { name, sender, recipient };
    let write = move |unit: &mut store::Unit<'_>| decisions::keep(unit, difference, NOW);
    office.store.commit(write).await.map_err(AppError::from).unwrap();
}

async fn look(office: &Office, id: MessageId) -> Looked {
    versions::look(&office.clerk(), &office.store, id, LOOKING).await.unwrap()
}

fn lies(office: &Office, id: MessageId) -> bool {
    let key = (peer_key(ORIGIN.parse().unwrap()), *id.as_bytes());
    office.store.get_personal(&VERSION, &key).unwrap().and_then(Kept::value).is_some()
}

fn days(count: u64) -> UnixMillis {
    NOW.saturating_add(Duration::from_secs(count * 86_400))
}

#[tokio::test]
async fn the_senders_office_sees_both_versions_with_what_proves_them() {
    let (here, _, id) = sent(1).await;
    let (ours, theirs) = (content(1, Kind::DepartureNotice), content(2, Kind::DepartureNotice));
    let refusal = versions::look(&here.clerk(), &here.store, id, LOOKING).await;
    assert_eq!(refused(refusal).0, Reason::NotFound, "nobody has to decide");
    let other = shown(&here, id, Some(theirs.clone()));
    let (digest, signer) = (other.digest, other.checked.parcel.signer);
    found(&here, id, digest).await;
    let before = look(&here, id).await;
    assert!(before.sender.is_some() && before.recipient.is_none());
    keep(&here, other).await.unwrap();

    for role in [Role::Administrator, Role::Auditor, Role::Supervisor, Role::Collector] {
        let other = here.operator("other", role);
        let refusal = versions::look(&other, &here.store, id, LOOKING).await;
        assert_eq!(refused(refusal).0, Reason::RoleRequired, "{role:?}");
    }
    let logged = here.logged();
    let looked = look(&here, id).await;
    let (sender, recipient) = (looked.sender.unwrap(), looked.recipient.unwrap());
    assert_eq!((sender.content.unwrap(), sender.proof), (ours, Proof::Own));
    assert_eq!(recipient.content.unwrap(), theirs);
    assert_eq!(recipient.proof, Proof::Signed { signer, at: NOW });
    assert_eq!((recipient.digest, recipient.stored), (digest, Some(NOW)));
    // Two persons are named: both have it in the log that somebody looked, and why.
    let entries = here.store.access_after(logged, 9).unwrap();
    let persons: Vec<_> = entries.iter().map(|entry| entry.person.unwrap()).collect();
    assert!(persons.len() == 2 && persons[0] != persons[1], "{entries:?}");
    for entry in &entries {
        let why = (entry.action, entry.message, entry.purpose);
        assert_eq!(why, (AccessAction::View, Some(id), LOOKING.purpose));
    }
}

#[tokio::test]
async fn what_no_certificate_of_the_sender_has_signed_is_called_so() {
    let (here, _, id) = sent(1).await;
    let invented = content(2, Kind::DepartureNotice);
    let other = Shown { is_ours: false, ..shown(&here, id, Some(invented)) };
    found(&here, id, other.digest).await;
    keep(&here, other).await.unwrap();
    let looked = look(&here, id).await;
    assert_eq!(looked.recipient.unwrap().proof, Proof::NotSigned);
}

#[tokio::test]
async fn a_recipient_that_shows_what_it_was_sent_is_seen_to_hold_the_same() {
    let (here, _, id) = sent(1).await;
    found(&here, id, Digest::of(b"reported by mistake")).await;
    keep(&here, shown(&here, id, None)).await.unwrap();
    let looked = look(&here, id).await;
    let (sender, recipient) = (looked.sender.unwrap(), looked.recipient.unwrap());
    assert_eq!((sender.digest, sender.content), (recipient.digest, recipient.content));
}

#[tokio::test]
async fn the_recipient_sees_its_own_version_and_another_office_none() {
    let (here, post, id) = sent(1).await;
    let (there, province) = (Office::of(ORIGIN), Office::of("440000"));
    deliver(&here, &post, &there, &[id], NOW).await;
    for office in [&there, &province] {
        found(office, id, Digest::of(b"other")).await;
    }
    let looked = look(&there, id).await;
    assert!(looked.sender.is_none());
    let version = looked.recipient.unwrap();
    assert_eq!((version.proof, version.content.is_some()), (Proof::Own, true));
    // It was not opened by that.
    assert_eq!(row(&there.store, id, Side::Received).opened, None);
    let looked = look(&province, id).await;
    assert!(looked.sender.is_none() && looked.recipient.is_none());
}

#[tokio::test]
async fn only_what_is_about_a_message_to_that_county_is_kept() {
    let (here, _, id) = sent(1).await;
    let other = || shown(&here, id, Some(content(2, Kind::DepartureNotice)));
    let unknown = MessageId::new(NOW, [9; 10]);
    let mut strange = other();
    strange.header.message_id = unknown;
    strange.checked = said_again(
        (strange.header.from, strange.header.to),
        LaneEpoch::new(1),
        &[(unknown, strange.digest)],
        &[1],
    );
    assert_eq!(refused(keep(&here, strange).await).0, Reason::NotFound);
    let mut elsewhere = other();
    elsewhere.header.to = "510104".parse().unwrap();
    assert_eq!(refused(keep(&here, elsewhere).await).0, Reason::NotFound);
    let mut unfit = other();
    unfit.digest = Digest::of(b"not in the receipt");
    assert_eq!(refused(keep(&here, unfit).await).0, Reason::Malformed);
    assert!(!lies(&here, id));
}

#[tokio::test]
async fn one_county_fills_nothing() {
    let (here, post) = (Office::here(), Post::new());
    let mut ids = Vec::new();
    for seed in 1..=129 {
        let sent = send(&here, &here.clerk(), &post, content(seed, Kind::DepartureNotice)).await;
        ids.push(sent.id);
    }
    let show = async |id| keep(&here, shown(&here, id, None)).await;
    for id in &ids[..128] {
        show(*id).await.unwrap();
    }
    let full = show(ids[128]).await.unwrap_err();
    assert_eq!(full.reason(), Reason::Busy);
    show(ids[0]).await.unwrap();
    // Nobody was asked to look at them: they go.
    assert_eq!(versions::forget(&here.store, days(6)).await.unwrap(), 0);
    assert_eq!(versions::forget(&here.store, days(7)).await.unwrap(), 128);
    show(ids[128]).await.unwrap();
}

#[tokio::test]
async fn a_version_goes_when_it_is_decided_when_both_say_the_same_and_with_the_content() {
    let (here, _, id) = sent(1).await;
    let show = async || {
        keep(&here, shown(&here, id, Some(content(2, Kind::DepartureNotice)))).await.unwrap();
        lies(&here, id)
    };
    let theirs = Digest::of(b"something else");
    found(&here, id, theirs).await;
    assert!(show().await);
    assert_eq!(versions::forget(&here.store, days(400)).await.unwrap(), 0, "it is open");
    let reason = Note::new("以我方为准").unwrap();
    decisions::decide(&here.clerk(), &here.store, id, reason).await.unwrap();
    assert_eq!(versions::forget(&here.store, days(6)).await.unwrap(), 0);
    assert!(look(&here, id).await.recipient.is_some());
    assert_eq!(versions::forget(&here.store, days(7)).await.unwrap(), 1);
    assert!(!show().await, "it was decided about this very one");

    // Something else again, until both say the same.
    found(&here, id, Digest::of(b"something new")).await;
    assert!(show().await);
    let agree = move |unit: &mut store::Unit<'_>| decisions::agreed(unit, id, NOW);
    assert!(here.store.commit(agree).await.map_err(AppError::from).unwrap());
    assert!(!lies(&here, id));
    let rows = runs::differences(&here.store, runs::DECISIONS, None, (9, true)).unwrap();
    assert!(rows.is_empty());

    // With the person of the message.
    found(&here, id, theirs).await;
    assert!(show().await);
    erase(&here, &content(1, Kind::DepartureNotice)).await;
    assert!(!lies(&here, id));
    assert!(look(&here, id).await.sender.is_none());
}

#[tokio::test]
async fn a_version_is_erased_with_the_person_whom_it_alone_names() {
    let (here, _, id) = sent(1).await;
    let theirs = content(2, Kind::DepartureNotice);
    let other = || shown(&here, id, Some(theirs.clone()));
    found(&here, id, other().digest).await;
    keep(&here, other()).await.unwrap();
    erase(&here, &theirs).await;
    // Shown once more, it does not come back.
    assert_eq!(versions::forget(&here.store, days(400)).await.unwrap(), 0);
    keep(&here, other()).await.unwrap();
    let looked = look(&here, id).await;
    assert!(looked.sender.unwrap().content.is_some() && looked.recipient.is_none());
    let agree = move |unit: &mut store::Unit<'_>| decisions::agreed(unit, id, NOW);
    assert!(here.store.commit(agree).await.map_err(AppError::from).unwrap());
    assert_eq!(versions::forget(&here.store, NOW).await.unwrap(), 0, "it is gone");
}

async fn erase(office: &Office, content: &Content) {
    let document = content.person.as_ref().unwrap().document.clone();
    let reason = WrittenReason::new("本人书面申请，目的已实现。").unwrap();
    let demand = Demand { document, ground: ErasureGround::PurposeOver, reason };
    erasure::erase(&office.clerk(), &office.store, demand).await.unwrap();
}

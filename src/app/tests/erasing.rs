//! A person is erased: nothing of her can be read any more, and what has to end first stands against it.

use domain::access::AccessAction;
use domain::erasure::{ErasureGround, ErasureHold, ErasureRest};
use domain::id::{CaseId, MessageId};
use domain::message::{Clarify, Content, Kind};
use domain::person::{IdentityDocument, PersonReference};
use domain::text::{Passage, WrittenReason};
use store::Kept;
use store::access::person_key;
use store::messages::{EnvelopeKey, Side, message_key};
use store::records::ReadRecords as _;
use store::tables::{ENVELOPE, ERASURE, MESSAGE, REGISTRATION};

use super::cases::{between, kept};
use super::mail::{Post, Stranger, content, receipt, send};
use super::*;
use crate::app::cases::steps::{self, Action, Order};
use crate::app::erasure::{self, Demand, Held};
use crate::app::messages::envelope_of;
use crate::app::registrations::End;

async fn preview(office: &Office, document: &IdentityDocument) -> Held {
    erasure::preview(&office.clerk(), &office.store, document).await.unwrap()
}

async fn erase(office: &Office, document: &IdentityDocument) -> Result<erasure::Erased, AppError> {
    erase_because(office, document, "本人书面申请，目的已实现。").await
}

async fn erase_because(
    office: &Office,
    document: &IdentityDocument,
    reason: &str,
) -> Result<erasure::Erased, AppError> {
    let reason = WrittenReason::new(reason).unwrap();
    let (document, ground) = (document.clone(), ErasureGround::PurposeOver);
    let demand = Demand { document, ground, reason };
    erasure::erase(&office.clerk(), &office.store, demand).await
}

fn kinds(held: &Held) -> Vec<ErasureHold> {
    held.holds.iter().map(|(hold, _)| *hold).collect()
}

/// Every file of a store.
fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let each = |path: std::path::PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(each).collect()
}

async fn take(office: &Office, post: &Post, case: CaseId, action: Action) {
    let expected = kept(office, case).version;
    let order = Order { case, expected, action, idempotency_key: String::new(), listed: false };
    steps::take(&office.clerk(), &office.store, post, order).await.unwrap();
}

#[tokio::test]
async fn what_has_to_end_first_stands_against_it_and_then_nothing_can_be_read() {
    let (office, post) = (Office::here(), Post::new());
    let her = woman();
    let mut question = content(3, Kind::CertificateInquiry);
    question.person =
        Some(PersonReference { document: her.document.clone(), name: her.name.clone() });
    let registered = office.arrive(her.clone()).await;
    let asked = send(&office, &office.clerk(), &post, question).await;
    let body = Clarify { question: Passage::new("请补充结婚登记日期").unwrap() };
    let clarify = Content { step: 1, ..between(Some(asked.case), body.into()) };
    let clarify = Stranger::of(ORIGIN).says(&office, clarify, NOW).await;

    let held = preview(&office, &her.document).await;
    let all = [ErasureHold::Registered, ErasureHold::CaseOpen, ErasureHold::MailWaiting];
    assert_eq!(kinds(&held), all);
    assert_eq!((held.records, held.messages), (2, 2));
    assert_eq!(held.counties, [ORIGIN.parse().unwrap()].into());
    assert_eq!(refused(erase(&office, &her.document).await).0, Reason::ErasureHeld);
    assert!(office.store.registration(registered.registration.id()).unwrap().is_some());

    let (id, seen) = (registered.registration.id(), registered.registration.version());
    let end = End { id, seen, on: today(), to: None, why: None };
    registrations::end(&office.clerk(), &office.store, end).await.unwrap();
    receipt(&office, &[(asked, None)], NOW).await;
    let reason = WrittenReason::new("申请人已撤回申请").unwrap();
    take(&office, &post, asked.case, Action::Void(reason)).await;
    let held = preview(&office, &her.document).await;
    assert_eq!(kinds(&held), [ErasureHold::MailWaiting], "the last word has to arrive");
    let void = held.holds[0].1.parse::<MessageId>().unwrap();
    let row = super::mail::row(&office.store, void, Side::Sent);
    let (to, epoch, sequence) = (row.peer, row.epoch, row.sequence);
    let void =
        crate::app::messages::send::Accepted { id: void, case: asked.case, to, epoch, sequence };
    receipt(&office, &[(void, None)], NOW).await;

    let (name, number) = (her.name.expose(&LOOKING.purpose), her.document.expose(&LOOKING.purpose));
    for tells in [format!("{name}本人书面申请"), format!("证件 {number} 持有人申请")] {
        let told = erase_because(&office, &her.document, &tells).await;
        assert_eq!(refused(told).0, Reason::NamesPerson, "what stays does not lead back to her");
    }
    let erased = erase(&office, &her.document).await.unwrap();
    assert_eq!((erased.held.records, erased.held.messages), (2, 3));
    assert_eq!(erased.held.rests(), ErasureRest::ALL);
    for (id, side) in [(asked.id, Side::Sent), (clarify, Side::Received), (void.id, Side::Sent)] {
        let row = office.store.get_personal(&MESSAGE, &message_key(id, side)).unwrap();
        assert_eq!(row, Some(Kept::Erased));
    }
    assert_eq!(office.store.get_personal(&REGISTRATION, &id).unwrap(), Some(Kept::Erased));
    let lane = EnvelopeKey::of(Side::Sent, asked.to, asked.epoch).key();
    let entry = office.store.read(&ENVELOPE, &lane, asked.sequence.get()).unwrap().unwrap();
    assert!(envelope_of(entry).unwrap().is_withdrawn(), "header and hash only");
    let found = persons::find(&office.clerk(), &office.store, &her.document, LOOKING).await;
    assert_eq!(refused(found).0, Reason::NotFound);
    let row = office.store.get(&ERASURE, &erased.id).unwrap().unwrap();
    assert_eq!((row.ground, row.messages), (ErasureGround::PurposeOver.number(), 3));
    let key = person_key(office.store.document_hash(&her.document));
    let entries = office.store.access_of_person(key, 0, 100).unwrap();
    assert!(entries.iter().any(|entry| entry.action == AccessAction::Erase));
    assert_eq!(office.store.ledger_head().size, 3, "what was exchanged can be proven");
    assert_eq!(refused(erase(&office, &her.document).await).0, Reason::NotFound);
    let number = her.document.lookup_bytes();
    for file in files(office._dir.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(number.len()).any(|some| some == number.as_slice());
        assert!(!found, "her document is in {}", file.display());
    }
    // She may come again, as somebody of whom nothing is known.
    office.arrive(her).await;
}

#[tokio::test]
async fn what_she_allowed_is_taken_back_first_and_heard_of_everywhere() {
    use super::withdrawals::{Sort, ground, withdraw};
    for sort in Sort::ALL {
        let office = Office::here();
        let ground = ground(&office, sort).await;
        let document = woman().document;
        let held = preview(&office, &document).await;
        assert_eq!(kinds(&held), [ErasureHold::Registered, ErasureHold::ConsentStands]);
        withdraw(&office, ground).await.unwrap();
        let held = preview(&office, &document).await;
        assert_eq!(kinds(&held), [ErasureHold::Registered, ErasureHold::WithdrawalOpen]);
    }
}

#[tokio::test]
async fn only_clerks_erase_and_every_try_is_in_the_log() {
    let office = Office::here();
    office.arrive(woman()).await;
    for role in [Role::Supervisor, Role::Administrator, Role::Auditor, Role::Collector] {
        let ctx = office.operator("lan", role);
        let told = erasure::preview(&ctx, &office.store, &woman().document).await;
        assert_eq!(refused(told).0, Reason::RoleRequired, "{role:?}");
    }
    let logged = office.logged();
    assert_eq!(refused(erase(&office, &woman().document).await).0, Reason::ErasureHeld);
    let nobody = (0..).map(person).find(|person| person.document != woman().document).unwrap();
    assert_eq!(refused(erase(&office, &nobody.document).await).0, Reason::NotFound);
    assert_eq!(office.logged(), logged + 2);
}

//! Words inside a case name nobody and are hers all the same: sealed under her key, and read as about her.

use domain::access::AccessAction;
use domain::id::{CaseId, MessageId, PersonId};
use domain::message::{Clarify, Content, Kind, Reject, Remind};
use domain::text::{Passage, WrittenReason};
use store::Kept;
use store::access::person_key;
use store::messages::{Side, message_key};
use store::tables::MESSAGE;

use super::cases::between;
use super::mail::{Post, Stranger, content, send};
use super::*;
use crate::app::messages::read;

fn whose(office: &Office, id: MessageId, side: Side) -> Option<PersonId> {
    match office.store.get_personal(&MESSAGE, &message_key(id, side)).unwrap().unwrap() {
        Kept::Value { person, .. } => Some(person),
        Kept::Erased => None,
    }
}

fn clarify(case: CaseId) -> Content {
    let body = Clarify { question: Passage::new("请补充结婚登记日期").unwrap() };
    Content { step: 1, ..between(Some(case), body.into()) }
}

#[tokio::test]
async fn words_of_a_case_are_sealed_and_read_as_about_whom_the_case_is_about() {
    let (office, post) = (Office::here(), Post::new());
    let question = content(3, Kind::CertificateInquiry);
    let her = question.person.clone().unwrap();
    let asked = send(&office, &office.clerk(), &post, question).await;
    let said = Stranger::of(ORIGIN).says(&office, clarify(asked.case), NOW).await;
    let person = whose(&office, asked.id, Side::Sent).unwrap();
    assert_eq!(whose(&office, said, Side::Received), Some(person));
    read::get(&office.clerk(), &office.store, said, LOOKING).await.unwrap();
    let key = person_key(office.store.document_hash(&her.document));
    let entries = office.store.access_of_person(key, 0, 100).unwrap();
    let seen = entries.iter().any(|it| it.action == AccessAction::View && it.message == Some(said));
    assert!(seen, "{entries:?}");

    let erased = office.store.commit(move |unit| unit.erase_subject(person));
    assert!(erased.await.map_err(|error| format!("{error:?}")).unwrap());
    assert_eq!(whose(&office, said, Side::Received), None, "gone with her");
    // What is about nobody else's case stays.
    let remind = between(Some(asked.case), Remind { note: None }.into());
    Stranger::of(ORIGIN).hands(&office, remind, |_| {}, NOW).await;
}

#[tokio::test]
async fn words_that_came_before_what_opens_their_case_become_hers_with_it() {
    let office = Office::of(ORIGIN);
    let mut asker = Stranger::of(HERE);
    let opening = crate::time::next_message_id(HERE.parse().unwrap(), NOW);
    let early = asker.says(&office, clarify(opening.into()), NOW).await;
    let nobody = whose(&office, early, Side::Received).unwrap();
    let question = content(3, Kind::CertificateInquiry);
    asker.hands(&office, question, |header| header.message_id = opening, NOW).await;
    let person = whose(&office, opening, Side::Received).unwrap();
    assert_ne!(nobody, person);
    assert_eq!(whose(&office, early, Side::Received), Some(person));
    let reject =
        Reject { reason: WrittenReason::new("材料不全，请补充后再报").unwrap() };
    let later = between(Some(opening.into()), reject.into());
    let later = asker.says(&office, Content { step: 2, ..later }, NOW).await;
    assert_eq!(whose(&office, later, Side::Received), Some(person));
}

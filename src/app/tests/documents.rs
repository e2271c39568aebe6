//! Documents in a case: they go between the two offices that sit in it, and nowhere else.

use domain::case::{Deed, Seat, Step};
use domain::consent::Given;
use domain::id::{CaseId, MessageId};
use domain::message::{Body, Content, Kind, ServiceReferral, ServiceReport};
use domain::person::PersonReference;
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::service::Service;
use exchange::receipt::Outcome;
use store::tables::CASE;

use super::cases::{THIRD, kept};
use super::mail::{Post, Stranger, about_whom_was_asked, agree, content, content_between, draft};
use super::{HERE, NOW, ORIGIN, Office, refused, today, woman};
use crate::app::AppError;
use crate::app::consents::{self, Request};
use crate::app::messages::grounds::Grounds;
use crate::app::messages::send::{self, Accepted, Draft};

async fn say(
    office: &Office,
    post: &Post,
    to: &str,
    content: Content,
    grounds: Grounds,
) -> Result<Accepted, AppError> {
    let draft = Draft { to: to.parse().unwrap(), grounds, ..draft(content) };
    send::send(&office.clerk(), &office.store, post, draft).await
}

/// A notice that the person has left, in the case of the notice that she had come.
fn departure(case: CaseId) -> Content {
    Content { case: Some(case), step: 1, ..content(1, Kind::DepartureNotice) }
}

#[tokio::test]
async fn what_she_asked_one_county_for_is_told_to_no_other_by_naming_the_case() {
    let (office, post) = (Office::here(), Post::new());
    let kinds = [Kind::ServiceReferral, Kind::ReferralFeedback, Kind::ServiceReport];
    for county in [ORIGIN, THIRD] {
        agree(&office, county, &kinds, 36).await;
    }
    let her = woman();
    office.arrive(her.clone()).await;
    let (service, given) = (Service::AntenatalCare, Given::InPerson);
    let recipient = ORIGIN.parse().unwrap();
    let request = Request { service, requested_on: today(), given, recipient };
    let clerk = office.clerk();
    let request = consents::request(&clerk, &office.store, her.document.clone(), request).await;
    let id = request.unwrap().request.reference().unwrap().request_id;
    let grounds = Grounds { request: Some(id), ..Grounds::default() };
    let about_her = |case, body: Body| Content {
        case,
        step: u32::from(case.is_some()),
        basis: LawfulBasis::ServiceRequest,
        purpose: Purpose::HealthService,
        person: Some(PersonReference { document: her.document.clone(), name: her.name.clone() }),
        body,
        ..content(1, Kind::ArrivalNotice)
    };
    let referral = ServiceReferral { service, wanted_on: None, note: None };
    let case = say(&office, &post, ORIGIN, about_her(None, referral.into()), grounds).await;
    let case = case.unwrap().case;
    let report =
        || about_her(Some(case), ServiceReport { service, served_on: today(), note: None }.into());
    let told = refused(say(&office, &post, THIRD, report(), grounds).await);
    assert_eq!(told, (Reason::NotHolder, "case_id".to_owned()));
    say(&office, &post, ORIGIN, report(), grounds).await.unwrap();
}

#[tokio::test]
async fn a_document_goes_only_between_the_two_offices_of_its_case() {
    let (office, post) = (Office::here(), Post::new());
    let notice = say(&office, &post, ORIGIN, content(1, Kind::ArrivalNotice), Grounds::default());
    let case = notice.await.unwrap().case;
    let depart =
        async |to, case| say(&office, &post, to, departure(case), Grounds::default()).await;
    let at_case = |reason| (reason, "case_id".to_owned());
    assert_eq!(refused(depart(THIRD, case).await), at_case(Reason::NotHolder));
    let unknown = CaseId::from_bytes([9; 16]);
    assert_eq!(refused(depart(ORIGIN, unknown).await), at_case(Reason::UnknownCase));
    depart(ORIGIN, case).await.unwrap();

    // The office has given its side away.
    let mut row = kept(&office, case);
    let (seat, term, area) = (Seat::Asking, 2, THIRD.parse().unwrap());
    let step = Step {
        id: MessageId::new(NOW, crate::time::random()),
        from: HERE.parse().unwrap(),
        to: area,
        step: row.case.next_step(),
        created: NOW,
        deed: Deed::Transfer { seat, term, area },
    };
    assert!(row.case.add(step).unwrap());
    let given = office
        .store
        .commit(move |unit| Ok::<_, AppError>(unit.put(&CASE, case.as_bytes(), &row)?));
    given.await.map_err(AppError::from).unwrap();
    assert_eq!(refused(depart(ORIGIN, case).await), at_case(Reason::NotHolder));
}

#[tokio::test]
async fn nobody_but_the_office_that_decides_tells_what_became_of_a_birth_registration() {
    let (office, post) = (Office::here(), Post::new());
    let question = content(1, Kind::BirthRegistrationInquiry);
    let asked = say(&office, &post, ORIGIN, question, Grounds::default()).await.unwrap();
    let result = content(1, Kind::BirthRegistrationResult);
    for case in [None, Some(asked.case)] {
        let said = Content { case, step: u32::from(case.is_some()), ..result.clone() };
        let told = refused(say(&office, &post, ORIGIN, said, Grounds::default()).await);
        assert_eq!(told, (Reason::StateForbids, "content".to_owned()));
    }
}

/// An office that was asked about somebody; the question.
async fn asked(office: &Office) -> MessageId {
    let question = content_between(3, Kind::CertificateInquiry, HERE, ORIGIN);
    Stranger::of(HERE).says(office, question, NOW).await
}

#[tokio::test]
async fn an_answer_is_about_whom_was_asked_about() {
    let (office, post) = (Office::of(ORIGIN), Post::new());
    let question = asked(&office).await;
    let said = content_between(9, Kind::CertificateStatement, ORIGIN, HERE);
    let said = Content { case: Some(question.into()), in_reply_to: Some(question), ..said };
    let other = say(&office, &post, HERE, said.clone(), Grounds::default()).await;
    assert_eq!(refused(other), (Reason::InvalidField, "person.document".to_owned()));
    let hers = about_whom_was_asked(&office, said);
    say(&office, &post, HERE, hers, Grounds::default()).await.unwrap();
}

#[tokio::test]
async fn the_answer_of_another_county_is_about_whom_it_was_asked_about() {
    let (office, post) = (Office::here(), Post::new());
    let question =
        say(&office, &post, ORIGIN, content(3, Kind::CertificateInquiry), Grounds::default());
    let question = question.await.unwrap();
    let said = || Content {
        case: Some(question.case),
        in_reply_to: Some(question.id),
        step: 1,
        ..content_between(9, Kind::CertificateStatement, ORIGIN, HERE)
    };
    let mut origin = Stranger::of(ORIGIN);
    origin.mistaken = true;
    let (_, told) = origin.hands(&office, said(), |_| {}, NOW).await;
    let field = Some("person.document".to_owned());
    assert_eq!(told, Outcome::Refused { reason: Reason::InvalidField, field });
    origin.mistaken = false;
    origin.says(&office, said(), NOW).await;
}

//! Tests of what a message must keep, on both sides.

use super::*;
use crate::area::AreaCode;
use crate::consent::{ConsentReference, ConsentScope, ServiceRequestReference};
use crate::id::{ConsentId, RequestId};
use crate::purpose::{LawfulBasis, Purpose};
use crate::reason::Reason;
use crate::service::Service;
use crate::synthetic::{Messages, People};
use crate::text::{Note, Passage, WrittenReason};
use crate::time::{Date, UnixMillis};

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn area(text: &str) -> AreaCode {
    text.parse().unwrap()
}

/// 2026-03-01, 16:00 in China; from Shenzhen's Nanshan to Hua county.
fn context() -> CheckContext {
    let now = UnixMillis::new(1_772_352_000_000);
    CheckContext { from: area("440305"), to: area("410522"), now }
}

fn sample(kind: Kind) -> Content {
    let people = People::new(5, vec![area("410522")], context().now.date());
    Messages::new(people, context()).next(kind).unwrap()
}

/// What is wrong with the sample of a kind after a change.
fn wrong(kind: Kind, change: impl FnOnce(&mut Content)) -> Vec<(Reason, &'static str)> {
    let mut content = sample(kind);
    change(&mut content);
    content.refusals(&context()).iter().map(|r| (r.reason, r.field)).collect()
}

fn consent(scope: ConsentScope) -> ConsentReference {
    ConsentReference {
        consent_id: ConsentId::from_bytes([1; 16]),
        given_on: day("2026-02-01"),
        valid_until: day("2026-12-31"),
        recipient: area("410522"),
        scopes: [scope].into(),
    }
}

fn with_consent(content: &mut Content, consent: Option<ConsentReference>) {
    content.basis = LawfulBasis::Consent;
    content.service_request = None;
    content.consent = consent;
}

fn pregnancy(change: impl FnOnce(&mut ConsentReference)) -> Vec<(Reason, &'static str)> {
    let mut consent = consent(ConsentScope::Pregnancy);
    change(&mut consent);
    wrong(Kind::PregnancyReport, |content| with_consent(content, Some(consent)))
}

#[test]
fn pregnancy_needs_a_consent_that_fits_in_every_part() {
    let refused = |field| vec![(Reason::BasisRequired, field)];
    assert_eq!(pregnancy(|_| ()), []);
    assert_eq!(pregnancy(|c| c.scopes.clear()), refused("consent.scopes"));
    assert_eq!(
        pregnancy(|c| c.scopes = [ConsentScope::Contraception].into()),
        refused("consent.scopes")
    );
    assert_eq!(pregnancy(|c| c.recipient = area("410523")), refused("consent.recipient"));
    // The county that sends is not the one the person allowed to be told.
    assert_eq!(pregnancy(|c| c.recipient = area("440305")), refused("consent.recipient"));
    assert_eq!(pregnancy(|c| c.valid_until = day("2026-02-28")), refused("consent.valid_until"));
    assert_eq!(pregnancy(|c| c.valid_until = day("2026-03-01")), []);
    // Nobody consents for ever.
    assert_eq!(pregnancy(|c| c.valid_until = day("9999-12-31")), refused("consent.valid_until"));
    assert_eq!(pregnancy(|c| c.given_on = day("2026-03-02")), refused("consent.given_on"));
    let none = wrong(Kind::PregnancyReport, |content| with_consent(content, None));
    assert_eq!(none, refused("consent"));
}

#[test]
fn no_other_basis_opens_pregnancy_or_contraception() {
    for kind in Kind::ALL.iter().filter(|kind| kind.needs_consent().is_some()) {
        for basis in LawfulBasis::ALL {
            let found = wrong(*kind, |content| {
                content.basis = *basis;
                content.consent = None;
                content.service_request = None;
            });
            let refused = found.iter().any(|(reason, _)| *reason == Reason::BasisRequired);
            assert!(refused, "{kind:?} passed under {basis:?}");
        }
    }
}

#[test]
fn an_answer_goes_back_under_the_consent_of_the_question() {
    let found = wrong(Kind::PregnancyFeedback, |content| {
        let back =
            ConsentReference { recipient: area("440305"), ..consent(ConsentScope::Pregnancy) };
        with_consent(content, Some(back));
    });
    assert_eq!(found, []);
}

#[test]
fn a_request_covers_its_own_service_only() {
    let request = |service, on: &str| ServiceRequestReference {
        request_id: RequestId::from_bytes([2; 16]),
        requested_on: day(on),
        service,
    };
    let with = |kind, service_request| {
        wrong(kind, |content| {
            content.basis = LawfulBasis::ServiceRequest;
            content.consent = None;
            content.service_request = service_request;
        })
    };
    let kind = Kind::ContraceptionReport;
    let field = "service_request.service";
    assert_eq!(with(kind, Some(request(Service::ContraceptiveCare, "2026-02-01"))), []);
    let other = Some(request(Service::ChildVaccination, "2026-02-01"));
    assert_eq!(with(kind, other), [(Reason::BasisRequired, field)]);
    let field = "service_request.requested_on";
    let old = Some(request(Service::ContraceptiveCare, "2025-02-01"));
    assert_eq!(with(kind, old), [(Reason::BasisRequired, field)]);
    let future = Some(request(Service::ContraceptiveCare, "2026-03-02"));
    assert_eq!(with(kind, future), [(Reason::BasisRequired, field)]);
    assert_eq!(with(kind, None), [(Reason::BasisRequired, "service_request")]);
}

#[test]
fn what_rests_on_a_request_to_one_county_is_handed_to_no_other() {
    let request = ServiceRequestReference {
        request_id: RequestId::from_bytes([2; 16]),
        requested_on: day("2026-02-01"),
        service: Service::ChildVaccination,
    };
    let ask = |content: &mut Content| {
        content.basis = LawfulBasis::ServiceRequest;
        content.consent = None;
        content.service_request = Some(request);
    };
    let own = |content: &mut Content| {
        content.basis = LawfulBasis::OwnApplication;
        content.service_request = None;
    };
    let found = wrong(Kind::HandOver, |content| {
        own(content);
        let Body::HandOver(body) = &mut content.body else { panic!("{content:?}") };
        body.documents.iter_mut().for_each(|document| own(&mut document.content));
    });
    assert_eq!(found, []);
    let found = wrong(Kind::HandOver, |content| {
        ask(content);
        let Body::HandOver(body) = &mut content.body else { panic!("{content:?}") };
        body.documents.iter_mut().for_each(|document| own(&mut document.content));
    });
    assert_eq!(found, [(Reason::BasisRequired, "service_request.request_id")]);
    let found = wrong(Kind::HandOver, |content| {
        own(content);
        let Body::HandOver(body) = &mut content.body else { panic!("{content:?}") };
        body.documents.iter_mut().for_each(|document| ask(&mut document.content));
    });
    assert_eq!(found, [(Reason::BasisRequired, "documents.content.service_request")]);
}

#[test]
fn a_service_that_gives_a_pregnancy_away_needs_the_person_too() {
    let inquiry = Inquiry {
        urgency: Urgency::Normal,
        service: Service::AntenatalCare,
        question: Passage::new("请问是否已建册？").unwrap(),
    };
    for basis in [LawfulBasis::StatutoryDuty, LawfulBasis::OwnApplication] {
        let found = wrong(Kind::Inquiry, |content| {
            content.basis = basis;
            content.consent = None;
            content.service_request = None;
            content.body = inquiry.clone().into();
        });
        assert_eq!(found, [(Reason::BasisRequired, "basis")]);
    }
}

#[test]
fn basis_and_purpose_belong_to_the_kind() {
    let found = wrong(Kind::ArrivalNotice, |c| c.basis = LawfulBasis::OfficeAgreement);
    assert_eq!(found, [(Reason::BasisRequired, "basis")]);
    let found = wrong(Kind::ArrivalNotice, |c| c.purpose = Purpose::HealthService);
    assert_eq!(found, [(Reason::PurposeRequired, "purpose")]);
    let found = wrong(Kind::ArrivalNotice, |c| c.consent = Some(consent(ConsentScope::Pregnancy)));
    assert_eq!(found, [(Reason::FieldNotAllowed, "consent")]);
}

#[test]
fn answers_name_their_question_and_openers_name_nothing() {
    for kind in Kind::ALL {
        let found = wrong(*kind, |c| c.in_reply_to = None);
        assert_eq!(!found.is_empty(), kind.answers().is_some(), "{kind:?}");
        let id = crate::id::MessageId::from_bytes([3; 16]);
        let found = wrong(*kind, |c| c.in_reply_to = Some(id));
        assert_eq!(found.is_empty(), kind.answers().is_some(), "{kind:?}");
        let found = wrong(*kind, |c| c.case = Some(id.into()));
        assert_eq!(found.is_empty(), kind.answered_by().is_none(), "{kind:?}");
    }
}

#[test]
fn whom_it_is_about_is_said_exactly_when_it_is_about_somebody() {
    for kind in Kind::ALL {
        let person = sample(Kind::ArrivalNotice).person;
        let without = wrong(*kind, |c| c.person = None);
        let with = wrong(*kind, |c| c.person = person);
        if kind.needs_person() {
            assert_eq!((without, with), (vec![(Reason::FieldRequired, "person")], vec![]));
        } else {
            assert_eq!((without, with), (vec![], vec![(Reason::FieldNotAllowed, "person")]));
        }
    }
}

#[test]
fn whoever_refuses_says_why_in_writing() {
    let owed = [(Reason::ReasonTextRequired, "reason")];
    let statement = |outcome| BirthRegistrationStatement {
        outcome,
        marital_status: None,
        children: None,
        reason: None,
    };
    for outcome in StatementOutcome::ALL {
        let found =
            wrong(Kind::BirthRegistrationStatement, |c| c.body = statement(*outcome).into());
        assert_eq!(found.is_empty(), *outcome == StatementOutcome::Confirmed);
        assert!(found.is_empty() || found == owed);
    }
    let refuse = |body: Body| wrong(body.kind(), |c| c.body = body);
    let (application_number, decided_on) =
        (PrintedNumber::parse("SY-1").unwrap(), day("2026-02-01"));
    let result = RegistrationResult::Refused;
    let body = BirthRegistrationResult { application_number, result, decided_on, reason: None };
    assert_eq!(refuse(body.into()), owed);
    let outcome = ReferralOutcome::Declined;
    let body = ReferralFeedback { outcome, appointment_on: None, place: None, reason: None };
    assert_eq!(refuse(body.into()), owed);
    let agreement_id = crate::id::AgreementId::from_bytes([4; 16]);
    let signature = crate::agreement::OfficeSignature { signature: vec![1], chain: vec![vec![1]] };
    let body = AgreementDecision {
        agreement_id,
        version: 1,
        accepted: false,
        reason: None,
        contact: None,
        signature: Some(signature),
    };
    assert_eq!(refuse(body.into()), owed);
    for outcome in [StatementOutcome::CannotVerify, StatementOutcome::Differs] {
        assert_eq!(refuse(InquiryAnswer { outcome, answer: None, reason: None }.into()), owed);
    }
}

#[test]
fn no_field_of_free_text_carries_a_demand() {
    let note = || Note::new("请通知本人限期返乡接受检查").unwrap();
    let reason = || WrittenReason::new("She must pay a fine of 500").unwrap();
    let outcome = FeedbackOutcome::Recorded;
    let refuse = |body: Body| wrong(body.kind(), |c| c.body = body);
    let found = refuse(BirthFeedback { outcome, note: Some(note()) }.into());
    assert_eq!(found, [(Reason::ForbiddenText, "note")]);
    let found = refuse(
        InquiryAnswer {
            outcome: StatementOutcome::Confirmed,
            answer: None,
            reason: Some(reason()),
        }
        .into(),
    );
    assert_eq!(found, [(Reason::ForbiddenText, "reason")]);
    let outcome = ReferralOutcome::Booked;
    let (appointment_on, place) = (Some(day("2026-04-01")), Some(note()));
    let body = ReferralFeedback { outcome, appointment_on, place, reason: None };
    assert_eq!(refuse(body.into()), [(Reason::ForbiddenText, "place")]);
}

#[test]
fn an_offer_stands_for_a_month_at_most() {
    let offer = |days: u64| {
        wrong(Kind::HandOverOffer, |content| {
            if let Body::HandOverOffer(body) = &mut content.body {
                body.until = UnixMillis::new(context().now.get() + days * 86_400_000);
            }
        })
    };
    assert_eq!(offer(30), []);
    assert_eq!(offer(32), [(Reason::InvalidField, "until_ms")]);
}

#[test]
fn days_that_have_happened_do_not_lie_in_the_future() {
    let served = |on: &str| {
        let body = ServiceReport { service: Service::Counselling, served_on: day(on), note: None };
        wrong(Kind::ServiceReport, |c| {
            c.basis = LawfulBasis::OwnApplication;
            (c.consent, c.service_request) = (None, None);
            c.body = body.into();
        })
    };
    assert_eq!(served("2026-03-01"), []);
    assert_eq!(served("2026-03-02"), [(Reason::DateInFuture, "served_on")]);
}

#[test]
fn a_progress_report_names_some_messages_and_not_too_many() {
    let report = |count: usize| {
        let id =
            |n: usize| crate::id::MessageId::from_bytes(u128::try_from(n).unwrap().to_be_bytes());
        let openings = (0..count).map(|n| (id(n), context().now)).collect();
        wrong(Kind::ProgressReport, |c| c.body = ProgressReport { openings }.into())
    };
    assert_eq!(report(0), [(Reason::FieldRequired, "openings")]);
    assert_eq!(report(OPENINGS_MAX), []);
    assert_eq!(report(OPENINGS_MAX + 1), [(Reason::TooLarge, "openings")]);
}

#[test]
fn a_message_may_name_the_one_it_is_sent_in_place_of() {
    let old = crate::id::MessageId::from_bytes([9; 16]);
    for kind in Kind::ALL {
        let found = wrong(*kind, |c| c.replaces = Some(old));
        let allowed = !kind.is_sent_by_nodes();
        assert_eq!(found.is_empty(), allowed, "{kind:?} {found:?}");
    }
    let found = wrong(Kind::ArrivalFeedback, |c| c.replaces = c.in_reply_to);
    assert_eq!(found, [(Reason::InvalidField, "replaces")], "nothing replaces its own question");
}

#[test]
fn an_urgent_inquiry_has_the_shorter_clock() {
    let inquiry = |urgency| {
        let question = Passage::new("请协助核实").unwrap();
        let body = Inquiry { urgency, service: Service::Other, question };
        Content { body: body.into(), ..sample(Kind::Inquiry) }.due(context().now).unwrap().on
    };
    assert_eq!(inquiry(Urgency::Urgent), day("2026-03-16"));
    assert_eq!(inquiry(Urgency::Normal), day("2026-03-31"));
}

#[test]
fn debug_names_the_kind_and_nothing_of_the_person() {
    let why = Purpose::Verification;
    for kind in Kind::ALL {
        let content = sample(*kind);
        let shown = format!("{content:?}");
        assert!(shown.contains(kind.name()));
        let Some(person) = &content.person else { continue };
        assert!(!shown.contains(person.name.expose(&why)), "{shown}");
        assert!(!shown.contains(person.document.expose(&why)), "{shown}");
    }
    let body = BirthFeedback { outcome: FeedbackOutcome::NotOurs, note: None };
    assert_eq!(format!("{body:?}"), "BirthFeedback { .. }");
    let consent = format!("{:?}", consent(ConsentScope::Pregnancy));
    assert!(!consent.contains("Pregnancy"), "{consent}");
}

/// Records hold days that tell as much as a number does: they stay out of logs too.
#[test]
fn debug_of_a_person_shows_no_day() {
    for person in People::new(9, vec![area("410522")], context().now.date()).take(20) {
        let shown = format!("{person:?}");
        assert!(!shown.contains(&person.birth_date.to_string()), "{shown}");
        assert!(!shown.contains("born_on") && !shown.contains("Married"), "{shown}");
    }
}

/// A question about something else, and its answer, that bring a pregnancy in by their texts.
fn in_words() -> [(Kind, Body, &'static str); 3] {
    let question = Passage::new("请核实是否怀孕、采取何种避孕措施").unwrap();
    let inquiry = Inquiry { urgency: Urgency::Normal, service: Service::Other, question };
    let answer = Some(Passage::new("已怀孕5个月，曾上环").unwrap());
    let said = InquiryAnswer { outcome: StatementOutcome::Confirmed, answer, reason: None };
    let note = Note::optional("已怀孕5个月，曾上环").unwrap();
    let (outcome, corrected_name, moved_to_area) = (ArrivalOutcome::Confirmed, None, None);
    let arrival = ArrivalFeedback { outcome, corrected_name, moved_to_area, note };
    [
        (Kind::Inquiry, inquiry.into(), "question"),
        (Kind::InquiryAnswer, said.into(), "answer"),
        (Kind::ArrivalFeedback, arrival.into(), "note"),
    ]
}

#[test]
fn what_only_a_text_says_of_a_pregnancy_needs_the_person_too() {
    for (kind, body, field) in in_words() {
        for basis in [LawfulBasis::StatutoryDuty, LawfulBasis::OwnApplication] {
            let found = wrong(kind, |content| {
                (content.consent, content.service_request) = (None, None);
                (content.basis, content.body) = (basis, body.clone());
            });
            assert_eq!(found, [(Reason::BasisRequired, field)]);
        }
        let with = |scopes: &[ConsentScope]| {
            let scopes = scopes.iter().copied().collect();
            wrong(kind, |content| {
                let consent = ConsentReference { scopes, ..consent(ConsentScope::Pregnancy) };
                with_consent(content, Some(consent));
                content.body = body.clone();
            })
        };
        assert_eq!(with(&[ConsentScope::Pregnancy, ConsentScope::Contraception]), []);
        assert_eq!(with(&[ConsentScope::Pregnancy]), [(Reason::BasisRequired, "consent.scopes")]);
    }
}

#[test]
fn a_word_inside_a_case_says_no_more_than_the_ground_of_the_case_allows() {
    let question = Passage::new("请补充孕周").unwrap();
    let clarify =
        |content: &mut Content| content.body = Clarify { question: question.clone() }.into();
    let found = wrong(Kind::Clarify, |content| {
        clarify(content);
        (content.consent, content.service_request) = (None, None);
        content.basis = LawfulBasis::StatutoryDuty;
    });
    assert_eq!(found, [(Reason::BasisRequired, "question")]);
    let found = wrong(Kind::Clarify, |content| {
        clarify(content);
        with_consent(content, Some(consent(ConsentScope::Pregnancy)));
    });
    assert_eq!(found, []);
}

//! The person moves again: her case follows her under the consent that she gives to the third county, and nothing goes there
//! that it does not cover. When she takes it back, the third county forgets, and the case goes no further.

use std::collections::BTreeSet;

use domain::case::{OfferState, Seat, Stage, TransferCause};
use domain::consent::{ConsentScope, ConsentTerms, Given, Ground};
use domain::id::{CaseId, ConsentId, MessageId};
use domain::message::{Body, Content, FeedbackOutcome, Kind, PregnancyFeedback, PregnancyReport};
use domain::person::PersonReference;
use domain::service::Service;
use store::letters::NoticeKind;
use store::messages::Side;
use store::tables::{NOTICE, TODO};

use super::cases::{THIRD, kept};
use super::clocks::day;
use super::mail::{Post, agree, content, deliver, draft, offer, row};
use super::taken_back::{last, perform, take, word};
use super::withdrawals::{area, withdraw};
use super::*;
use crate::app::cases::steps::Action;
use crate::app::cases::{duties, opening};
use crate::app::consents::{self, spread};
use crate::app::messages::grounds::Grounds;
use crate::app::messages::send;

const KINDS: [Kind; 2] = [Kind::PregnancyReport, Kind::PregnancyFeedback];

/// The residence, the origin, and the county to which she moves.
struct World {
    here: Office,
    origin: Office,
    third: Office,
    post: Post,
}

impl World {
    async fn new() -> Self {
        let (here, origin) = (Office::here(), Office::of(ORIGIN));
        let (third, post) = (Office::of(THIRD), Post::new());
        for (office, with) in [(&here, ORIGIN), (&here, THIRD), (&origin, HERE)] {
            agree(office, with, &KINDS, 36).await;
        }
        for (office, with) in [(&origin, THIRD), (&third, HERE), (&third, ORIGIN)] {
            agree(office, with, &KINDS, 36).await;
        }
        here.arrive(woman()).await;
        Self { here, origin, third, post }
    }

    /// She lets a county be told.
    async fn consents(&self, to: &str, terms: impl Fn(ConsentTerms) -> ConsentTerms) -> ConsentId {
        let usual = ConsentTerms {
            scopes: [ConsentScope::Pregnancy].into(),
            recipient: area(to),
            given_on: today().plus_days(-30),
            valid_until: today().plus_years(1),
            given: Given::Online,
        };
        let (clerk, store) = (self.here.clerk(), &self.here.store);
        let given = consents::record(&clerk, store, woman().document, terms(usual)).await;
        given.unwrap().id()
    }

    /// The residence asks the origin, which has it.
    async fn ask(&self, wanted: &[Service]) -> CaseId {
        let both = |terms: ConsentTerms| ConsentTerms {
            scopes: ConsentScope::ALL.iter().copied().collect(),
            ..terms
        };
        let first = self.consents(ORIGIN, both).await;
        let her = woman();
        let body = PregnancyReport {
            expected_month: None,
            services_wanted: wanted.iter().copied().collect(),
            note: None,
        };
        let said = Content {
            basis: LawfulBasis::Consent,
            purpose: Purpose::HealthService,
            consent: None,
            service_request: None,
            person: Some(PersonReference { document: her.document, name: her.name }),
            body: body.into(),
            ..content(1, Kind::PregnancyReport)
        };
        let grounds = Grounds { consent: Some(first), request: None };
        let draft = send::Draft { grounds, ..draft(said) };
        let sent = send::send(&self.here.clerk(), &self.here.store, &self.post, draft).await;
        let sent = sent.unwrap();
        self.bring(&self.here, &self.origin, ORIGIN, Kind::PregnancyReport).await;
        sent.case
    }

    /// The last message of that kind arrives.
    async fn bring(&self, from: &Office, to: &Office, code: &str, kind: Kind) -> MessageId {
        let id = last(from, code, kind).unwrap();
        deliver(from, &self.post, to, &[id], NOW).await;
        id
    }

    async fn offer(&self, case: CaseId) -> Result<(), AppError> {
        let offered = Action::Offer(area(THIRD), TransferCause::PersonMoved, day(3));
        take(&self.here, &self.post, case, offered).await
    }

    async fn is_accepted(&self, case: CaseId) {
        self.offer(case).await.unwrap();
        self.bring(&self.here, &self.third, THIRD, Kind::HandOverOffer).await;
        take(&self.third, &self.post, case, Action::Accept).await.unwrap();
        self.bring(&self.third, &self.here, HERE, Kind::HandOverAcceptance).await;
    }

    async fn run(&self, office: &Office) -> usize {
        duties::run(office.area, &office.store, &self.post, NOW).await.unwrap()
    }

    /// The case is handed over; the message that brought it.
    async fn moves(&self, case: CaseId) -> MessageId {
        self.is_accepted(case).await;
        assert_eq!(self.run(&self.here).await, 1);
        let brought = self.bring(&self.here, &self.third, THIRD, Kind::HandOver).await;
        self.bring(&self.here, &self.origin, ORIGIN, Kind::Forward).await;
        for office in [&self.origin, &self.third] {
            assert!(kept(office, case).case.view().sits(area(THIRD), Seat::Asking));
        }
        brought
    }

    /// The origin answers whoever asks now.
    async fn answer(&self, case: CaseId) -> Result<(), AppError> {
        take(&self.origin, &self.post, case, Action::Answer(Box::new(feedback()))).await
    }

    /// What a node still has of the case's first document.
    fn first(&self, office: &Office, case: CaseId) -> Option<Content> {
        opening::opening(&office.store, case).unwrap()
    }
}

fn feedback() -> Body {
    let outcome = FeedbackOutcome::ServiceArranged;
    let services_arranged = [Service::AntenatalCare].into();
    PregnancyFeedback { outcome, services_arranged, note: None }.into()
}

fn deleted(office: &Office, id: MessageId, side: Side) -> bool {
    row(&office.store, id, side).content.0.is_empty()
}

#[tokio::test]
async fn her_case_follows_her_under_a_new_consent_and_a_withdrawal_follows_it() {
    let world = World::new().await;
    let World { here, origin, third, post } = &world;
    let case = world.ask(&[Service::AntenatalCare]).await;
    let told = refused(world.offer(case).await);
    assert_eq!(told, (Reason::BasisRequired, "consent.recipient".to_owned()));
    let second = world.consents(THIRD, |terms| terms).await;
    let brought = world.moves(case).await;
    assert_eq!(refused(take(here, post, case, Action::Remind(None)).await).0, Reason::NotHolder);

    // The origin is reminded and answers once, to where she lives now, under what she has allowed that county.
    take(third, post, case, Action::Remind(None)).await.unwrap();
    world.bring(third, origin, ORIGIN, Kind::Remind).await;
    world.answer(case).await.unwrap();
    let answer = world.bring(origin, third, THIRD, Kind::PregnancyFeedback).await;
    assert_eq!(kept(third, case).case.view().stage, Stage::Answered);
    let said = opening::document(&third.store, case, answer).unwrap().unwrap();
    assert_eq!(said.consent.unwrap().consent_id, second);

    let ground = Ground::Consent(second);
    withdraw(here, ground).await.unwrap();
    assert_eq!(perform(here, post).await, 2, "the third county and the origin are told");
    for (office, code) in [(third, THIRD), (origin, ORIGIN)] {
        world.bring(here, office, code, Kind::ConsentWithdrawal).await;
        word(office, post, (here, HERE), Kind::ConsentWithdrawalDone).await;
    }
    assert!(deleted(third, brought, Side::Received) && deleted(third, answer, Side::Received));
    assert!(deleted(origin, answer, Side::Sent), "its own answer");
    assert_eq!(world.first(third, case), None);
    assert!(world.first(origin, case).is_some(), "that was under another consent");
    let spread = spread::of(&here.clerk(), &here.store, ground).unwrap();
    let areas: BTreeSet<_> = spread.iter().map(|at| at.area).collect();
    assert_eq!(areas, [area(ORIGIN), area(THIRD)].into());
    assert!(spread.iter().all(|at| at.row.done.is_some()), "{spread:?}");
    // It can be brought to its end, and nothing else.
    for office in [origin, third] {
        assert_eq!(kept(office, case).turn, None, "nobody has to do anything");
    }
    take(third, post, case, Action::Close(None)).await.unwrap();
    world.bring(third, origin, ORIGIN, Kind::Close).await;
    assert_eq!(kept(origin, case).case.view().stage, Stage::Closed);
}

#[tokio::test]
async fn what_was_answered_comes_along_and_what_comes_late_is_passed_on() {
    let world = World::new().await;
    let World { here, origin, third, post } = &world;
    let second = world.consents(THIRD, |terms| terms).await;
    let answered = world.ask(&[]).await;
    world.answer(answered).await.unwrap();
    let answer = world.bring(origin, here, HERE, Kind::PregnancyFeedback).await;
    world.moves(answered).await;
    assert_eq!(kept(third, answered).case.view().stage, Stage::Answered);
    assert!(opening::document(&third.store, answered, answer).unwrap().is_some());

    // Answered to the county that has left, before the origin heard of it.
    let case = world.ask(&[]).await;
    world.is_accepted(case).await;
    world.answer(case).await.unwrap();
    assert_eq!(world.run(here).await, 1);
    world.bring(here, third, THIRD, Kind::HandOver).await;
    let late = world.bring(origin, here, HERE, Kind::PregnancyFeedback).await;
    assert_eq!(world.run(here).await, 1, "it is passed on");
    let passed = world.bring(here, third, THIRD, Kind::HandOver).await;
    let under = row(&third.store, passed, Side::Received);
    let under = wire::content::decode_content(&under.content.0).unwrap().consent.unwrap();
    assert_eq!(under.consent_id, second);
    assert!(opening::document(&third.store, case, late).unwrap().is_some());
    assert_eq!(kept(third, case).case.view().stage, Stage::Answered);
    take(third, post, case, Action::Close(None)).await.unwrap();
}

#[tokio::test]
async fn nothing_goes_beyond_what_the_new_consent_covers() {
    let world = World::new().await;
    let case = world.ask(&[Service::AntenatalCare, Service::ContraceptiveCare]).await;
    let basis = |field: &str| (Reason::BasisRequired, field.to_owned());
    let other = |terms| ConsentTerms { scopes: [ConsentScope::Contraception].into(), ..terms };
    world.consents(THIRD, other).await;
    assert_eq!(refused(world.offer(case).await), basis("consent.scopes"));
    let over = |terms| ConsentTerms { valid_until: today().plus_days(-1), ..terms };
    let world = World::new().await;
    let case = world.ask(&[Service::AntenatalCare, Service::ContraceptiveCare]).await;
    world.consents(THIRD, over).await;
    assert_eq!(refused(world.offer(case).await), basis("consent.valid_until"));
    let withdrawn = world.consents(THIRD, |terms| terms).await;
    let gone = Ground::Consent(withdrawn);
    withdraw(&world.here, gone).await.unwrap();

    // Only the pregnancy: what the report says of contraception stays where it is.
    let until = today().plus_days(20);
    let second = world.consents(THIRD, |terms| ConsentTerms { valid_until: until, ..terms }).await;
    world.moves(case).await;
    let (whole, part) = (world.first(&world.here, case), world.first(&world.third, case));
    let wanted = |content: Option<Content>| match content.unwrap().body {
        Body::PregnancyReport(report) => report.services_wanted,
        _ => panic!("not what was asked"),
    };
    assert_eq!(wanted(whole).len(), 2);
    assert_eq!(wanted(part), [Service::AntenatalCare].into());

    // An answer that says more is not sent; nor is it taken from a node that sends it all the same.
    let arranged = [Service::ContraceptiveCare].into();
    let outcome = FeedbackOutcome::ServiceArranged;
    let more = PregnancyFeedback { outcome, services_arranged: arranged, note: None };
    let more = Action::Answer(Box::new(more.into()));
    let told = refused(take(&world.origin, &world.post, case, more).await);
    assert_eq!(told, basis("consent.scopes"));
    let clerk = later(&world.origin.clerk(), Duration::from_secs(30 * 86_400));
    let answer = Content {
        in_reply_to: Some(case.opening_message()),
        case: Some(case),
        basis: LawfulBasis::Consent,
        purpose: Purpose::HealthService,
        consent: None,
        body: feedback(),
        person: world.first(&world.origin, case).unwrap().person,
        ..content(1, Kind::PregnancyFeedback)
    };
    let late = send::Draft { to: area(THIRD), ..draft(answer.clone()) };
    let told = send::send(&clerk, &world.origin.store, &world.post, late).await;
    assert_eq!(refused(told), basis("consent.valid_until"));
    let in_time = send::Draft { to: area(THIRD), ..draft(answer) };
    let clerk = world.origin.clerk();
    send::send(&clerk, &world.origin.store, &world.post, in_time).await.unwrap();
    let id = last(&world.origin, THIRD, Kind::PregnancyFeedback).unwrap();
    withdraw(&world.here, Ground::Consent(second)).await.unwrap();
    perform(&world.here, &world.post).await;
    // The word about the other consent goes too, and may be the last.
    let spread = spread::of(&world.here.clerk(), &world.here.store, Ground::Consent(second));
    let to_third = |at: &&spread::Spread| at.area == area(THIRD);
    let (word, _) = spread.unwrap().iter().find(to_third).unwrap().row.told.unwrap();
    deliver(&world.here, &world.post, &world.third, &[word], NOW).await;
    assert_eq!(offer(&world.origin, &world.post, &world.third, &[id], NOW).await, 0, "too late");
}

#[tokio::test]
async fn a_consent_that_is_taken_back_before_the_case_moves_keeps_it_where_it_is() {
    let world = World::new().await;
    let case = world.ask(&[]).await;
    let second = world.consents(THIRD, |terms| terms).await;
    world.is_accepted(case).await;
    withdraw(&world.here, Ground::Consent(second)).await.unwrap();
    assert_eq!(world.run(&world.here).await, 1, "the third county hears that nothing comes");
    let view = kept(&world.here, case).case;
    assert!(matches!(view.offer(NOW), Some((_, OfferState::Withdrawn))));
    assert!(view.view().sits(area(HERE), Seat::Asking));
    let notices = world.here.store.scan(&NOTICE, .., 10).unwrap();
    let reason = Reason::ConsentWithdrawn;
    let told = NoticeKind::NotHandedOver { to: area(THIRD), reason };
    assert!(notices.iter().any(|(_, row)| row.what == told), "{notices:?}");
    let again = refused(world.offer(case).await);
    assert_eq!(again, (Reason::ConsentWithdrawn, "consent.consent_id".to_owned()));
    // The case itself goes on between the two.
    let (here, origin) = (&world.here, &world.origin);
    take(here, &world.post, case, Action::Remind(None)).await.unwrap();
    world.bring(here, origin, ORIGIN, Kind::Remind).await;
    world.answer(case).await.unwrap();
}

#[tokio::test]
async fn the_origin_has_nothing_to_do_once_the_new_consent_is_taken_back() {
    let world = World::new().await;
    let World { here, origin, third, post } = &world;
    let case = world.ask(&[]).await;
    let second = world.consents(THIRD, |terms| terms).await;
    world.moves(case).await;
    assert_eq!(origin.store.scan(&TODO, .., 10).unwrap().len(), 1);
    withdraw(here, Ground::Consent(second)).await.unwrap();
    perform(here, post).await;
    world.bring(here, origin, ORIGIN, Kind::ConsentWithdrawal).await;
    assert!(origin.store.scan(&TODO, .., 10).unwrap().is_empty(), "off the desk");
    assert_eq!(refused(world.answer(case).await).0, Reason::ConsentWithdrawn);
    // A word of the third county that has not heard of it yet does no harm.
    take(third, post, case, Action::Remind(None)).await.unwrap();
    let remind = last(third, ORIGIN, Kind::Remind).unwrap();
    offer(third, post, origin, &[remind], NOW).await;
    assert_eq!(kept(origin, case).turn, None);
}

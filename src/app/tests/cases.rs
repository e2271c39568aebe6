//! Cases whose content was deleted, and cases of counties that cannot be reached: neither keeps anything else waiting.

use std::sync::atomic::Ordering;

use domain::case::{Case, Deed, OfferState, Seat, Step, TransferCause};
use domain::id::{CaseId, MessageId};
use domain::message::{
    Body, ConsentWithdrawal, Content, Forward, HandOver, HandOverAcceptance, HandOverOffer, Kind,
    Remind,
};
use domain::person::PersonDetails;
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::registration::RegistrationDetails;
use domain::time::UnixMillis;
use store::cases::CaseRow;
use store::letters::{NoticeKind, NoticeRow};
use store::messages::Side;
use store::tables::{CASE, CASE_DUTY, MESSAGE, NOTICE};

use super::clocks::{clocks, day};
use super::mail::{Post, Stranger, agree, content_between};
use super::{HERE, NOW, ORIGIN, Office, refused};
use crate::app::AppError;
use crate::app::cases::duties;
use crate::app::cases::steps::{self, Action, Order};
use crate::app::messages::send::Outgoing;
use crate::app::registrations::{self, Arrival};

/// A county that takes cases over.
pub(super) const THIRD: &str = "411528";
/// A county whose card never comes.
const FAR: &str = "510104";

/// A report that rests on a consent, from the residence to the origin. She lets the third county be told, too.
pub(super) fn consented() -> Content {
    let mut report = (1..).map(report).find(|content| content.consent.is_some()).unwrap();
    report.consent.as_mut().unwrap().recipient = THIRD.parse().unwrap();
    report
}

fn report(seed: u64) -> Content {
    content_between(seed, Kind::PregnancyReport, HERE, ORIGIN)
}

/// What offices say to each other about a case, or about nobody.
pub(super) fn between(case: Option<CaseId>, body: Body) -> Content {
    Content {
        case,
        in_reply_to: None,
        basis: LawfulBasis::OfficeAgreement,
        purpose: Purpose::OfficeAgreement,
        consent: None,
        service_request: None,
        person: None,
        replaces: None,
        step: 9,
        answered_from: None,
        asked_again: None,
        body,
    }
}

pub(super) fn kept(office: &Office, case: CaseId) -> CaseRow {
    office.store.get(&CASE, case.as_bytes()).unwrap().unwrap()
}

/// The origin has a consented case, has offered it to a third county, and that has accepted; then the person takes her
/// consent back.
async fn withdrawn_in_a_hand_over(office: &Office, post: &Post, asker: &mut Stranger) -> CaseId {
    for county in [HERE, THIRD] {
        agree(office, county, &[Kind::PregnancyReport, Kind::PregnancyFeedback], 36).await;
    }
    let report = consented();
    let ground = report.ground().unwrap();
    let case = CaseId::from(asker.says(office, report, NOW).await);
    let to = THIRD.parse().unwrap();
    let order = Order {
        case,
        expected: kept(office, case).version,
        action: Action::Offer(to, TransferCause::PersonMoved, day(3)),
        idempotency_key: String::new(),
        listed: false,
    };
    steps::take(&office.clerk(), &office.store, post, order).await.unwrap();
    let accepted = HandOverAcceptance { seat: Seat::Answering, term: 2 };
    Stranger::of(THIRD).says(office, between(Some(case), accepted.into()), NOW).await;
    let withdrawal = ConsentWithdrawal { ground, withdrawn: NOW };
    asker.says(office, between(None, withdrawal.into()), NOW).await;
    case
}

#[tokio::test]
async fn a_case_whose_content_was_deleted_is_not_handed_over_and_stops_nothing() {
    let (office, post) = (Office::of(ORIGIN), Post::new());
    let mut asker = Stranger::of(HERE);
    let case = withdrawn_in_a_hand_over(&office, &post, &mut asker).await;
    asker.says(&office, content_between(4, Kind::ArrivalNotice, HERE, ORIGIN), NOW).await;
    let done = duties::run(office.area, &office.store, &post, NOW).await.unwrap();
    assert_eq!(done, 1, "the third county is told that nothing comes");
    let row = kept(&office, case);
    assert!(matches!(row.case.offer(NOW), Some((_, OfferState::Withdrawn))));
    assert_eq!(duties::run(office.area, &office.store, &post, NOW).await.unwrap(), 0);
    let mut told = 0;
    for days in 1..7 {
        told += clocks(&office).scan(day(days)).await.unwrap().told;
    }
    assert!(told > 0, "the clocks run on");
    // What still comes in such a case is taken.
    let remind = between(Some(case), Remind { note: None }.into());
    asker.says(&office, remind, day(1)).await;
}

#[tokio::test]
async fn a_case_that_rests_on_a_request_to_one_county_goes_to_no_other() {
    let (office, post) = (Office::of(ORIGIN), Post::new());
    for county in [HERE, THIRD] {
        agree(&office, county, &[Kind::PregnancyReport, Kind::PregnancyFeedback], 36).await;
    }
    let report = (1..).map(report).find(|content| content.service_request.is_some()).unwrap();
    let case = CaseId::from(Stranger::of(HERE).says(&office, report, NOW).await);
    let (to, expected) = (THIRD.parse().unwrap(), kept(&office, case).version);
    let action = Action::Offer(to, TransferCause::PersonMoved, day(3));
    let order = Order { case, expected, action, idempotency_key: String::new(), listed: false };
    let told = refused(steps::take(&office.clerk(), &office.store, &post, order).await);
    assert_eq!(told, (Reason::BasisRequired, "service_request.request_id".to_owned()));

    // A node of before had offered it all the same.
    let offer = HandOverOffer {
        seat: Seat::Answering,
        term: 2,
        until: day(3),
        cause: TransferCause::PersonMoved,
        kind: Kind::PregnancyReport,
        due: None,
    };
    let offer = (to, between(Some(case), offer.into()));
    let mut offer = Outgoing::new(office.area, &office.store, &post, offer, None, NOW).unwrap();
    let offered = office.store.commit(move |unit| offer.accept(unit));
    let offered = offered.await.map_err(AppError::from).unwrap();
    let accepted = HandOverAcceptance { seat: Seat::Answering, term: 2 };
    let accepted = Content { step: 10, ..between(Some(case), accepted.into()) };
    Stranger::of(THIRD).says(&office, accepted, NOW).await;
    assert_eq!(duties::run(office.area, &office.store, &post, NOW).await.unwrap(), 1);
    let row = kept(&office, case);
    assert!(matches!(row.case.offer(NOW), Some((_, OfferState::Withdrawn))));
    assert_eq!(row.case.view().holder(), Some(office.area));
    let sent = office.store.scan_personal(&MESSAGE, .., 100).unwrap();
    let sent = sent.into_iter().filter_map(|(key, kept)| Some((key.1, kept.value()?)));
    let to_third = sent.filter(|(side, row)| *side == Side::Sent.byte() && row.peer == to);
    let kinds: Vec<_> = to_third.map(|(_, row)| row.kind().unwrap()).collect();
    assert_eq!(kinds, [Kind::HandOverOffer, Kind::HandOverWithdrawal], "it holds nothing");
    let notices = office.store.scan(&NOTICE, .., 10).unwrap();
    let why = NoticeKind::NotHandedOver { to, reason: Reason::BasisRequired };
    let told = |row: &NoticeRow| row.what == why && row.messages == [offered.id];
    assert!(notices.iter().any(|(_, row)| told(row)), "{notices:?}");
}

#[tokio::test]
async fn a_step_is_taken_whose_case_is_only_known_by_a_message_that_was_deleted() {
    let (office, post) = (Office::of(ORIGIN), Post::new());
    let mut asker = Stranger::of(HERE);
    let case = withdrawn_in_a_hand_over(&office, &post, &mut asker).await;
    let forgotten = office.store.commit(move |unit| {
        unit.delete(&CASE, case.as_bytes());
        Ok::<_, AppError>(())
    });
    forgotten.await.map_err(AppError::from).unwrap();
    asker.says(&office, between(Some(case), Remind { note: None }.into()), day(1)).await;
    assert_eq!(kept(&office, case).case.steps().len(), 1);
}

/// A case in which a county has accepted what is not offered any more; it is to be told.
pub(super) async fn late_acceptance(office: &Office, from: &str, number: u16) -> CaseId {
    let case =
        CaseId::from_bytes([&number.to_be_bytes()[..], &[9; 14]].concat().try_into().unwrap());
    let step = Step {
        id: MessageId::new(NOW, crate::time::random()),
        from: from.parse().unwrap(),
        to: office.area,
        step: 2,
        created: NOW,
        deed: Deed::Accept { seat: Seat::Answering, term: 2 },
    };
    let mut row = CaseRow::new(case, NOW);
    assert!(row.case.add(step).unwrap());
    let written = office.store.commit(move |unit| {
        unit.put(&CASE, case.as_bytes(), &row)?;
        Ok::<_, AppError>(unit.put(&CASE_DUTY, case.as_bytes(), &())?)
    });
    written.await.map_err(AppError::from).unwrap();
    case
}

#[tokio::test]
async fn cases_of_a_county_that_cannot_be_reached_keep_no_other_waiting() {
    let (office, post) = (Office::of(ORIGIN), Post::without(FAR));
    for number in 0..257 {
        late_acceptance(&office, FAR, number).await;
    }
    let last = late_acceptance(&office, THIRD, 1_000).await;
    assert_eq!(duties::run(office.area, &office.store, &post, NOW).await.unwrap(), 1);
    assert_eq!(kept(&office, last).case.duty(office.area, NOW), None);
    assert_eq!(post.tried.load(Ordering::Relaxed), 1, "asked once a round");
    let waits = |case: Case, now: UnixMillis| case.duty(office.area, now).is_some();
    let rows = office.store.scan(&CASE, .., 1_000).unwrap();
    assert_eq!(rows.into_iter().filter(|(_, row)| waits(row.case.clone(), NOW)).count(), 257);
}

/// The origin has given a case away that a person need not have asked for.
async fn given_away(office: &Office, post: &Post, asker: &mut Stranger) -> (CaseId, Content) {
    let question = content_between(1, Kind::ArrivalNotice, HERE, ORIGIN);
    let case = CaseId::from(asker.says(office, question.clone(), NOW).await);
    let to = THIRD.parse().unwrap();
    let (expected, action) =
        (kept(office, case).version, Action::Offer(to, TransferCause::OfficeChanged, day(3)));
    let order = Order { case, expected, action, idempotency_key: String::new(), listed: false };
    steps::take(&office.clerk(), &office.store, post, order).await.unwrap();
    let accepted = HandOverAcceptance { seat: Seat::Answering, term: 2 };
    let accepted = Content { step: 2, ..between(Some(case), accepted.into()) };
    Stranger::of(THIRD).says(office, accepted, NOW).await;
    assert_eq!(duties::run(office.area, &office.store, post, NOW).await.unwrap(), 1);
    assert_eq!(kept(office, case).case.view().holder(), Some(to));
    (case, question)
}

/// How many documents each hand-over to the third county has.
fn handed_over(office: &Office) -> Vec<usize> {
    hand_overs(office).into_iter().map(|body| body.documents.len()).collect()
}

/// Hand-overs to the third county.
fn hand_overs(office: &Office) -> Vec<HandOver> {
    let sent = office.store.scan_personal(&MESSAGE, .., 500).unwrap();
    let sent = sent.into_iter().filter(|(key, _)| key.1 == Side::Sent.byte());
    let contents = sent.filter_map(|(_, kept)| {
        let row = kept.value()?;
        wire::content::decode_content(&row.content.0).ok()
    });
    let bodies = contents.filter_map(|content| match content.body {
        Body::HandOver(body) => Some(body),
        _ => None,
    });
    bodies.collect()
}

#[tokio::test]
async fn more_than_one_message_holds_is_passed_on_in_several() {
    let (office, post, mut asker) = (Office::of(ORIGIN), Post::new(), Stranger::of(HERE));
    let (case, _) = given_away(&office, &post, &mut asker).await;
    assert_eq!(handed_over(&office), [1]);
    for step in 10..80 {
        let remind = Content { step, ..between(Some(case), Remind { note: None }.into()) };
        asker.says(&office, remind, NOW).await;
    }
    let run = || duties::run(office.area, &office.store, &post, NOW);
    assert_eq!((run().await.unwrap(), run().await.unwrap()), (1, 1));
    let documents = handed_over(&office);
    assert_eq!(documents.iter().sum::<usize>(), 1 + (1 + 63) + (1 + 7), "{documents:?}");
    run().await.unwrap();
    assert!(office.store.scan(&CASE_DUTY, .., 10).unwrap().is_empty());
}

#[tokio::test]
async fn who_sits_opposite_from_now_on_is_passed_on_as_well() {
    let (office, post, mut asker) = (Office::of(ORIGIN), Post::new(), Stranger::of(HERE));
    let (case, _) = given_away(&office, &post, &mut asker).await;
    // The asking office gave its side away at the same time, and told the one that it knew to sit opposite.
    let (seat, term, area) = (Seat::Asking, 2, "330106".parse().unwrap());
    let forward = Forward { seat, term, area, cause: TransferCause::PersonMoved };
    let forward = Content { step: 10, ..between(Some(case), forward.into()) };
    asker.says(&office, forward, NOW).await;
    assert_eq!(duties::run(office.area, &office.store, &post, NOW).await.unwrap(), 1);
    let brought = hand_overs(&office);
    let knows = |body: &HandOver| {
        body.steps.iter().any(|step| step.deed == Deed::Transfer { seat, term, area })
    };
    assert_eq!(brought.iter().map(knows).collect::<Vec<_>>(), [false, true]);
    duties::run(office.area, &office.store, &post, NOW).await.unwrap();
    assert!(office.store.scan(&CASE_DUTY, .., 10).unwrap().is_empty());
}

#[tokio::test]
async fn what_can_never_be_passed_on_is_told_and_does_not_stick() {
    let (office, post, mut asker) = (Office::of(ORIGIN), Post::new(), Stranger::of(HERE));
    let (case, question) = given_away(&office, &post, &mut asker).await;
    // She is registered here meanwhile, and at risk: where her case is says where she is.
    let her = question.person.unwrap();
    let number = her.document.resident_id().unwrap();
    let (birth_date, sex) = (number.birth_date(), number.sex());
    let (document, name) = (her.document.clone(), her.name.clone());
    let details =
        PersonDetails { document, name, birth_date, sex, at_risk: true, ..super::person(0) };
    let stay = RegistrationDetails {
        residence_area: "410522100".parse().unwrap(),
        origin_area: HERE.parse().unwrap(),
        ..super::stay()
    };
    let arrival = Arrival { details: stay, ..super::arrival(details) };
    registrations::arrive(&office.clerk(), &office.store, arrival).await.unwrap();
    let remind = Content { step: 10, ..between(Some(case), Remind { note: None }.into()) };
    asker.says(&office, remind, NOW).await;
    let run = || duties::run(office.area, &office.store, &post, NOW);
    run().await.unwrap();
    let notices = office.store.scan(&NOTICE, .., 10).unwrap();
    let to = THIRD.parse().unwrap();
    let why = NoticeKind::NotPassedOn { to, reason: Reason::ResidenceHidden };
    let told = |row: &NoticeRow| row.what == why && row.messages == [case.opening_message()];
    assert!(notices.iter().any(|(_, row)| told(row)), "{notices:?}");
    assert_eq!(handed_over(&office), [1]);
    run().await.unwrap();
    assert!(office.store.scan(&CASE_DUTY, .., 10).unwrap().is_empty());
}

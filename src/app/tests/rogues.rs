//! Counties that say what is not theirs to say: it changes nothing here.

use std::time::Duration;

use domain::case::{Deed, Seat, Stage, Step, TransferCause};
use domain::id::{CaseId, MessageId};
use domain::message::{Clarify, Content, Document, HandOver, HandOverOffer, Kind, Void};
use domain::reason::Reason;
use domain::text::{Passage, WrittenReason};
use domain::time::UnixMillis;
use exchange::lane::LaneEpoch;
use exchange::receipt::Outcome;
use store::messages::Side;

use super::cases::{THIRD, between, kept};
use super::mail::{Post, Stranger, content, content_between, row, said_again, send};
use super::{HERE, NOW, ORIGIN, Office};
use crate::app::AppError;
use crate::app::cases::steps::{self, Action, Order};
use crate::app::messages::heal::Healing;
use crate::app::messages::read;
use crate::app::messages::send::Accepted;
use crate::app::messages::settle;
use crate::app::reconcile::cures;

const DAY: Duration = Duration::from_secs(86_400);

/// A question from here to the origin.
pub(super) async fn asked(office: &Office, post: &Post) -> Accepted {
    send(office, &office.clerk(), post, content(3, Kind::CertificateInquiry)).await
}

fn stage(office: &Office, case: CaseId) -> Stage {
    kept(office, case).case.view().stage
}

fn step(from: &str, to: &str, place: u32, deed: Deed) -> Step {
    let id = MessageId::new(NOW, crate::time::random());
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    Step { id, from, to, step: place, created: NOW, deed }
}

/// A hand-over of the answering side of a case between here and the origin, with whatever somebody says was done in it.
pub(super) fn hand_over(case: CaseId, term: u32, said: Vec<Step>) -> Content {
    let due = Some(NOW.saturating_add(5 * DAY));
    let open = Deed::Open { kind: Kind::CertificateInquiry, due };
    let open = Step { id: case.opening_message(), ..step(HERE, ORIGIN, 0, open) };
    let question = content(3, Kind::CertificateInquiry);
    let document = Document { id: open.id, content: Box::new(question.clone()) };
    let body = HandOver {
        seat: Seat::Answering,
        term,
        cause: TransferCause::WrongCounty,
        steps: [vec![open], said].concat(),
        documents: vec![document],
    };
    let Content { basis, purpose, person, .. } = question;
    Content { basis, purpose, person, ..between(Some(case), body.into()) }
}

fn answer(question: Accepted, from: &str) -> Content {
    let (case, asked) = (Some(question.case), Some(question.id));
    let said = content_between(3, Kind::CertificateStatement, from, HERE);
    Content { case, in_reply_to: asked, step: 1, ..said }
}

#[tokio::test]
async fn a_hand_over_that_nobody_here_has_accepted_changes_no_case() {
    let (office, post) = (Office::here(), Post::new());
    let question = asked(&office, &post).await;
    let said = vec![
        step(ORIGIN, THIRD, 1, Deed::Answer { kind: Kind::CertificateStatement }),
        step(ORIGIN, HERE, 2, Deed::Answer { kind: Kind::CertificateStatement }),
        step(HERE, ORIGIN, 3, Deed::Void),
        step(
            ORIGIN,
            THIRD,
            4,
            Deed::Transfer { seat: Seat::Answering, term: 2, area: THIRD.parse().unwrap() },
        ),
    ];
    let mut rogue = Stranger::of(THIRD);
    rogue.says(&office, hand_over(question.case, 3, said.clone()), NOW).await;
    rogue.says(&office, hand_over(question.case, 2, said), NOW).await;
    assert_eq!(stage(&office, question.case), Stage::Asked);
    assert!(row(&office.store, question.id, Side::Sent).answered.is_none());
    let (_, told) =
        Stranger::of(ORIGIN).hands(&office, answer(question, ORIGIN), |_| {}, NOW).await;
    assert_eq!(told, Outcome::Stored);
    assert_eq!(stage(&office, question.case), Stage::Answered);
}

#[tokio::test]
async fn whoever_sits_in_a_case_takes_no_other_side_of_it() {
    let (office, post) = (Office::here(), Post::new());
    let question = asked(&office, &post).await;
    Stranger::of(THIRD).says(&office, offer(question.case), NOW).await;
    let order = accept(&office, question.case);
    let taken = steps::take(&office.clerk(), &office.store, &post, order).await;
    assert_eq!(taken.unwrap_err().reason(), Reason::StateForbids);
}

pub(super) fn offer(case: CaseId) -> Content {
    let body = HandOverOffer {
        seat: Seat::Answering,
        term: 2,
        until: NOW.saturating_add(DAY),
        cause: TransferCause::WrongCounty,
        kind: Kind::CertificateInquiry,
        due: None,
    };
    between(Some(case), body.into())
}

pub(super) fn accept(office: &Office, case: CaseId) -> Order {
    let expected = kept(office, case).version;
    Order { case, expected, action: Action::Accept, idempotency_key: String::new(), listed: false }
}

#[tokio::test]
async fn a_side_is_taken_once_it_was_accepted_also_when_the_acceptance_comes_to_light_later() {
    let case = CaseId::from_bytes([5; 16]);
    for accepted_first in [true, false] {
        let (office, post) = (Office::of(THIRD), Post::new());
        let mut holder = Stranger::of(ORIGIN);
        holder.says(&office, offer(case), NOW).await;
        let give = hand_over(case, 2, Vec::new());
        if !accepted_first {
            holder.says(&office, give.clone(), NOW).await;
            assert_eq!(stage(&office, case), Stage::Offered, "it was not asked for");
            assert!(kept(&office, case).brought.is_empty());
        }
        let order = accept(&office, case);
        steps::take(&office.clerk(), &office.store, &post, order).await.unwrap();
        if accepted_first {
            holder.says(&office, give, NOW).await;
        }
        assert_eq!(kept(&office, case).brought.len(), 1);
        let view = kept(&office, case).case.view();
        assert_eq!((view.stage, view.holder()), (Stage::Asked, Some(office.area)));
        // What came late is brought by the same office in the same term; nobody else is believed.
        let late = step(HERE, ORIGIN, 3, Deed::Void);
        let again = hand_over(case, 2, vec![late]);
        Stranger::of(HERE).says(&office, again.clone(), NOW).await;
        assert_eq!(stage(&office, case), Stage::Asked);
        holder.says(&office, again, NOW).await;
        assert_eq!(stage(&office, case), Stage::Voided);
    }
}

#[tokio::test]
async fn what_belongs_to_a_case_may_come_before_what_opens_it() {
    let office = Office::of(ORIGIN);
    let mut asker = Stranger::of(HERE);
    let opening = crate::time::next_message_id(HERE.parse().unwrap(), NOW);
    let void = Void { reason: WrittenReason::new("申请人已撤回申请").unwrap() };
    let void = Content { step: 1, ..between(Some(opening.into()), void.into()) };
    asker.says(&office, void, NOW).await;
    assert_eq!(stage(&office, opening.into()), Stage::Waiting);
    let question = content(3, Kind::CertificateInquiry);
    let (_, told) = asker.hands(&office, question, |header| header.message_id = opening, NOW).await;
    assert_eq!(told, Outcome::Stored);
    assert_eq!(stage(&office, opening.into()), Stage::Voided);
}

#[tokio::test]
async fn the_office_that_answers_counts_its_days_itself() {
    let office = Office::of(ORIGIN);
    let mut asker = Stranger::of(HERE);
    let clock = Kind::CertificateInquiry.clock().unwrap();
    let far = UnixMillis::new(253_402_000_000_000);
    type Write = fn(&mut exchange::envelope::Header);
    let writes: [Write; 4] = [
        |header| header.due = None,
        |header| header.due = Some(UnixMillis::new(1)),
        |header| header.due = Some(UnixMillis::new(253_402_000_000_000)),
        |header| header.created = UnixMillis::new(253_402_000_000_000),
    ];
    for (at, write) in writes.into_iter().enumerate() {
        let question = content(at.try_into().unwrap(), Kind::CertificateInquiry);
        let (id, told) = asker.hands(&office, question, write, NOW).await;
        assert_eq!(told, Outcome::Stored);
        let due = Some(clock.due(NOW).at());
        assert_eq!(row(&office.store, id, Side::Received).due, due);
        assert_eq!(kept(&office, id.into()).case.view().due, due);
        assert!(kept(&office, id.into()).case.steps()[0].created < far);
    }
    let todo = read::todo(&office.clerk(), &office.store, 0, &[]).unwrap();
    assert_eq!(todo.tracks.len(), writes.len());
}

#[tokio::test]
async fn a_place_in_a_case_that_nobody_can_have_come_to_is_refused() {
    let (office, post) = (Office::here(), Post::new());
    let question = asked(&office, &post).await;
    let mut rogue = Stranger::of(ORIGIN);
    let clarify = |step| {
        let question_text = Passage::new("请补充结婚登记日期").unwrap();
        let body = Clarify { question: question_text };
        Content { step, ..between(Some(question.case), body.into()) }
    };
    let (_, told) = rogue.hands(&office, clarify(u32::MAX), |_| {}, NOW).await;
    let refused = Outcome::Refused { reason: Reason::InvalidField, field: Some("step".to_owned()) };
    assert_eq!(told, refused);
    assert_eq!(stage(&office, question.case), Stage::Asked);
    let far = UnixMillis::new(253_402_000_000_000);
    let (_, told) = rogue.hands(&office, clarify(200), |header| header.created = far, NOW).await;
    assert_eq!(told, Outcome::Stored);
    let said = Action::Clarification(Passage::new("二〇二五年五月二十日").unwrap());
    let expected = kept(&office, question.case).version;
    let order = Order {
        case: question.case,
        expected,
        action: said,
        idempotency_key: String::new(),
        listed: false,
    };
    steps::take(&office.clerk(), &office.store, &post, order).await.unwrap();
    assert_eq!(stage(&office, question.case), Stage::Asked, "what we say counts");
}

#[tokio::test]
async fn a_receipt_issued_again_settles_what_lies_in_its_place_and_nothing_else() {
    let (office, post) = (Office::here(), Post::new());
    let mut sent = Vec::new();
    for seed in 0..4 {
        let notice = content(seed, Kind::DepartureNotice);
        sent.push(send(&office, &office.clerk(), &post, notice).await);
    }
    let (own, to, epoch) = (office.area, sent[0].to, sent[0].epoch);
    let keep = async |places: &[u64], asked: MessageId| {
        let known = |sent: &Accepted| (sent.id, row(&office.store, sent.id, Side::Sent).digest);
        let known: Vec<_> = sent[..2].iter().map(known).collect();
        let checked = said_again((own, to), epoch, &known, places);
        let new_epoch = LaneEpoch::new(77);
        let healing = Healing { own, sealer: None, new_epoch, may_open: false, now: NOW };
        let kept = office
            .store
            .commit(move |unit| cures::keep_receipt(unit, asked, checked, &healing, NOW));
        kept.await.map_err(AppError::from)
    };
    let waiting = || settle::lane_in_epoch(&office.store, to, epoch).unwrap().waiting();
    let shifted = keep(&[3, 4], sent[0].id).await;
    assert_eq!(shifted.unwrap_err().reason(), Reason::NotForUs);
    let other = keep(&[1, 2], sent[2].id).await;
    assert_eq!(other.unwrap_err().reason(), Reason::NotForUs);
    assert_eq!(waiting(), 4);
    let marks = keep(&[1, 4], sent[0].id).await.unwrap();
    assert_eq!((marks.len(), waiting()), (1, 3), "only what lies where it is said to lie");
    let marks = keep(&[1, 2], sent[1].id).await.unwrap();
    assert_eq!((marks.len(), waiting()), (2, 2));
}

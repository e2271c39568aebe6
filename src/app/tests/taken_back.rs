//! What a person takes back is taken back everywhere: at the county that was told, at the one to which that has handed the
//! case over, and the case can be brought to its end all the same.

use domain::case::{Seat, Stage, TransferCause};
use domain::consent::{Given, Ground};
use domain::id::{CaseId, MessageId, RequestId};
use domain::message::{ConsentWithdrawal, Content, HandOverAcceptance, Kind};
use domain::text::WrittenReason;
use store::messages::Side;
use store::tables::MESSAGE;

use super::cases::{THIRD, between, consented, kept};
use super::clocks::day;
use super::mail::{Post, Stranger, agree, deliver, offer, row};
use super::withdrawals::{Sort, area, ground, report, try_report, withdraw};
use super::*;
use crate::app::cases::steps::{self, Action, Order};
use crate::app::consents::{self, spread};
use crate::app::{cases, duties, letters};

const KINDS: [Kind; 2] = [Kind::PregnancyReport, Kind::PregnancyFeedback];

/// The last message of that kind that an office has sent to a county.
pub(super) fn last(office: &Office, to: &str, kind: Kind) -> Option<MessageId> {
    let rows = office.store.scan_personal(&MESSAGE, .., 100).unwrap();
    let sent = rows.into_iter().filter_map(|((id, side), kept)| Some((id, side, kept.value()?)));
    let sent = sent.filter(|(_, side, _)| *side == Side::Sent.byte());
    let mut sent = sent.filter(|(_, _, row)| row.peer == area(to) && row.kind() == Some(kind));
    sent.next_back().map(|(id, _, _)| MessageId::from_bytes(id))
}

pub(super) async fn perform(office: &Office, post: &Post) -> usize {
    duties::perform(office.area, &office.store, post, NOW).await.unwrap()
}

/// An office sends what it has to say of a withdrawal, and the other one has it.
pub(super) async fn word(from: &Office, post: &Post, to: (&Office, &str), kind: Kind) {
    assert_eq!(perform(from, post).await, 1);
    let word = last(from, to.1, kind).unwrap();
    deliver(from, post, to.0, &[word], NOW).await;
}

pub(super) async fn take(
    office: &Office,
    post: &Post,
    case: CaseId,
    action: Action,
) -> Result<(), AppError> {
    let expected = kept(office, case).version;
    let order = Order { case, expected, action, idempotency_key: String::new(), listed: false };
    steps::take(&office.clerk(), &office.store, post, order).await
}

#[tokio::test]
async fn a_request_is_taken_back_like_a_consent() {
    for sort in Sort::ALL {
        taken_back(sort).await;
    }
}

async fn taken_back(sort: Sort) {
    let (here, there, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    agree(&here, ORIGIN, &KINDS, 12).await;
    agree(&there, HERE, &KINDS, 12).await;
    let ground = ground(&here, sort).await;
    let told = report(&here, &post, ground).await;
    deliver(&here, &post, &there, &[told.id], NOW).await;
    super::mail::receipt(&here, &[(told, None)], NOW).await;
    let waits = report(&here, &post, ground).await;

    let logged = here.logged();
    withdraw(&here, ground).await.unwrap();
    assert!(here.logged() > logged);
    let stopped = letters::show(&here.clerk(), &here.store, waits.id, LOOKING).await;
    assert!(stopped.is_ok(), "what waits is given up");
    let again = refused(try_report(&here, &post, ground).await);
    assert_eq!(again.0, Reason::ConsentWithdrawn);
    let twice = refused(withdraw(&here, ground).await);
    let field = if matches!(ground, Ground::Consent(_)) { "consent_id" } else { "request_id" };
    assert_eq!(twice.1, field);

    word(&here, &post, (&there, ORIGIN), Kind::ConsentWithdrawal).await;
    assert!(row(&there.store, told.id, Side::Received).content.0.is_empty(), "deleted");
    word(&there, &post, (&here, HERE), Kind::ConsentWithdrawalDone).await;
    let spread = spread::of(&here.clerk(), &here.store, ground).unwrap();
    assert_eq!(spread.len(), 1);
    assert!(spread[0].row.done.is_some(), "acknowledged");

    // Nothing more is said in the case but that it is over.
    let remind = refused(take(&here, &post, told.case, Action::Remind(None)).await);
    assert_eq!(remind, (Reason::ConsentWithdrawn, ground.field().to_owned()));
    let reason = WrittenReason::new("本人已撤回，不再办理。").unwrap();
    take(&here, &post, told.case, Action::Void(reason)).await.unwrap();
    let void = last(&here, ORIGIN, Kind::Void).unwrap();
    deliver(&here, &post, &there, &[void], NOW).await;
    for office in [&here, &there] {
        assert_eq!(kept(office, told.case).case.view().stage, Stage::Voided);
    }
}

#[tokio::test]
async fn only_what_is_on_record_is_taken_back() {
    let office = Office::here();
    let unknown = Ground::Request(RequestId::from_bytes([9; 16]));
    assert_eq!(refused(withdraw(&office, unknown).await).0, Reason::NotFound);
    let Ground::Request(id) = ground(&office, Sort::Request).await else { panic!("no request") };
    let supervisor = office.operator("lan", Role::Supervisor);
    let told = consents::withdraw_request(&supervisor, &office.store, id, Given::Online).await;
    assert_eq!(refused(told).0, Reason::RoleRequired);
}

#[tokio::test]
async fn a_withdrawal_follows_a_case_that_was_handed_over() {
    let (office, third, post) = (Office::of(ORIGIN), Office::of(THIRD), Post::new());
    for county in [HERE, THIRD] {
        agree(&office, county, &KINDS, 36).await;
    }
    agree(&third, ORIGIN, &KINDS, 36).await;
    let (mut asker, said) = (Stranger::of(HERE), consented());
    let ground = said.ground().unwrap();
    let opening = asker.says(&office, said, NOW).await;
    let case = CaseId::from(opening);
    let offered = Action::Offer(area(THIRD), TransferCause::PersonMoved, day(3));
    take(&office, &post, case, offered).await.unwrap();
    let accepted = HandOverAcceptance { seat: Seat::Answering, term: 2 };
    Stranger::of(THIRD).says(&office, between(Some(case), accepted.into()), NOW).await;
    assert_eq!(cases::duties::run(office.area, &office.store, &post, NOW).await.unwrap(), 1);
    let brought = last(&office, THIRD, Kind::HandOver).unwrap();
    deliver(&office, &post, &third, &[brought], NOW).await;

    // A county that is not in the case takes nothing back.
    let withdrawal = || between(None, ConsentWithdrawal { ground, withdrawn: NOW }.into());
    let withdrawal = || Content { step: 0, ..withdrawal() };
    Stranger::of("440306").says(&office, withdrawal(), NOW).await;
    assert!(!row(&office.store, brought, Side::Sent).content.0.is_empty());
    assert_eq!(perform(&office, &post).await, 1, "it had nothing, and says so");

    asker.says(&office, withdrawal(), NOW).await;
    for (id, side) in [(opening, Side::Received), (brought, Side::Sent)] {
        assert!(row(&office.store, id, side).content.0.is_empty(), "deleted: {side:?}");
    }
    word(&office, &post, (&third, THIRD), Kind::ConsentWithdrawal).await;
    assert_eq!(last(&office, HERE, Kind::ConsentWithdrawalDone), None, "the third county has it");
    assert!(row(&third.store, brought, Side::Received).content.0.is_empty());
    word(&third, &post, (&office, ORIGIN), Kind::ConsentWithdrawalDone).await;
    assert_eq!(perform(&office, &post).await, 1);
    assert!(last(&office, HERE, Kind::ConsentWithdrawalDone).is_some(), "now nothing is left");
    let told = spread::of(&office.clerk(), &office.store, ground).unwrap();
    assert_eq!(told.iter().map(|at| at.area).collect::<Vec<_>>(), [area(THIRD)]);
    // What comes twice changes nothing.
    let done = last(&third, ORIGIN, Kind::ConsentWithdrawalDone).unwrap();
    assert_eq!(offer(&third, &post, &office, &[done], NOW).await, 0);
    assert_eq!(perform(&office, &post).await, 0);
}

//! Tests of dead letters: made by what happens, ended by a person or by a late receipt, once.

use domain::access::{AccessAction, Role};
use domain::message::{Body, Content, Kind};
use domain::reason::Reason;
use domain::text::Note;
use store::letters::{DeadReason, DeadState, NoticeKind};
use store::messages::{EnvelopeKey, Side};
use store::tables::{DEAD_LETTER, WITHDRAWN};

use super::mail::{self, Post, content, content_between, deliver, receipt};
use super::{HERE, LOOKING, NOW, ORIGIN, Office, notices, refused};
use crate::app::letters::{self, Again, Discard, Filter, Letter};
use crate::app::messages::grounds::Grounds;
use crate::app::messages::read;
use crate::app::messages::send::Accepted;
use crate::app::messages::track::Stage;
use crate::app::{AppError, Ctx};

fn open(office: &Office) -> Vec<Letter> {
    letters::list(&office.clerk(), &office.store, Filter::default(), 0, None).unwrap().letters
}

fn again(id: domain::id::MessageId) -> Again {
    Again {
        id,
        content: None,
        grounds: Grounds::default(),
        to: None,
        expires: None,
        idempotency_key: String::new(),
    }
}

async fn give_up(ctx: &Ctx, office: &Office, sent: Accepted) -> Result<Letter, AppError> {
    let reason = Note::new("已电话核实，不再需要").unwrap();
    let given = Discard { id: sent.id, reason, idempotency_key: String::new() };
    letters::discard(ctx, &office.store, given).await
}

async fn lose(office: &Office, sent: Accepted, why: DeadReason) -> bool {
    let lost = office.store.commit(move |unit| letters::lose(unit, sent.id, why, NOW));
    lost.await.map_err(AppError::from).unwrap()
}

/// Whether the envelope of a message travels without its body.
fn withdrawn(office: &Office, sent: Accepted) -> bool {
    let (side, epoch) = EnvelopeKey::of(Side::Sent, sent.to, sent.epoch).key();
    office.store.get(&WITHDRAWN, &(side, epoch, sent.sequence.get())).unwrap().is_some()
}

#[tokio::test]
async fn a_refused_message_is_a_letter_and_is_sent_again_as_another_that_names_it() {
    let (office, post) = (Office::here(), Post::new());
    let clerk = office.clerk();
    let original = content(1, Kind::ArrivalNotice);
    let refused_one = mail::send(&office, &clerk, &post, original.clone()).await;
    let stored_one = mail::send(&office, &clerk, &post, content(2, Kind::ArrivalNotice)).await;
    let said = [(refused_one, Some(Reason::DateInFuture)), (stored_one, None)];
    receipt(&office, &said, NOW).await;
    receipt(&office, &said, NOW).await;

    let listed = open(&office);
    assert_eq!(listed.len(), 1);
    let track = &listed[0].track;
    assert_eq!((track.id, track.stage), (refused_one.id, Stage::Refused));
    assert_eq!(track.reason, Some(Reason::DateInFuture));
    let told = notices::all(&office);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].row.what, NoticeKind::DeadLetter { to: ORIGIN.parse().unwrap() });
    assert_eq!(told[0].row.messages, [refused_one.id]);

    // The content is shown to who may send such a message, and the look is in the log.
    let logged = office.logged();
    let (letter, shown) =
        letters::show(&clerk, &office.store, refused_one.id, LOOKING).await.unwrap();
    assert_eq!((shown, letter.row.state), (original.clone(), DeadState::Open));
    assert_eq!(office.logged(), logged + 1);

    let edited = Content {
        basis: domain::purpose::LawfulBasis::StatutoryDuty,
        ..content(1, Kind::ArrivalNotice)
    };
    let asked = || Again {
        content: Some(edited.clone()),
        idempotency_key: "once".to_owned(),
        ..again(refused_one.id)
    };
    let sent = letters::resend(&clerk, &office.store, &post, asked()).await.unwrap();
    let same = letters::resend(&clerk, &office.store, &post, asked()).await.unwrap();
    assert_eq!(sent, same, "the same call gives the same message");
    assert_eq!(office.logged(), logged + 2);
    let entry = office.store.access_after(logged + 1, 1).unwrap().remove(0);
    assert_eq!((entry.action, entry.message), (AccessAction::Send, Some(sent.id)));

    assert!(open(&office).is_empty());
    let old = read::track(&clerk, &office.store, refused_one.id).unwrap();
    assert_eq!((old.stage, old.replaced_by), (Stage::Replaced, Some(sent.id)));
    let new = read::track(&clerk, &office.store, sent.id).unwrap();
    assert_eq!((new.stage, new.replaces), (Stage::Queued, Some(refused_one.id)));

    // Something was done about it: neither a second one nor giving up.
    let twice = letters::resend(&clerk, &office.store, &post, again(refused_one.id)).await;
    assert_eq!(refused(twice).0, Reason::StateForbids);
    assert_eq!(refused(give_up(&clerk, &office, refused_one).await).0, Reason::StateForbids);
    // What arrived is no letter.
    let arrived = letters::resend(&clerk, &office.store, &post, again(stored_one.id)).await;
    assert_eq!(refused(arrived).0, Reason::NotFound);
    assert_eq!(refused(give_up(&clerk, &office, stored_one).await).0, Reason::StateForbids);
}

#[tokio::test]
async fn an_edited_letter_is_still_the_same_letter() {
    let (office, post) = (Office::here(), Post::new());
    let clerk = office.clerk();
    let sent = mail::send(&office, &clerk, &post, content(1, Kind::ArrivalNotice)).await;
    receipt(&office, &[(sent, Some(Reason::DateInFuture))], NOW).await;
    let with = |content| Again { content: Some(content), ..again(sent.id) };
    let other_kind = with(content(1, Kind::DepartureNotice));
    let result = letters::resend(&clerk, &office.store, &post, other_kind).await;
    assert_eq!(refused(result), (Reason::InvalidField, "content.body".to_owned()));
    let mut answer = content(1, Kind::ArrivalNotice);
    answer.in_reply_to = Some(sent.id);
    let result = letters::resend(&clerk, &office.store, &post, with(answer)).await;
    assert_eq!(refused(result).1, "content.in_reply_to");
    // By the ordinary way nothing is replaced.
    let mut replacing = content(3, Kind::ArrivalNotice);
    replacing.replaces = Some(sent.id);
    let result =
        crate::app::messages::send::send(&clerk, &office.store, &post, mail::draft(replacing));
    assert_eq!(refused(result.await).1, "content.replaces");
}

#[tokio::test]
async fn what_expires_travels_without_its_body_and_a_late_receipt_ends_the_letter() {
    let (office, post) = (Office::here(), Post::new());
    let clerk = office.clerk();
    let sent = mail::send(&office, &clerk, &post, content(1, Kind::ArrivalNotice)).await;
    assert!(lose(&office, sent, DeadReason::Expired).await);
    assert!(withdrawn(&office, sent));
    let listed = open(&office);
    assert_eq!((listed.len(), listed[0].track.stage), (1, Stage::Expired));

    // Its recipient refuses what comes without a body: that is no other letter.
    receipt(&office, &[(sent, Some(Reason::Expired))], NOW).await;
    assert_eq!(open(&office).len(), 1);
    assert_eq!(notices::all(&office)[0].row.count, 1);

    // Another one had arrived in time; only its receipt was late.
    let late = mail::send(&office, &clerk, &post, content(2, Kind::ArrivalNotice)).await;
    assert!(lose(&office, late, DeadReason::Expired).await);
    receipt(&office, &[(late, None)], NOW).await;
    assert_eq!(open(&office).len(), 1);
    let row = office.store.get(&DEAD_LETTER, late.id.as_bytes()).unwrap().unwrap();
    assert_eq!(row.state, DeadState::Arrived { at: NOW });
    assert_eq!(read::track(&clerk, &office.store, late.id).unwrap().replaced_by, None);
    // What has its receipt cannot be lost any more.
    assert!(!lose(&office, late, DeadReason::RecipientRetired).await);
}

#[tokio::test]
async fn what_is_given_up_needs_a_reason_and_sends_nothing_more() {
    let (office, post) = (Office::here(), Post::new());
    let clerk = office.clerk();
    // Before it arrives, too.
    let sent = mail::send(&office, &clerk, &post, content(1, Kind::ArrivalNotice)).await;
    let logged = office.logged();
    let letter = give_up(&clerk, &office, sent).await.unwrap();
    assert_eq!(letter.track.stage, Stage::Discarded);
    assert_eq!(letter.row.why, DeadReason::Withdrawn);
    assert!(withdrawn(&office, sent));
    let entry = office.store.access_after(logged, 1).unwrap().remove(0);
    assert_eq!((entry.action, entry.message), (AccessAction::Discard, Some(sent.id)));
    let (shown, _) = letters::show(&clerk, &office.store, sent.id, LOOKING).await.unwrap();
    let why = domain::purpose::Purpose::Verification;
    assert_eq!(shown.discard_reason.unwrap().expose(&why), "已电话核实，不再需要");
    // The list shows no words of anybody.
    let all = Filter { all: true, to: None };
    let listed = letters::list(&clerk, &office.store, all, 0, None).unwrap().letters;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].discard_reason.is_none());
    // It had arrived: the recipient's word counts.
    receipt(&office, &[(sent, None)], NOW).await;
    let row = office.store.get(&DEAD_LETTER, sent.id.as_bytes()).unwrap().unwrap();
    assert_eq!(row.state, DeadState::Arrived { at: NOW });
}

#[tokio::test]
async fn an_answer_that_is_refused_can_be_replaced_and_one_given_up_puts_the_question_back() {
    let (here, there, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    let question = mail::send(&there, &there.clerk(), &post, asking()).await;
    deliver(&there, &post, &here, &[question.id], NOW).await;
    let clerk = here.clerk();
    let todo = || read::todo(&clerk, &here.store, 10, &[]).unwrap().tracks.len();
    assert_eq!(todo(), 1);
    let answer = mail::send(&here, &clerk, &post, answering(question)).await;
    assert_eq!(todo(), 0);
    receipt(&here, &[(answer, Some(Reason::ReasonTextRequired))], NOW).await;
    assert_eq!(todo(), 0, "the letter is the one that waits");

    let second = letters::resend(&clerk, &here.store, &post, again(answer.id)).await.unwrap();
    let answered = mail::row(&here.store, question.id, Side::Received).answered;
    assert_eq!(answered.map(|(by, _)| by), Some(second.id));
    receipt(&here, &[(second, Some(Reason::ReasonTextRequired))], NOW).await;

    give_up(&clerk, &here, second).await.unwrap();
    assert_eq!(mail::row(&here.store, question.id, Side::Received).answered, None);
    assert_eq!(todo(), 1);
    // Another answer can be given then; when the other side says it has one, the question stays answered.
    let third = mail::send(&here, &clerk, &post, answering(question)).await;
    receipt(&here, &[(third, Some(Reason::AlreadyAnswered))], NOW).await;
    give_up(&clerk, &here, third).await.unwrap();
    assert_eq!(todo(), 0);
}

fn asking() -> Content {
    content_between(1, Kind::ArrivalNotice, ORIGIN, HERE)
}

fn answering(question: Accepted) -> Content {
    let answer = domain::message::ArrivalFeedback {
        outcome: domain::message::ArrivalOutcome::Confirmed,
        corrected_name: None,
        moved_to_area: None,
        note: None,
    };
    let body = Body::ArrivalFeedback(answer);
    Content { in_reply_to: Some(question.id), body, ..asking() }
}

#[tokio::test]
async fn each_role_sees_and_does_what_it_may() {
    let (office, post) = (Office::here(), Post::new());
    let sent = mail::send(&office, &office.clerk(), &post, content(1, Kind::ArrivalNotice)).await;
    receipt(&office, &[(sent, Some(Reason::DateInFuture))], NOW).await;
    for role in Role::ALL.iter().copied() {
        let ctx = office.operator("bob", role);
        let listed = letters::list(&ctx, &office.store, Filter::default(), 0, None);
        assert_eq!(listed.is_ok(), role != Role::Collector, "{role:?} lists");
        let shown = letters::show(&ctx, &office.store, sent.id, LOOKING).await;
        assert_eq!(shown.is_ok(), role == Role::Clerk, "{role:?} reads");
        if role != Role::Clerk {
            let done = letters::resend(&ctx, &office.store, &post, again(sent.id)).await;
            assert_eq!(refused(done).0, Reason::RoleRequired, "{role:?} sends again");
            let done = give_up(&ctx, &office, sent).await;
            assert_eq!(refused(done).0, Reason::RoleRequired, "{role:?} gives up");
        }
    }
    // What two offices agree is the supervisor's.
    let proposal = content(4, Kind::AgreementProposal);
    let supervisor = office.operator("eve", Role::Supervisor);
    let sent = mail::send(&office, &supervisor, &post, proposal).await;
    receipt(&office, &[(sent, Some(Reason::InvalidField))], NOW).await;
    let by_clerk = letters::resend(&office.clerk(), &office.store, &post, again(sent.id)).await;
    assert_eq!(refused(by_clerk).0, Reason::RoleRequired);
    letters::resend(&supervisor, &office.store, &post, again(sent.id)).await.unwrap();
}

#[tokio::test]
async fn pages_of_letters_follow_each_other_newest_first() {
    let (office, post) = (Office::here(), Post::new());
    let mut sent = Vec::new();
    for seed in 0..7 {
        let accepted =
            mail::send(&office, &office.clerk(), &post, content(seed, Kind::ArrivalNotice)).await;
        sent.push((accepted, Some(Reason::DateInFuture)));
    }
    receipt(&office, &sent, NOW).await;
    assert_eq!(letters::open(&office.store, 5).unwrap(), 5);
    assert_eq!(letters::open(&office.store, 50).unwrap(), 7);
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let clerk = office.clerk();
        let page = letters::list(&clerk, &office.store, Filter::default(), 3, before).unwrap();
        seen.extend(page.letters.iter().map(|letter| letter.track.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<_> = sent.iter().rev().map(|(accepted, _)| accepted.id).collect();
    assert_eq!(seen, expected);
}

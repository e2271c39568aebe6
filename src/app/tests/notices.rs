//! Tests of notices: one a topic and day, told in both languages, taken off the list by a name.

use std::time::Duration;

use domain::access::Role;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::ledger::LedgerHead;
use store::letters::{NOTICE_MESSAGES_MAX, NoticeKind};

use super::{NOW, ORIGIN, Office, refused};
use crate::app::AppError;
use crate::app::notices::{self, Filter, NOTICES_KEPT, Notice, words};

const DAY: Duration = Duration::from_secs(86_400);

fn origin() -> AreaCode {
    ORIGIN.parse().unwrap()
}

fn id(number: u8) -> MessageId {
    MessageId::from_bytes([number; 16])
}

async fn raise(office: &Office, at: UnixMillis, what: NoticeKind, messages: Vec<MessageId>) {
    let raised = office.store.commit(move |unit| notices::raise(unit, at, what, &messages));
    raised.await.map_err(AppError::from).unwrap();
}

pub(super) fn all(office: &Office) -> Vec<Notice> {
    let filter = Filter { all: true, area: None };
    notices::list(&office.clerk(), &office.store, filter, 500, None).unwrap().notices
}

#[tokio::test]
async fn what_happens_to_many_messages_of_one_area_on_one_day_is_one_notice() {
    let office = Office::here();
    let what = NoticeKind::NotAnswered { to: origin(), percent: 50 };
    for number in 0..30 {
        raise(&office, NOW, what, vec![id(number)]).await;
    }
    raise(&office, NOW, NoticeKind::NotAnswered { to: origin(), percent: 80 }, vec![id(1)]).await;
    raise(&office, NOW.saturating_add(DAY), what, vec![id(99)]).await;
    let told = all(&office);
    let counts: Vec<_> = told.iter().map(|n| (n.number, n.row.count)).collect();
    assert_eq!(counts, [(3, 1), (2, 1), (1, 30)], "newest first");
    assert_eq!(told[2].row.messages.len(), NOTICE_MESSAGES_MAX);
    assert_eq!(told[2].row.messages[0], id(0));
}

#[tokio::test]
async fn an_alarm_that_goes_on_is_brought_up_to_date_and_not_told_again() {
    let office = Office::here();
    for days in 3..6 {
        let what = NoticeKind::Silent { area: origin(), days };
        raise(&office, NOW.saturating_add(DAY * u32::from(days)), what, vec![]).await;
    }
    let told = all(&office);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].row.what, NoticeKind::Silent { area: origin(), days: 5 });
}

#[tokio::test]
async fn a_notice_is_taken_off_the_list_once_and_by_who_may() {
    let office = Office::here();
    let what = NoticeKind::DeadLetter { to: origin() };
    raise(&office, NOW, what, vec![id(1)]).await;
    for role in [Role::Auditor, Role::Collector] {
        let asked = office.operator("bob", role);
        let done = notices::done(&asked, &office.store, 1).await;
        assert_eq!(refused(done).0, Reason::RoleRequired, "{role:?}");
    }
    let asked = office.operator("carol", Role::Collector);
    let listed = notices::list(&asked, &office.store, Filter::default(), 0, None);
    assert_eq!(refused(listed).0, Reason::RoleRequired);
    let done = notices::done(&office.clerk(), &office.store, 1).await.unwrap();
    assert_eq!(done.row.done.unwrap().0.to_string(), "alice");
    // A second time changes nothing, and nobody else's name stands there then.
    let again = notices::done(&office.operator("dora", Role::Supervisor), &office.store, 1).await;
    assert_eq!(again.unwrap().row.done.unwrap().0.to_string(), "alice");
    assert_eq!(notices::open(&office.store, 10).unwrap(), 0);
    let open = notices::list(&office.clerk(), &office.store, Filter::default(), 0, None).unwrap();
    assert!(open.notices.is_empty() && all(&office).len() == 1);
    // What comes afterwards is told anew.
    raise(&office, NOW, what, vec![id(2)]).await;
    assert_eq!(notices::open(&office.store, 10).unwrap(), 1);
    let missing = notices::done(&office.clerk(), &office.store, 77).await;
    assert_eq!(refused(missing).0, Reason::NotFound);
}

#[tokio::test]
async fn pages_follow_each_other_and_the_oldest_go_when_there_are_too_many() {
    let office = Office::here();
    let days = NOTICES_KEPT + 5;
    let raised = office.store.commit(move |unit| {
        for day in 0..days {
            let at = NOW.saturating_add(DAY * u32::try_from(day).unwrap());
            notices::raise(unit, at, NoticeKind::DeadLetter { to: origin() }, &[id(1)])?;
        }
        Ok::<_, AppError>(())
    });
    raised.await.map_err(AppError::from).unwrap();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page =
            notices::list(&office.clerk(), &office.store, Filter::default(), 500, before).unwrap();
        seen.extend(page.notices.iter().map(|notice| notice.number));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (6..=days).rev().collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_is_over_is_taken_back_and_told_anew_when_it_comes_again() {
    let office = Office::here();
    let what = NoticeKind::NotReconciled { with: origin() };
    let change = async |raises: bool, at| {
        let done = office.store.commit(move |unit| match raises {
            true => notices::raise(unit, at, what, &[]),
            false => notices::take_back(unit, &what, at),
        });
        done.await.map_err(AppError::from).unwrap();
    };
    let open = || notices::open(&office.store, 10).unwrap();
    change(false, NOW).await;
    assert_eq!(open(), 0);
    change(true, NOW).await;
    change(true, NOW.saturating_add(DAY)).await;
    assert_eq!(open(), 1);
    change(false, NOW.saturating_add(DAY * 2)).await;
    change(false, NOW.saturating_add(DAY * 3)).await;
    assert_eq!(open(), 0);
    change(true, NOW.saturating_add(DAY * 4)).await;
    assert_eq!(open(), 1);
}

fn head(size: u64) -> LedgerHead {
    LedgerHead { size, root: Digest::new([0xAB; 32]) }
}

#[test]
fn a_peer_that_lost_its_memory_is_named_with_both_heads() {
    let what = NoticeKind::RolledBack { peer: origin(), before: head(120), after: head(90) };
    let row = store::letters::NoticeRow {
        at: NOW,
        last: NOW,
        what,
        count: 0,
        messages: Vec::new(),
        done: None,
    };
    let words = words(&Notice { number: 1, row }, super::HERE.parse().unwrap());
    for text in [words.text_zh, words.text_en] {
        assert!(text.contains("120:abababababababab") && text.contains("90:abababababababab"));
        assert!(text.contains(super::ORIGIN));
    }
}

#[test]
fn every_notice_says_what_happened_whose_turn_it_is_and_what_to_do() {
    let own: AreaCode = super::HERE.parse().unwrap();
    let (to, from, area, peer, at, percent, days) =
        (origin(), origin(), origin(), origin(), origin(), 50, 7);
    let kinds = [
        (NoticeKind::NotDelivered { to, percent }, own),
        (NoticeKind::NotOpened { to, percent }, to),
        (NoticeKind::NotAnswered { to, percent }, to),
        (NoticeKind::ToAnswer { from, percent }, own),
        (NoticeKind::Unopened { at, days }, at),
        (NoticeKind::Unopened { at: own, days }, own),
        (NoticeKind::Silent { area, days }, area),
        (NoticeKind::Conflict { peer }, own),
        (NoticeKind::Restored { backup: Some(NOW) }, own),
        (NoticeKind::Restored { backup: None }, own),
        (NoticeKind::ListOld { authority: None, issued: NOW }, own),
        (NoticeKind::CertificateEnds { area, at: NOW }, area),
        (NoticeKind::DeadLetter { to }, own),
        (NoticeKind::Retired { area }, own),
        (NoticeKind::CardsOld, own),
        (NoticeKind::ContentDiffers { peer }, own),
        (NoticeKind::NotReconciled { with: peer }, own),
        (NoticeKind::NotPassedOn { to, reason: Reason::TooLarge }, own),
        (NoticeKind::ClockDoubted { since: NOW }, own),
        (NoticeKind::HidingCutShort, own),
        (NoticeKind::ResultToTell { to }, own),
        (NoticeKind::OriginsToAsk, own),
        (NoticeKind::ResultSoon { to, percent }, own),
        (NoticeKind::OriginsSoon { percent }, own),
        (NoticeKind::Lost { since: Some(NOW) }, own),
        (NoticeKind::GrowthUnproven { peer, since: NOW }, peer),
        (NoticeKind::BackOnWord { from }, own),
        (NoticeKind::RolledBack { peer, before: head(120), after: head(90) }, own),
    ];
    let topics: std::collections::HashSet<_> = kinds.iter().map(|(what, _)| what.topic()).collect();
    assert_eq!(topics.len(), kinds.len() - 1, "two of them differ in the backup only");
    for (what, turn) in kinds {
        let row = store::letters::NoticeRow {
            at: NOW,
            last: NOW,
            what,
            count: 3,
            messages: Vec::new(),
            done: None,
        };
        let words = words(&Notice { number: 1, row }, own);
        assert_eq!(words.turn, turn, "{what:?}");
        for text in [&words.text_zh, &words.text_en, &words.advice_zh, &words.advice_en] {
            assert!(text.chars().count() > 5 && !text.contains(['{', '}']), "{text}");
        }
    }
}

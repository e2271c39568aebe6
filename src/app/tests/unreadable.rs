//! One row that nobody can read, or one piece of work that cannot be done, keeps nothing else from being done.

use domain::area::AreaCode;
use domain::consent::{ConsentScope, ConsentTerms, Given};
use domain::id::MessageId;
use domain::message::Kind;
use store::Table;
use store::agreements::DutyRow;
use store::cases::CaseKey;
use store::letters::NoticeKind;
use store::messages::{MessageKey, Side, message_key};
use store::tables::{CASE, CASE_WAITING, CLOCK_DONE, DUTY, MESSAGE, OPENED};

use super::clocks::{clocks, day};
use super::mail::{self, Post, Stranger, content, content_between, row};
use super::*;
use crate::app::cases::alarms;
use crate::app::consents::{self, spread};
use crate::app::duties::{self, Duty};
use crate::app::{progress, retention};

const DAMAGED_MESSAGE: Table<MessageKey, u64> = Table::new("damaged-1", MESSAGE.prefix());
const DAMAGED_CASE: Table<CaseKey, u64> = Table::new("damaged-1", CASE.prefix());

fn origin() -> AreaCode {
    ORIGIN.parse().unwrap()
}

/// Writes over a message what nobody can read.
async fn damage(office: &Office, id: MessageId, side: Side) {
    let key = message_key(id, side);
    let written = office.store.commit(move |unit| unit.put(&DAMAGED_MESSAGE, &key, &7));
    written.await.unwrap();
    assert!(office.store.get_personal(&MESSAGE, &key).is_err());
}

#[tokio::test]
async fn the_clocks_of_other_messages_go_on() {
    let (office, post) = (Office::here(), Post::new());
    let damaged =
        mail::send(&office, &office.clerk(), &post, content(1, Kind::ArrivalNotice)).await;
    let other = mail::send(&office, &office.clerk(), &post, content(2, Kind::ArrivalNotice)).await;
    damage(&office, damaged.id, Side::Sent).await;
    let clocks = clocks(&office);
    for today in 0..18 {
        while clocks.scan(day(today)).await.unwrap().more {}
    }
    let told = super::notices::all(&office);
    let what = NoticeKind::NotDelivered { to: origin(), percent: 50 };
    let told: Vec<_> = told.iter().map(|told| (told.row.what, &told.row.messages[..])).collect();
    assert_eq!(told, [(what, &[other.id][..])]);
    assert!(office.store.scan(&CLOCK_DONE, .., 1).unwrap().is_empty());
}

#[tokio::test]
async fn the_content_of_other_messages_is_deleted_in_time() {
    let (office, mut sender) = (Office::of(ORIGIN), Stranger::of(HERE));
    let mut ids = Vec::new();
    for seed in 1..=3 {
        let content = content_between(seed, Kind::ArrivalNotice, HERE, ORIGIN);
        ids.push(sender.says(&office, content, NOW).await);
    }
    damage(&office, ids[1], Side::Received).await;
    let later = |days| NOW.date().plus_months(36).plus_days(days).begins();
    let forget = |days| retention::forget(office.area, &office.store, later(days));
    assert_eq!(forget(0).await.unwrap(), 2);
    for id in [ids[0], ids[2]] {
        assert!(row(&office.store, id, Side::Received).is_deleted());
    }
    // It is tried again every day.
    let days = || office.store.journals_under(&store::tables::RETENTION, &(), 10).unwrap();
    let due = |days| vec![u64::try_from(later(days).date().epoch_days()).unwrap()];
    assert_eq!(days(), due(1));
    assert_eq!(forget(1).await.unwrap(), 0);
    assert_eq!(days(), due(2));
}

#[tokio::test]
async fn a_withdrawal_is_sent_although_an_answer_cannot_be_given() {
    let (office, post) = (Office::here(), Post::new());
    let her = woman();
    office.arrive(her.clone()).await;
    let terms = ConsentTerms {
        scopes: [ConsentScope::Pregnancy].into(),
        recipient: origin(),
        given_on: today(),
        valid_until: today().plus_years(1),
        given: Given::InPerson,
    };
    let consent = consents::record(&office.clerk(), &office.store, her.document, terms).await;
    let consent = consent.unwrap().id();
    consents::withdraw(&office.clerk(), &office.store, consent, Given::InPerson).await.unwrap();

    let question = content_between(1, Kind::ArrivalNotice, ORIGIN, HERE);
    let question = Stranger::of(ORIGIN).says(&office, question, NOW).await;
    let put = office.store.commit(move |unit| {
        let duty = DutyRow { about: None, at: NOW };
        unit.put(&DUTY, &Duty::Answer(question).key(origin()), &duty)
    });
    put.await.unwrap();
    damage(&office, question, Side::Received).await;
    let performed = duties::perform(office.area, &office.store, &post, NOW).await;
    assert!(matches!(performed, Err(AppError::Store(_))), "{performed:?}");
    let spread =
        spread::of(&office.clerk(), &office.store, domain::consent::Ground::Consent(consent))
            .unwrap();
    assert!(spread[0].row.told.is_some(), "it was told");
}

#[tokio::test]
async fn other_peers_are_told_what_was_opened() {
    let (office, post) = (Office::of(ORIGIN), Post::new());
    let opened = office.store.commit(move |unit| {
        let nobody = *b"000000";
        unit.put(&OPENED, &(nobody, [1; 16]), &NOW.get())?;
        let id = MessageId::from_bytes([2; 16]);
        progress::opened(unit, HERE.parse().unwrap(), id, NOW)
    });
    opened.await.map_err(AppError::from).unwrap();
    progress::report(office.area, &office.store, &post, NOW).await.unwrap_err();
    let left = office.store.scan(&OPENED, .., 10).unwrap();
    assert_eq!(left.len(), 1, "the other one was told: {left:?}");
}

#[tokio::test]
async fn an_office_is_told_of_other_cases_that_wait() {
    let office = Office::of(ORIGIN);
    let damaged: CaseKey = [1; 16];
    let waits = *super::cases::late_acceptance(&office, HERE, 2_000).await.as_bytes();
    let put = office.store.commit(move |unit| {
        unit.put(&DAMAGED_CASE, &damaged, &7)?;
        unit.put(&CASE_WAITING, &(NOW.get(), damaged), &())?;
        unit.put(&CASE_WAITING, &(NOW.get(), waits), &())
    });
    put.await.unwrap();
    assert_eq!(alarms::look(office.area, &office.store, day(8)).await.unwrap(), 1);
    let told = super::notices::all(&office);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].row.what, NoticeKind::CaseWaits { from: HERE.parse().unwrap() });
}

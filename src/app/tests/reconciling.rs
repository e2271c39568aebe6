//! Statements and runs of many years: what was closed stays closed, and a run is found however many there were since. What no
//! program decides, and who ends that.

use domain::access::{AccessAction, Role};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::text::Note;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::{Statement, Totals};
use exchange::reconcile::{Entry, EntryState};
use store::messages::{Blob, peer_key};
use store::reconcile::{DifferenceState, SignatureRow, StatementRow};
use store::tables::STATEMENT;
use wire::reconcile::encode_statement;

use super::{HERE, NOW, ORIGIN, Office, refused};
use crate::app::reconcile::decisions;
use crate::app::reconcile::runs::{self, Plan};
use crate::app::reconcile::statements;
use crate::app::{AppError, Ctx};

fn origin() -> AreaCode {
    ORIGIN.parse().unwrap()
}

/// One day, that many days after the first one of these tests.
fn day(number: u16) -> Date {
    Date::new(2020, 1, 1).unwrap().plus_days(number.into())
}

fn scope(on: Date) -> Scope {
    let (asker, answerer) = (HERE.parse().unwrap(), origin());
    Scope { asker, answerer, first: on, last: on, until: on.ends() }
}

/// A day that both sides have closed.
async fn close(office: &Office, number: u16) {
    let statement = Statement {
        id: [9; 16],
        scope: scope(day(number)),
        made: NOW,
        totals: Totals::default(),
        found: [0; 6],
        cured: [0; 6],
        left: Vec::new(),
        corrections: Vec::new(),
    };
    let nobody = SignatureRow { signature: Blob::default(), chain: Vec::new() };
    let row = StatementRow {
        statement: Blob(encode_statement(&statement)),
        asker: nobody.clone(),
        answerer: nobody,
        kept: NOW,
        closes: true,
    };
    let on = u32::try_from(day(number).epoch_days()).unwrap();
    let key = (peer_key(origin()), on, on, NOW.get());
    let kept =
        office.store.commit(move |unit| Ok::<_, AppError>(unit.put(&STATEMENT, &key, &row)?));
    kept.await.map_err(AppError::from).unwrap();
}

#[tokio::test]
async fn what_was_closed_long_ago_stays_closed() {
    let office = Office::here();
    for number in 0..502 {
        close(&office, number).await;
    }
    let asked = |number| statements::must_be_open(&office.store, office.area, &scope(day(number)));
    for number in [0, 1, 501] {
        assert_eq!(refused(asked(number)).0, Reason::StateForbids, "{number}");
    }
    asked(502).unwrap();
}

fn plan(with: AreaCode, number: u16) -> Plan {
    let (first, last) = (day(number), day(number));
    Plan { with, first, last, until: UnixMillis::new(NOW.get()), after_restore: false }
}

#[tokio::test]
async fn a_run_is_found_by_its_side_and_days_among_many_later_ones() {
    let office = Office::here();
    let first = runs::begin(&office.store, plan(origin(), 0), NOW).await.unwrap();
    let other = "510104".parse().unwrap();
    for number in 1..=501 {
        let begun = runs::begin(&office.store, plan(other, number), NOW).await.unwrap();
        assert_eq!(begun, u64::from(number) + first);
    }
    let found = runs::latest(&office.store, origin(), (day(0), day(0))).unwrap();
    assert_eq!(found.map(|(number, _)| number), Some(first));
    assert!(runs::latest(&office.store, other, (day(0), day(0))).unwrap().is_none());
    let again = runs::begin(&office.store, plan(origin(), 0), NOW).await.unwrap();
    assert_eq!(again, first, "it goes on");
    assert_eq!(runs::unfinished(&office.store).unwrap().len(), 502);
}

/// Two sides that hold something else under one id.
fn differing(recipient: &[u8]) -> Difference {
    let id = MessageId::new(NOW, [7; 10]);
    let (from, to) = (HERE.parse().unwrap(), origin());
    let entry = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        Some(Entry { id, digest, from, to, state: EntryState::Stored })
    };
    let name = DifferenceName::ContentDiffers;
    Difference { name, sender: entry(b"sent"), recipient: entry(recipient) }
}

async fn kept(office: &Office, difference: Difference) -> bool {
    let write = move |unit: &mut store::Unit<'_>| decisions::keep(unit, difference, NOW);
    office.store.commit(write).await.map_err(AppError::from).unwrap()
}

/// How it is shown: state, and who has decided.
fn shown(office: &Office) -> Vec<(DifferenceState, Option<String>)> {
    let rows = runs::differences(&office.store, runs::DECISIONS, None, (9, false)).unwrap();
    let by = |found: &runs::Found| found.decided.as_ref().map(|it| it.by.to_string());
    rows.iter().map(|found| (found.row.state, by(found))).collect()
}

#[tokio::test]
async fn what_a_person_has_decided_stays_so_until_a_side_says_something_else() {
    let office = Office::here();
    let id = differing(b"got").id().unwrap();
    let words = |text: &str| Note::new(text).unwrap();
    let decide =
        async |ctx: &Ctx, text: &str| decisions::decide(ctx, &office.store, id, words(text)).await;
    let clerk = office.clerk();
    assert_eq!(refused(decide(&clerk, "对方为准").await).0, Reason::NotFound);
    assert!(kept(&office, differing(b"got")).await);
    for role in [Role::Administrator, Role::Auditor, Role::Collector] {
        let other = office.operator("other", role);
        assert_eq!(refused(decide(&other, "x").await).0, Reason::RoleRequired, "{role:?}");
    }
    let before = office.logged();
    let found = decide(&clerk, "对方为准").await.unwrap();
    assert_eq!(found.row.state, DifferenceState::Decided);
    let entry = office.store.access_after(before, 9).unwrap().pop().unwrap();
    assert_eq!((entry.action, entry.message), (AccessAction::Decide, Some(id)));
    let decided = (DifferenceState::Decided, Some(clerk.caller.operator.to_string()));
    assert_eq!(shown(&office), vec![decided.clone()]);
    // The same once more is nothing new; another word is too late.
    decide(&clerk, "对方为准").await.unwrap();
    assert_eq!(office.logged(), before + 1);
    let supervisor = office.operator("boss", Role::Supervisor);
    assert_eq!(refused(decide(&supervisor, "我方为准").await).0, Reason::StateForbids);
    // Later runs find the same, or something else.
    assert!(!kept(&office, differing(b"got")).await);
    assert_eq!(shown(&office), [decided]);
    assert!(kept(&office, differing(b"got anew")).await);
    assert_eq!(shown(&office), [(DifferenceState::Open, None)]);
    decide(&supervisor, "我方为准").await.unwrap();
}

#[tokio::test]
async fn what_both_sides_say_by_now_nobody_has_to_decide() {
    let office = Office::here();
    let difference = differing(b"got");
    let id = difference.id().unwrap();
    kept(&office, difference.clone()).await;
    let over = |scope: &Scope, found: &[Difference]| {
        decisions::over(&office.store, scope, found).unwrap().len()
    };
    let on = scope(NOW.date());
    assert_eq!(over(&on, std::slice::from_ref(&difference)), 0, "it is there");
    let named = Difference { name: DifferenceName::NotReported, ..difference.clone() };
    assert_eq!(over(&on, &[named]), 0, "a county has not told");
    assert_eq!(over(&scope(NOW.date().plus_days(1)), &[]), 0, "of another day");
    let other = Scope { answerer: "510104".parse().unwrap(), ..on };
    assert_eq!(over(&other, &[]), 0, "of another county");
    assert_eq!(over(&on, &[]), 1);
    let agree = async || {
        let write = move |unit: &mut store::Unit<'_>| decisions::agreed(unit, id, NOW);
        office.store.commit(write).await.map_err(AppError::from).unwrap()
    };
    assert!(agree().await);
    assert!(!agree().await, "once");
    assert_eq!(shown(&office), [(DifferenceState::Cured, None)]);
    assert_eq!(over(&on, &[]), 0);
    assert!(kept(&office, difference).await, "and open again");
}

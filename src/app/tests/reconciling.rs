//! Statements and runs of many years: what was closed stays closed, and a run is found however many there were since. What no
//! program decides, and who ends that.

use domain::access::{AccessAction, Role};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::text::Note;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::reconcile::calls::{Signature, SignedStatement};
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::{LeftRest, Statement};
use exchange::reconcile::totals::{Counts, Digests, Totals};
use exchange::reconcile::{Entry, EntryState};
use store::reconcile::DifferenceState;
use wire::reconcile::{
    RECONCILE_BYTES_MAX, decode_signed_statement, encode_signed_statement, encode_statement,
};

use super::{HERE, NOW, ORIGIN, Office, refused};
use crate::app::reconcile::decisions;
use crate::app::reconcile::runs::{self, Plan};
use crate::app::reconcile::statements::{self, Kept};
use crate::app::{AppError, Ctx};

fn origin() -> AreaCode {
    ORIGIN.parse().unwrap()
}

/// A month, that many after the first one of these tests.
fn month(number: u16) -> (Date, Date) {
    let month = Date::new(1980, 1, 1).unwrap().month().plus(number);
    (month.first(), month.last())
}

pub(super) fn scope((first, last): (Date, Date)) -> Scope {
    let (asker, answerer) = (HERE.parse().unwrap(), origin());
    Scope { asker, answerer, first, last, until: last.ends() }
}

pub(super) fn statement(scope: Scope) -> Statement {
    Statement {
        id: [9; 16],
        scope,
        made: NOW,
        totals: Totals::default(),
        digests: Digests::default(),
        found: [0; 6],
        cured: [0; 6],
        left: Vec::new(),
        left_more: Vec::new(),
        left_rest: LeftRest::default(),
        lost: Vec::new(),
        corrections: Vec::new(),
        incomplete: Vec::new(),
    }
}

pub(super) async fn keep(office: &Office, statement: &Statement) -> Result<Kept, AppError> {
    let nobody = || Signature { signature: vec![1], chain: vec![vec![2]] };
    let signed = SignedStatement {
        statement: encode_statement(statement),
        asker: nobody(),
        answerer: nobody(),
    };
    statements::keep(&office.store, office.area, signed, NOW).await
}

#[tokio::test]
async fn what_was_closed_long_ago_stays_closed() {
    let office = Office::here();
    for number in 0..60 {
        keep(&office, &statement(scope(month(number)))).await.unwrap();
    }
    // Whatever else is signed, however much of it.
    for number in 1..=120 {
        let first = month(99).0.plus_days(1);
        let open = Scope { first, last: first.plus_days(number), ..scope(month(99)) };
        let open = Scope { until: NOW, ..open };
        assert!(!keep(&office, &statement(open)).await.unwrap().row.closes);
    }
    let asked = |days| statements::must_be_open(&office.store, office.area, &scope(days));
    for number in [0, 1, 59] {
        let (first, last) = month(number);
        for days in [
            (first, last),
            (last, last),
            (first.plus_days(-40), first),
            (first, last.plus_days(400)),
        ] {
            assert_eq!(refused(asked(days)).0, Reason::StateForbids, "{days:?}");
        }
    }
    asked(month(60)).unwrap();
    let last = statements::last_closed(&office.store).unwrap();
    assert_eq!(
        last.into_iter().map(|(with, it)| (with, it.days())).collect::<Vec<_>>(),
        [(origin(), month(59))]
    );
    // All of them are listed, page by page.
    let (mut listed, mut after) = (0, None);
    loop {
        let page = statements::list(&office.store, Some(origin()), after, 50).unwrap();
        let Some((key, _)) = page.last() else { break };
        (listed, after) = (listed + page.len(), Some(*key));
    }
    assert_eq!(listed, 180);
}

#[tokio::test]
async fn days_are_closed_once_whoever_asked() {
    let office = Office::here();
    let ours = keep(&office, &statement(scope(month(0)))).await.unwrap();
    let Scope { asker, answerer, .. } = scope(month(0));
    let theirs = Scope { asker: answerer, answerer: asker, ..scope(month(0)) };
    let incomplete = vec![(origin(), month(0).0)];
    for other in [
        Statement { id: [8; 16], ..statement(scope(month(0))) },
        Statement { id: [7; 16], ..statement(theirs) },
        Statement { incomplete, ..statement(scope(month(0))) },
    ] {
        assert_eq!(keep(&office, &other).await.unwrap(), ours, "that one counts");
    }
    let closing = statements::closing(&office.store, office.area, &theirs).unwrap();
    assert_eq!(closing, Some(ours));
    assert_eq!(statements::list(&office.store, None, None, 50).unwrap().len(), 1);
    // A quarter with that month is not closed a second time, and other months are.
    let quarter = (month(0).0, month(2).1);
    let refusal = refused(keep(&office, &statement(scope(quarter))).await);
    assert_eq!(refusal.0, Reason::StateForbids);
    keep(&office, &statement(scope(month(2)))).await.unwrap();
    // Two that close nothing may be made in one millisecond.
    let open = Scope { until: NOW, ..scope((month(9).0, month(9).0)) };
    for id in [[1; 16], [2; 16], [1; 16]] {
        keep(&office, &Statement { id, ..statement(open) }).await.unwrap();
    }
    assert_eq!(statements::list(&office.store, None, None, 50).unwrap().len(), 4);
}

#[tokio::test]
async fn a_statement_of_two_large_provinces_is_kept_as_it_was_signed() {
    let office = Office::here();
    let area = |province: u32, n: u32| format!("{}", province + n).parse::<AreaCode>();
    let codes = |province, most| (101..=999).filter_map(move |n| area(province, n).ok()).take(most);
    let counts = Counts { waiting: 300, stored: 70_000, refused: 500 };
    let pairs = codes(410_000, 160).flat_map(|from| codes(440_000, 124).map(move |to| (from, to)));
    let totals: std::collections::BTreeMap<_, _> =
        pairs.flat_map(|(from, to)| [((from, to), counts), ((to, from), counts)]).collect();
    assert!(totals.len() >= 38_000, "{}", totals.len());
    let digest = |(from, to): &(AreaCode, AreaCode)| Digest::of(format!("{from}{to}").as_bytes());
    let digests = totals.keys().map(|pair| (*pair, digest(pair))).collect();
    let (totals, digests) = (Totals(totals), Digests(digests));
    let mut large = Statement { totals, digests, ..statement(scope(month(0))) };
    let (from, to) = (HERE.parse().unwrap(), origin());
    large.left = (0..1_000_u64)
        .map(|n| {
            let id = MessageId::new(UnixMillis::new(month(0).0.begins().get() + n), [3; 10]);
            let state = EntryState::Stored;
            let entry = |text: &[u8]| Some(Entry { id, digest: Digest::of(text), from, to, state });
            let name = DifferenceName::ContentDiffers;
            Difference { name, sender: entry(b"one"), recipient: entry(b"other") }
        })
        .collect();
    let kept = keep(&office, &large).await.unwrap();
    assert!(kept.bytes.len() > 2 * 1024 * 1024, "{}", kept.bytes.len());
    let found = statements::find(&office.store, None, &kept.row.digest.to_string()).unwrap();
    assert_eq!((&found, &found.statement), (&kept, &large));
    assert_eq!((found.row.left, found.row.closes), (1_000, true));
    let file = encode_signed_statement(found.signed());
    let read = decode_signed_statement(&file).unwrap();
    assert_eq!(Digest::of(&read.statement), kept.row.digest);
    assert_eq!(read, kept.signed());
    assert!(file.len() < RECONCILE_BYTES_MAX, "it travels");
}

/// One day, that many days after the first one of these tests.
fn day(number: u16) -> Date {
    Date::new(2020, 1, 1).unwrap().plus_days(number.into())
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
    assert_eq!(decisions::open(&office.store).unwrap(), 1);
    decide(&supervisor, "我方为准").await.unwrap();
    assert_eq!(decisions::open(&office.store).unwrap(), 0);
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
    let on = scope((NOW.date(), NOW.date()));
    let tomorrow = NOW.date().plus_days(1);
    assert_eq!(over(&on, std::slice::from_ref(&difference)), 0, "it is there");
    let named = Difference { name: DifferenceName::NotReported, ..difference.clone() };
    assert_eq!(over(&on, &[named]), 0, "a county has not told");
    assert_eq!(over(&scope((tomorrow, tomorrow)), &[]), 0, "of another day");
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

//! What is tried again and again: one run and one statement of it, and nothing for ever.

use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::session::Measured;
use exchange::reconcile::statement::Statement;
use exchange::reconcile::{Entry, EntryState};
use store::reconcile::{RunState, StatementRow};
use store::tables::{DIFFERENCE, STATEMENT_PART};

use super::reconciling::{keep, scope, statement};
use super::{HERE, NOW, ORIGIN, Office, refused};
use crate::app::reconcile::runs::{self, Plan, Portion};
use crate::app::reconcile::{old, statements};

const YEAR: Duration = Duration::from_secs(367 * 86_400);

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn january() -> (Date, Date) {
    ("2026-01-01".parse().unwrap(), "2026-01-31".parse().unwrap())
}

fn plan((first, last): (Date, Date)) -> Plan {
    Plan { with: area(ORIGIN), first, last, until: last.ends(), after_restore: false }
}

async fn end(office: &Office, number: u64, state: RunState) {
    runs::change(&office.store, number, NOW, move |row| row.state = state).await.unwrap();
}

fn missing(number: u8, day: Date) -> Difference {
    let sender = Entry {
        id: MessageId::new(day.begins(), [number; 10]),
        digest: Digest::of(b"one"),
        from: area(HERE),
        to: area(ORIGIN),
        state: EntryState::Stored,
    };
    let name = DifferenceName::MissingAtRecipient;
    Difference { name, sender: Some(sender), recipient: None }
}

/// A comparison of all days of a run.
async fn compared(office: &Office, number: u64, found: &[Difference]) {
    let row = runs::get(&office.store, number).unwrap();
    let (days, measured) = ((row.first, row.last), Measured::default());
    let portion = Portion { days, measured, entries: (0, 0) };
    runs::compared(&office.store, number, found, portion, NOW).await.unwrap();
}

#[tokio::test]
async fn the_schedule_goes_on_with_the_newest_run_of_the_same_days() {
    let office = Office::here();
    let again = async || runs::again(&office.store, area(ORIGIN), january(), NOW).await.unwrap();
    assert_eq!(again().await, None, "there is none");
    // Begun before the month was over: it is about fewer messages.
    let early = Plan { until: january().0.ends(), ..plan(january()) };
    let number = runs::begin(&office.store, early, NOW).await.unwrap();
    end(&office, number, RunState::Left).await;
    assert_eq!(again().await, None);

    let number = runs::begin(&office.store, plan(january()), NOW).await.unwrap();
    let found = [missing(1, january().0), missing(2, january().0)];
    for state in [RunState::Failed, RunState::Left, RunState::Decisions, RunState::Equal] {
        compared(&office, number, &found).await;
        end(&office, number, state).await;
        assert_eq!(again().await, Some(number));
        let row = runs::get(&office.store, number).unwrap();
        assert_eq!((row.state, row.statement, row.found[0]), (RunState::Running, None, 2));
    }
    assert_eq!(again().await, Some(number), "it goes on");
    assert_eq!(runs::list(&office.store, None, 9).unwrap().len(), 2);
    assert_eq!(office.store.scan(&DIFFERENCE, .., 9).unwrap().len(), 2, "each once");
}

#[tokio::test]
async fn an_unclosed_statement_takes_the_place_of_one_that_said_nothing_else() {
    let office = Office::here();
    let kept = |office: &Office| -> Vec<StatementRow> {
        let rows = statements::list(&office.store, None, None, 99).unwrap();
        rows.into_iter().map(|(_, row)| row).collect()
    };
    let signed = async |days: u64, change: &dyn Fn(&mut Statement)| {
        let mut statement = statement(scope(january()));
        statement.incomplete = vec![(area(ORIGIN), january().0)];
        statement.made = UnixMillis::new(NOW.get() + days * 86_400_000);
        statement.id = [u8::try_from(days).unwrap(); 16];
        change(&mut statement);
        keep(&office, &statement).await.unwrap().row
    };
    let first = signed(1, &|_| {}).await;
    assert!(!first.closes);
    let second = signed(2, &|it| it.found[0] = 3).await;
    assert_eq!(
        kept(&office),
        std::slice::from_ref(&second),
        "the first says no more than the second"
    );
    assert_eq!(office.store.scan(&STATEMENT_PART, .., 9).unwrap().len(), 1, "with its bytes");
    assert!(statements::find(&office.store, None, &second.digest.to_string()).is_ok());

    // Fewer were found in it: what the one before tells of is nowhere else.
    let third = signed(3, &|_| {}).await;
    assert_eq!(kept(&office), [second.clone(), third.clone()]);
    // Nor is it forgotten who had not reported.
    let fourth = signed(4, &|it| it.incomplete = vec![(area("440306"), january().0)]).await;
    assert_eq!(kept(&office).len(), 3);
    // What closes the days takes nobody's place.
    let closing = signed(5, &|it| it.incomplete.clear()).await;
    assert!(closing.closes);
    assert_eq!(kept(&office), [second, third, fourth, closing]);
}

#[tokio::test]
async fn runs_are_removed_after_a_year_but_not_what_only_they_know() {
    let office = Office::here();
    let month = |number: u8| {
        let month = domain::time::Month::new(2025, number).unwrap();
        (month.first(), month.last())
    };
    let run = async |days, found: &[Difference], state| {
        let number = runs::begin(&office.store, plan(days), NOW).await.unwrap();
        compared(&office, number, found).await;
        end(&office, number, state).await;
        number
    };
    let cured = run(month(1), &[missing(1, month(1).0)], RunState::Left).await;
    compared(&office, cured, &[]).await;
    end(&office, cured, RunState::Equal).await;
    let followed = run(month(2), &[missing(2, month(2).0)], RunState::Left).await;
    let last_word = run(month(2), &[missing(2, month(2).0)], RunState::Left).await;
    let after = run((month(2).0, month(3).1), &[], RunState::Equal).await;
    let goes_on = runs::begin(&office.store, plan(month(5)), NOW).await.unwrap();
    let newest = run(month(6), &[], RunState::Equal).await;

    let numbers = |office: &Office| -> Vec<u64> {
        let rows = runs::list(&office.store, None, 99).unwrap();
        rows.into_iter().map(|(number, _)| number).rev().collect()
    };
    let all = [cured, followed, last_word, after, goes_on, newest];
    let forget = async |now| old::forget(&office.store, now).await.unwrap();
    assert_eq!((forget(NOW).await, numbers(&office)), (0, all.to_vec()));
    assert_eq!(forget(NOW.saturating_add(YEAR)).await, 2);
    assert_eq!(numbers(&office), [last_word, after, goes_on, newest]);
    let rows = office.store.scan(&DIFFERENCE, .., 9).unwrap();
    let left: Vec<u64> = rows.into_iter().map(|((number, _), _)| number).collect();
    assert_eq!(left, [last_word], "with its differences");
    assert_eq!(forget(NOW.saturating_add(YEAR)).await, 0, "once");
}

#[tokio::test]
async fn first_digits_that_several_statements_have_are_refused_with_their_names() {
    let office = Office::here();
    let mut digests = Vec::new();
    // There are sixteen digits, so two of these begin with the same one.
    for number in 0..17_u8 {
        let mut statement = statement(scope(january()));
        statement.incomplete = vec![(area(ORIGIN), january().0.plus_days(i32::from(number)))];
        statement.made = UnixMillis::new(NOW.get() + u64::from(number));
        digests.push(keep(&office, &statement).await.unwrap().row.digest.to_string());
    }
    let find = |digits: &str| statements::find(&office.store, None, digits);
    for digest in &digests {
        assert_eq!(find(digest).unwrap().row.digest.to_string(), *digest);
    }
    let digit = |digest: &String| digest.chars().next().unwrap();
    let same = |a: &&String| digests.iter().filter(|b| digit(a) == digit(b)).count() > 1;
    let one = digests.iter().find(same).unwrap();
    let error = find(&digit(one).to_string()).unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!((refusal.reason, refusal.field.as_deref()), (Reason::InvalidField, Some("digest")));
    let told = refusal.detail.clone().unwrap();
    let named = digests.iter().filter(|it| digit(it) == digit(one) && told.contains(*it)).count();
    assert!(named > 1 && told.contains(one), "{told}");
    assert_eq!(find("").unwrap().row.digest.to_string(), *digests.last().unwrap(), "the newest");
    assert_eq!(refused(find("no digit")).0, Reason::NotFound);
}

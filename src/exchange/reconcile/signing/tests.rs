//! Whose turn it is, which statement counts, and what a later one has to tell.

use super::super::statement::Counts;
use super::super::statement::tests::{area, date, statement};
use super::*;

fn scope(first: &str, last: &str) -> Scope {
    statement(first, last).scope
}

fn october() -> Statement {
    statement("2026-10-01", "2026-10-31")
}

#[test]
fn of_two_that_ask_at_once_exactly_one_waits() {
    for (one, other) in [("410000", "440000"), ("110000", "650000"), ("410522", "410523")] {
        let (one, other) = (area(one), area(other));
        assert_ne!(waits_for(one, other), waits_for(other, one), "{one} {other}");
    }
}

#[test]
fn days_are_closed_once_and_never_in_part() {
    let october = scope("2026-10-01", "2026-10-31");
    let some = scope("2026-10-20", "2026-10-21");
    let quarter = scope("2026-10-01", "2026-12-31");
    let closed = |scope: Scope| Some((scope.first, scope.last));
    let of = |closed, scope: &Scope| [true, false].map(|closes| keeping(closed, scope, closes));
    assert_eq!(of(None, &october), [Keeping::Fresh, Keeping::Fresh]);
    assert_eq!(of(closed(october), &october), [Keeping::Closed, Keeping::Closed]);
    assert_eq!(of(closed(october), &quarter), [Keeping::Overlaps, Keeping::Fresh]);
    assert_eq!(of(closed(quarter), &october), [Keeping::Overlaps, Keeping::Fresh]);
    assert_eq!(of(closed(october), &some), [Keeping::Overlaps, Keeping::Fresh]);
    // What comes after it is the first whose last day is not before these, and has none of them.
    let november = closed(scope("2026-11-01", "2026-11-30"));
    assert_eq!(of(november, &october), [Keeping::Fresh, Keeping::Fresh]);
}

#[test]
fn nothing_is_closed_before_it_is_over_by_the_clock_of_both() {
    let statement = october();
    let ends = statement.scope.last.ends();
    assert!(statement.is_in_time(ends));
    assert!(!statement.is_in_time(ends.saturating_sub(Duration::from_millis(1))));
    let mut early = statement;
    early.scope.until = ends.saturating_sub(Duration::from_secs(1));
    early.made = early.scope.until;
    assert!(!early.closes());
    assert!(early.is_in_time(early.made.saturating_sub(CLOCKS_APART)));
    let before = early.made.saturating_sub(CLOCKS_APART + Duration::from_millis(1));
    assert!(!early.is_in_time(before));
}

#[test]
fn a_statement_that_is_handed_out_is_about_the_same_days_of_the_same_sides() {
    let statement = october();
    let same = scope("2026-10-01", "2026-10-31");
    let turned = Scope { asker: same.answerer, answerer: same.asker, ..same };
    assert!(statement.is_about(&same) && statement.is_about(&turned));
    assert!(!statement.is_about(&Scope { answerer: area("330000"), ..same }));
    assert!(!statement.is_about(&scope("2026-10-01", "2026-12-31")));
    let incomplete = vec![(area("440305"), date("2026-10-10"))];
    assert!(!Statement { incomplete, ..statement }.is_about(&same));
}

#[test]
fn what_has_changed_in_closed_days_is_told_once() {
    let pair = (area("410522"), area("440305"));
    let totals = |stored| Totals([(pair, Counts { stored, ..Counts::default() })].into());
    let (own, digest) = (area("410000"), Digest::of(b"october"));
    let october = Statement { totals: totals(7), ..october() };
    let of = |closed: &[(Digest, &Statement)], now| {
        corrected::<()>(own, closed, |scope| {
            Ok(if *scope == october.scope { totals(now) } else { Totals::default() })
        })
        .unwrap()
    };
    assert_eq!(of(&[(digest, &october)], 7), []);
    let told = of(&[(digest, &october)], 8);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].before.stored, told[0].now.stored), (7, 8));
    let november = Statement {
        scope: scope("2026-11-01", "2026-11-30"),
        made: date("2026-11-30").ends(),
        totals: Totals::default(),
        corrections: told,
        ..october.clone()
    };
    let both = [(Digest::of(b"november"), &november), (digest, &october)];
    assert_eq!(of(&both, 8), [], "november has told it");
    let more = of(&both, 9);
    assert_eq!((more[0].before.stored, more[0].now.stored), (8, 9));
}

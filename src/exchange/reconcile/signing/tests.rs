//! Whose turn it is, which statement counts, and what a later one has to tell.

use super::super::Entry;
use super::super::EntryState;
use super::super::difference::Difference;
use super::super::difference::DifferenceName;
use super::super::statement::LeftKind;
use super::super::statement::LeftMore;
use super::super::statement::tests::{area, date, statement};
use super::super::totals::Counts;
use super::super::totals::Held;
use super::*;
use domain::id::MessageId;

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

fn message(number: u8, state: EntryState) -> Entry {
    let made = UnixMillis::new(date("2026-10-10").begins().get() + u64::from(number));
    let id = MessageId::new(made, [number; 10]);
    let (from, to) = (area("410522"), area("440305"));
    Entry { id, digest: Digest::of(&[number]), from, to, state }
}

/// So many stored messages, and what is said otherwise.
fn stored(number: u8, otherwise: &[Entry]) -> EntrySet {
    let mut set = EntrySet::new();
    (0..number).for_each(|n| set.say(message(n, EntryState::Stored)));
    otherwise.iter().for_each(|entry| set.say(*entry));
    set
}

/// October as its asker holds it, with what is left.
fn october_of(asker: &EntrySet, left: &[Difference]) -> Statement {
    let held = Held::of(asker);
    let october = Statement { totals: held.totals, left: left.to_vec(), ..october() };
    october.attesting(held.digests)
}

/// What a side finds of October.
fn find(own: &str, closed: &[(Digest, &Statement)], now: &EntrySet) -> Vec<Correction> {
    let of_october = |scope: &Scope| {
        if scope.first == date("2026-10-01") { now.clone() } else { EntrySet::new() }
    };
    let own = area(own);
    corrected::<()>(closed, |_, it| Ok(changed(own, it, &of_october(&it.scope)))).unwrap()
}

/// November, which tells what was found of October.
fn november(corrections: Vec<Correction>) -> Statement {
    let scope = scope("2026-11-01", "2026-11-30");
    Statement { scope, made: date("2026-11-30").ends(), corrections, ..october() }
}

const BOTH: [&str; 2] = ["410000", "440000"];

#[test]
fn what_has_changed_in_closed_days_is_told_once() {
    let (own, digest) = (BOTH[0], Digest::of(b"october"));
    let october = october_of(&stored(7, &[]), &[]);
    assert_eq!(find(own, &[(digest, &october)], &stored(7, &[])), []);
    let told = find(own, &[(digest, &october)], &stored(8, &[]));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].before.counts.stored, told[0].now.counts.stored), (7, 8));
    let november = november(told);
    let both = [(Digest::of(b"november"), &november), (digest, &october)];
    assert_eq!(find(own, &both, &stored(8, &[])), [], "november has told it");
    let more = find(own, &both, &stored(9, &[]));
    assert_eq!((more[0].before.counts.stored, more[0].now.counts.stored), (8, 9));
}

#[test]
fn two_messages_that_swap_their_states_are_a_correction_that_keeps_the_totals() {
    let refused = |number| message(number, EntryState::Refused);
    let digest = Digest::of(b"october");
    let october = october_of(&stored(7, &[refused(2)]), &[]);
    let now = stored(7, &[refused(5)]);
    let told = BOTH.map(|own| find(own, &[(digest, &october)], &now));
    assert_eq!(told[0], told[1], "both sides find the same");
    let [correction] = told[0].as_slice() else { panic!("{told:?}") };
    assert!(correction.keeps_totals() && correction.before.digest != correction.now.digest);
    assert_eq!(correction.before.digest, october.digests.0.values().next().copied());
    let november = november(told[0].clone());
    let both = [(Digest::of(b"november"), &november), (digest, &october)];
    assert_eq!(find(BOTH[0], &both, &now), [], "told once");
    // And back again.
    let back = find(BOTH[1], &both, &stored(7, &[refused(2)]));
    assert_eq!(back[0].now.digest, correction.before.digest);

    // A statement of the former form says nothing of entries: only of numbers is there a correction.
    let former = Statement { digests: Digests::default(), ..october };
    assert_eq!(find(BOTH[0], &[(digest, &former)], &now), []);
    let first = find(BOTH[0], &[(digest, &former)], &stored(8, &[refused(5)]));
    assert_eq!((first[0].before.digest, first[0].now.digest.is_some()), (None, true));
    let november = self::november(first);
    let both = [(Digest::of(b"november"), &november), (digest, &former)];
    let swapped = find(BOTH[0], &both, &stored(8, &[refused(6)]));
    assert!(swapped[0].keeps_totals(), "from then on it does: {swapped:?}");
}

#[test]
fn what_is_left_in_closed_days_stands_in_no_corrections_way() {
    let digest = Digest::of(b"october");
    // One is lost at the recipient, of one the two hold something else.
    let lost = message(20, EntryState::Stored);
    let ours = message(21, EntryState::Stored);
    let theirs = Entry { digest: Digest::of(b"theirs"), state: EntryState::Refused, ..ours };
    let left = [
        Difference {
            name: DifferenceName::MissingAtRecipient,
            sender: Some(lost),
            recipient: None,
        },
        Difference {
            name: DifferenceName::ContentDiffers,
            sender: Some(ours),
            recipient: Some(theirs),
        },
    ];
    let (asker, answerer) = (stored(7, &[lost, ours]), stored(7, &[theirs]));
    let october = october_of(&asker, &left);
    assert!(october.is_true_for(area(BOTH[1]), &answerer, &[]));
    let closed = [(digest, &october)];
    assert_eq!([find(BOTH[0], &closed, &asker), find(BOTH[1], &closed, &answerer)], [[], []]);
    let (asker, answerer) = (stored(9, &[lost, ours]), stored(9, &[theirs]));
    let told = [find(BOTH[0], &closed, &asker), find(BOTH[1], &closed, &answerer)];
    assert_eq!(told[0], told[1]);
    assert_eq!((told[0][0].before.counts.stored, told[0][0].now.counts.stored), (9, 11));
}

#[test]
fn of_what_was_counted_and_not_named_the_numbers_are_compared() {
    let lost = message(20, EntryState::Stored);
    let left = Difference {
        name: DifferenceName::MissingAtRecipient,
        sender: Some(lost),
        recipient: None,
    };
    let pair = (lost.from, lost.to);
    let what = LeftKind { pair, name: left.name, sender: Some(lost.state), recipient: None };
    let mut october = october_of(&stored(7, &[lost]), &[]);
    october.left_more = vec![LeftMore { what, count: 1 }];
    let october = october.attesting(Digests([(pair, Digest::of(b"nobody can tell"))].into()));
    assert_eq!(october.digests, Digests::default());
    let closed = [(Digest::of(b"october"), &october)];
    assert_eq!(find(BOTH[0], &closed, &stored(7, &[lost])), []);
    assert_eq!(find(BOTH[1], &closed, &stored(7, &[])), []);
    let told =
        [find(BOTH[0], &closed, &stored(8, &[lost])), find(BOTH[1], &closed, &stored(8, &[]))];
    assert_eq!(told[0], told[1]);
    assert_eq!((told[0][0].before.counts.stored, told[0][0].now.counts.stored), (8, 9));
    assert_eq!(told[0][0].now.digest, None, "nobody can tell");
}

#[test]
fn what_only_one_side_finds_changed_is_looked_at_again() {
    let of = |statement: u8, waiting: u64| Correction {
        statement: Digest::of(&[statement]),
        pair: (area("410522"), area("440305")),
        before: PairHeld::default(),
        now: PairHeld { counts: Counts { waiting, ..Counts::default() }, digest: None },
    };
    let digests = |of: &[u8]| of.iter().map(|it| Digest::of(&[*it])).collect::<BTreeSet<_>>();
    assert_eq!(one_sided(&[of(1, 1)], &[of(1, 1)]), digests(&[]));
    assert_eq!(one_sided(&[of(1, 1)], &[]), digests(&[1]));
    assert_eq!(one_sided(&[of(1, 1)], &[of(1, 2), of(2, 1)]), digests(&[1, 2]));
}

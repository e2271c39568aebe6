//! The way of a parcel follows from area codes, and the order from times that end.

use proptest::prelude::*;

use domain::reason::Reason;

use super::*;
use crate::samples;
use crate::samples::NOW;
use crate::samples::area;

#[test]
fn a_parcel_goes_down_where_it_can_and_else_to_the_recipients_province() {
    let hop = |own: &str, to: &str| next_hop(area(own), area(to)).to_string();
    assert_eq!(hop("410000", "410522"), "410522");
    assert_eq!(hop("410000", "330106"), "330000");
    assert_eq!(hop("330000", "330106"), "330106");
    assert_eq!(hop("410500", "410522"), "410522");
    assert_eq!(hop("410500", "410322"), "410000");
    assert_eq!(hop("410500", "330106"), "330000");
    assert_eq!(hop("410000", "330000"), "330000");
    assert_eq!(hop("410000", "410500"), "410500");
}

#[test]
fn a_relay_carries_what_is_from_or_for_the_areas_under_it() {
    let may = |own: &str, handed_by: &str, from: &str, to: &str| {
        may_carry(area(own), area(handed_by), area(from), area(to))
    };
    // From the sender to its own province, on to the recipient's, and down.
    assert!(may("410000", "410522", "410522", "330106"));
    assert!(may("410500", "410522", "410522", "330106"));
    assert!(may("330000", "410000", "410522", "330106"));
    // The sender goes to the recipient's province by itself, or both are in one.
    assert!(may("330000", "410522", "410522", "330106"));
    assert!(may("410000", "410522", "410522", "410322"));
    // A province for another, by way of a third: not ours at all.
    assert!(!may("510000", "410000", "410522", "330106"));
    assert!(!may("410000", "330000", "330106", "510101"));
    // Ours, but somebody else brings it.
    assert!(!may("410000", "330000", "410522", "510101"));
    // A county carries nothing; a node carries nothing of its own, and nothing back.
    assert!(!may("410523", "410522", "410522", "330106"));
    assert!(!may("410000", "410000", "410000", "330106"));
    assert!(!may("410000", "410522", "410522", "410000"));
    assert!(!may("410000", "410522", "410322", "410522"));
}

#[test]
fn a_word_is_that_of_a_relay_or_of_the_recipient_to_a_relay_above_it() {
    let parcel = samples::parcel_manifest(&[]);
    let refused = CustodyOutcome::Refused { reason: Reason::SenderUnknown };
    let may = |handed_by: &str, relay: &str, outcome: Option<CustodyOutcome>| {
        let mut word =
            samples::custody_manifest(&parcel, area(handed_by), area(relay), area("330106"));
        word.outcome = outcome.unwrap_or(word.outcome);
        may_speak(&word)
    };
    for outcome in [None, Some(refused)] {
        assert!(may("410522", "410000", outcome));
        assert!(may("410000", "330000", outcome));
        assert!(!may("410000", "510000", outcome), "it carries nothing for them");
        assert!(!may("410522", "410523", outcome));
    }
    assert!(may("330000", "330106", Some(refused)) && may("330100", "330106", Some(refused)));
    assert!(!may("330000", "330106", None), "a recipient does not hold its own mail");
    assert!(!may("410000", "330106", Some(refused)), "that relay hands nothing to it");
    assert!(!may("410522", "330106", Some(refused)), "to its sender it answers on the stream");
}

proptest! {
    /// Handed to any node above one of its ends, a parcel reaches its recipient over at most one more relay.
    #[test]
    fn every_way_ends_at_the_recipient(
        from in "[1-6][0-9]0[1-9]0[1-9]", to in "[1-6][0-9]0[1-9]0[1-9]", above in 0..4_usize,
    ) {
        let (from, to) = (area(&from), area(&to));
        let own = [from.province(), from.prefecture(), to.province(), to.prefecture()][above];
        prop_assume!(from != to);
        prop_assert!(may_carry(own, from, from, to));
        let next = next_hop(own, to);
        if next != to {
            prop_assert!(may_carry(next, own, from, to), "{next} from {own}");
            prop_assert_eq!(next_hop(next, to), to);
        }
    }

    #[test]
    fn a_deadline_is_within_thirty_days_and_never_past(due in prop::option::of(any::<u64>()), since in 0..u64::MAX / 2) {
        let since = UnixMillis::new(since);
        let deadline = effective_deadline(due.map(UnixMillis::new), since);
        prop_assert!(since <= deadline && deadline <= since.saturating_add(DUE_WITHIN));
        if let Some(due) = due.map(UnixMillis::new) {
            let honest = since <= due && due <= since.saturating_add(DUE_WITHIN);
            prop_assert!(!honest || deadline == due);
        }
    }
}

#[test]
fn the_most_urgent_envelope_decides_for_its_parcel() {
    let at = |days: u64| NOW.saturating_add(Duration::from_secs(days * 86_400));
    let header = |due: Option<u64>| Header { due: due.map(at), ..samples::header(1) };
    let deadline = |dues: &[Option<u64>]| {
        let headers: Vec<_> = dues.iter().map(|due| header(*due)).collect();
        parcel_deadline(&headers, NOW)
    };
    assert_eq!(deadline(&[None, Some(7), Some(20)]), at(7));
    assert_eq!(deadline(&[None, Some(90)]), at(30));
    assert_eq!(deadline(&[]), at(30));
}

//! Who may hand what to whom.

use super::*;
use crate::custody::CustodyOutcome;
use crate::digest::Digest;
use crate::samples;
use crate::samples::NOW;
use crate::samples::area;

/// From 410522 for 330106.
fn parcel() -> ParcelManifest {
    samples::parcel_manifest(&[Digest::of(b"a")])
}

fn word(handed_by: &str, relay: &str, next: &str) -> CustodyManifest {
    samples::custody_manifest(&parcel(), area(handed_by), area(relay), area(next))
}

/// The words of both relays of the longest usual way.
fn both() -> [CustodyManifest; 2] {
    [word("410522", "410000", "330000"), word("410000", "330000", "330106")]
}

fn check(own: &str, handed_by: &str, words: &[CustodyManifest]) -> Result<Handover, HandoverFault> {
    check_handover(area(own), Some(area(handed_by)), &parcel(), words, later(60))
}

fn later(seconds: u64) -> UnixMillis {
    UnixMillis::new(NOW.get() + 1000 * seconds)
}

#[test]
fn the_recipient_takes_it_from_the_sender_or_from_the_last_relay() {
    let handed_by = area("410522");
    let direct = Handover { handed_by, task: Task::Receive, sender_holds_at: later(60) };
    assert_eq!(check("330106", "410522", &[]), Ok(direct));
    // Two milliseconds after the parcel was signed the first relay had it.
    let sender_holds_at = UnixMillis::new(NOW.get() + 2);
    let handed_by = area("330000");
    let carried = Handover { handed_by, task: Task::Receive, sender_holds_at };
    assert_eq!(check("330106", "330000", &both()), Ok(carried));
    let (expected, found) = (area("330000"), area("410000"));
    let fault = Err(HandoverFault::Bearer { expected, found });
    assert_eq!(check("330106", "410000", &both()), fault);
    // A file is brought by anybody.
    assert_eq!(check_handover(area("330106"), None, &parcel(), &both(), later(60)), Ok(carried));
}

#[test]
fn each_relay_of_the_way_carries_it_to_the_next() {
    let task = |own: &str, handed_by: &str, words: &[CustodyManifest]| {
        check(own, handed_by, words).map(|handover| handover.task)
    };
    let to = |code: &str| Ok(Task::Carry { next: area(code) });
    assert_eq!(task("410000", "410522", &[]), to("330000"));
    assert_eq!(task("330000", "410000", &both()[..1]), to("330106"));
    assert_eq!(task("330000", "410522", &[]), to("330106"));
    // Not theirs to carry, or nothing to carry at all.
    assert_eq!(task("510000", "410522", &[]), Err(HandoverFault::NotForUs));
    assert_eq!(task("410523", "410522", &[]), Err(HandoverFault::NotForUs));
    assert_eq!(task("410522", "410522", &[]), Err(HandoverFault::NotForUs));
    let next = area("330000");
    assert_eq!(task("330100", "410000", &both()[..1]), Err(HandoverFault::OtherNext { next }));
}

#[test]
fn a_parcel_for_its_own_sender_is_nobodys() {
    let own = area("410522");
    let parcel = ParcelManifest { to: own, ..parcel() };
    let checked = check_handover(own, Some(own), &parcel, &[], NOW);
    assert_eq!(checked, Err(HandoverFault::NotForUs));
}

#[test]
fn words_of_nodes_that_carry_nothing_here_are_not_believed() {
    let by = |words: &[CustodyManifest], bearer: &str| check("330106", bearer, words).unwrap_err();
    let stray = word("410522", "510000", "330106");
    let relay = area("510000");
    assert_eq!(by(&[stray], "510000"), HandoverFault::NotARelay { relay });
    let [own, mut peers] = both();
    peers.handed_by = area("510000");
    let fault = by(&[own.clone(), peers], "330000");
    assert!(matches!(fault, HandoverFault::Words(CustodyFault::HandedBy { .. })));
    let outcome = CustodyOutcome::Refused { reason: Reason::NotForUs };
    let refused = CustodyManifest { outcome, ..own };
    assert_eq!(by(&[refused], "410000"), HandoverFault::Words(CustodyFault::NotHeld));
}

#[test]
fn no_clock_that_is_wrong_stops_a_parcel() {
    let at = |first: u64, second: u64| {
        let [mut one, mut two] = both();
        (one.signed, two.signed) = (later(first), later(second));
        check("330106", "330000", &[one, two]).map(|handover| handover.sender_holds_at)
    };
    assert_eq!(at(10, 20), Ok(later(10)));
    // The second relay's clock is slow, the first one's is fast, or our own is slow.
    assert_eq!(at(20_000, 10), Ok(later(60)));
    assert_eq!(at(10, 20_000), Ok(later(10)));
    assert_eq!(at(20_000, 20_001), Ok(later(60)), "no time counts as later than now");
}

#[test]
fn every_fault_has_a_reason() {
    let reasons = [
        (HandoverFault::NotForUs, Reason::NotForUs),
        (HandoverFault::OtherNext { next: area("330000") }, Reason::NotForUs),
        (
            HandoverFault::Bearer { expected: area("330000"), found: area("410000") },
            Reason::SenderMismatch,
        ),
        (HandoverFault::NotARelay { relay: area("510000") }, Reason::Malformed),
        (HandoverFault::Words(CustodyFault::Circle), Reason::Malformed),
    ];
    for (fault, reason) in reasons {
        assert_eq!(fault.reason(), reason, "{fault}");
    }
}

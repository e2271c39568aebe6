//! The table at the head of the receiver, line by line.

use proptest::prelude::*;

use super::*;
use crate::lane::LaneSeq;
use crate::samples;
use crate::samples::NOW;

const DECIDED: UnixMillis = UnixMillis::new(NOW.get() - 500);

fn digest() -> Digest {
    Digest::of(b"envelope")
}

fn original(outcome: Outcome) -> Original {
    Original {
        message_id: samples::message_id(1),
        digest: digest(),
        outcome,
        decided: DECIDED,
        same_body: false,
    }
}

fn refused(reason: Reason) -> Outcome {
    Outcome::Refused { reason, field: None }
}

fn decided(admission: Admission, original: Option<&Original>) -> Decision {
    decide(admission, original, &samples::header(1), digest(), false, Verdict::Accept, NOW)
}

fn deferred(reason: Reason, by: Duration) -> Outcome {
    Outcome::Deferred { reason, until: NOW.saturating_add(by) }
}

#[test]
fn fresh_envelopes_get_the_verdict() {
    let with = |verdict| {
        let header = samples::header(1);
        let decision = decide(Admission::Fresh, None, &header, digest(), false, verdict, NOW);
        assert_eq!((decision.disposition.duplicate, decision.disposition.decided), (false, NOW));
        (decision.disposition.outcome, decision.effect)
    };
    assert_eq!(with(Verdict::Accept), (Outcome::Stored, Effect::Store));
    let field = Some("person.name".to_owned());
    assert_eq!(
        with(Verdict::Refuse { reason: Reason::InvalidField, field: field.clone() }),
        (Outcome::Refused { reason: Reason::InvalidField, field }, Effect::RecordRefusal)
    );
    let (reason, until) = (Reason::Busy, UnixMillis::new(NOW.get() + 9));
    assert_eq!(
        with(Verdict::Defer { reason, until }),
        (Outcome::Deferred { reason, until }, Effect::Nothing)
    );
}

#[test]
fn a_repetition_gets_the_original_answer_and_has_no_second_effect() {
    for outcome in [Outcome::Stored, refused(Reason::BasisRequired), refused(Reason::Expired)] {
        let original = original(outcome.clone());
        for (admission, effect) in [
            (Admission::Seen, Effect::Nothing),
            (Admission::Fresh, Effect::RecordRepeat),
            (Admission::CheckId, Effect::RecordRepeat),
        ] {
            let decision = decided(admission, Some(&original));
            assert_eq!(decision.effect, effect);
            assert!(decision.disposition.duplicate && !decision.is_conflict());
            assert_eq!(decision.disposition.outcome, outcome);
            assert_eq!(decision.disposition.decided, DECIDED);
        }
    }
}

#[test]
fn a_message_sealed_again_is_the_same_message_if_its_body_is() {
    let mut original = original(Outcome::Stored);
    original.digest = Digest::of(b"the envelope of the earlier epoch");
    assert!(decided(Admission::CheckId, Some(&original)).is_conflict());
    original.same_body = true;
    let decision = decided(Admission::CheckId, Some(&original));
    assert!(decision.disposition.duplicate);
    assert_eq!(decision.disposition.outcome, Outcome::Stored);
    // The answer is about the envelope that was offered, not about the old one.
    assert_eq!(decision.disposition.digest, digest());
    original.message_id = samples::message_id(2);
    assert!(decided(Admission::CheckId, Some(&original)).is_conflict());
}

#[test]
fn other_content_under_the_same_name_is_a_conflict_and_changes_nothing_about_the_original() {
    let mut other = original(Outcome::Stored);
    other.digest = Digest::of(b"other");
    for (admission, effect) in [
        // The sequence was used for the original: nothing to remember.
        (Admission::Seen, Effect::Nothing),
        // The sequence is new, its message id is not: the refusal belongs to the sequence.
        (Admission::Fresh, Effect::RecordRefusal),
        (Admission::CheckId, Effect::RecordRefusal),
    ] {
        let decision = decided(admission, Some(&other));
        assert!(decision.is_conflict());
        assert_eq!(decision.disposition.outcome, refused(Reason::Conflict));
        assert_eq!(decision.effect, effect);
    }
}

#[test]
fn only_fresh_envelopes_expire() {
    let mut header = samples::header(1);
    header.expires = NOW;
    let decide = |admission, original: Option<&Original>| {
        decide(admission, original, &header, digest(), false, Verdict::Accept, NOW)
    };
    let fresh = decide(Admission::Fresh, None);
    assert_eq!(fresh.disposition.outcome, refused(Reason::Expired));
    assert_eq!(fresh.effect, Effect::RecordRefusal);
    let stored = original(Outcome::Stored);
    assert_eq!(decide(Admission::Seen, Some(&stored)).disposition.outcome, Outcome::Stored);
}

#[test]
fn what_was_withdrawn_is_refused_unless_it_was_seen() {
    let mut header = samples::header(1);
    let withdrawn = |header: &Header, admission, original: Option<&Original>| {
        decide(admission, original, header, digest(), true, Verdict::Accept, NOW)
    };
    for admission in [Admission::Fresh, Admission::CheckId] {
        let decision = withdrawn(&header, admission, None);
        assert_eq!(decision.disposition.outcome, refused(Reason::Withdrawn));
        assert_eq!(decision.effect, Effect::RecordRefusal);
    }
    // It may have been stored before it was withdrawn; also in another epoch, under another digest.
    let mut stored = original(Outcome::Stored);
    let same = withdrawn(&header, Admission::Seen, Some(&stored));
    assert_eq!((same.disposition.outcome, same.effect), (Outcome::Stored, Effect::Nothing));
    stored.digest = Digest::of(b"the envelope of the earlier epoch");
    let again = withdrawn(&header, Admission::CheckId, Some(&stored));
    assert_eq!((again.disposition.outcome, again.effect), (Outcome::Stored, Effect::RecordRepeat));
    stored.message_id = samples::message_id(2);
    assert!(withdrawn(&header, Admission::Seen, Some(&stored)).is_conflict());
    header.expires = NOW;
    let expired = withdrawn(&header, Admission::Fresh, None);
    assert_eq!(expired.disposition.outcome, refused(Reason::Expired));
}

#[test]
fn what_cannot_be_judged_is_put_off() {
    for (admission, outcome) in [
        (Admission::Seen, deferred(Reason::Internal, FAULT_RETRY)),
        (Admission::OtherEpoch, deferred(Reason::EpochUnknown, FAULT_RETRY)),
        (
            Admission::TooFarAhead { highest: LaneSeq::new(1) },
            deferred(Reason::WindowExceeded, WINDOW_RETRY),
        ),
    ] {
        let decision = decided(admission, None);
        assert_eq!((decision.disposition.outcome, decision.effect), (outcome, Effect::Nothing));
    }
}

#[test]
fn what_has_no_lane_here_is_refused_without_a_trace() {
    let unreadable = refuse_unreadable(digest(), NOW);
    assert_eq!(unreadable.message_id, nil_message_id());
    assert_eq!(unreadable.outcome, refused(Reason::Malformed));
    let misdirected = refuse_misdirected(&samples::header(1), digest(), Reason::NotForUs, NOW);
    assert_eq!(misdirected.message_id, samples::message_id(1));
    assert_eq!(misdirected.outcome, refused(Reason::NotForUs));
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Stored), Just(refused(Reason::NotAgreed))]
}

fn any_admission() -> impl Strategy<Value = Admission> {
    prop_oneof![
        Just(Admission::Fresh),
        Just(Admission::CheckId),
        Just(Admission::Seen),
        Just(Admission::OtherEpoch),
        Just(Admission::TooFarAhead { highest: LaneSeq::new(4096) }),
    ]
}

proptest! {
    /// "Stored" is said only of what is stored now or was stored before.
    #[test]
    fn stored_is_never_claimed_for_nothing(
        admission in any_admission(), outcome in prop::option::of(any_outcome()),
        same_digest in any::<bool>(), same_body in any::<bool>(), withdrawn in any::<bool>(), accept in any::<bool>(), expired in any::<bool>(),
    ) {
        let mut header = samples::header(1);
        if expired { header.expires = NOW; }
        let known = outcome.map(|outcome| Original {
            digest: if same_digest { digest() } else { Digest::of(b"other") },
            same_body,
            ..original(outcome)
        });
        let verdict = if accept { Verdict::Accept } else { Verdict::Refuse { reason: Reason::Malformed, field: None } };
        let Decision { disposition, effect } = decide(admission, known.as_ref(), &header, digest(), withdrawn, verdict, NOW);
        let was_stored = known.as_ref().is_some_and(|known| known.outcome == Outcome::Stored);
        prop_assert_eq!(effect == Effect::Store, disposition.outcome == Outcome::Stored && !disposition.duplicate);
        if disposition.outcome == Outcome::Stored {
            prop_assert!(effect == Effect::Store || (disposition.duplicate && was_stored));
        }
        // What came without its body is stored by nobody.
        prop_assert!(!withdrawn || effect != Effect::Store);
        // A deferral leaves no trace, and what was seen stays as it is.
        prop_assert!(disposition.outcome.is_final() || effect == Effect::Nothing);
        prop_assert!(admission != Admission::Seen || effect == Effect::Nothing);
        prop_assert!(effect != Effect::Store || known.is_none());
        prop_assert_eq!(disposition.digest, digest());
    }
}

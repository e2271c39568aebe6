//! What comes again, in the same place or in another epoch, gets its first answer and has no second effect.

use std::time::Duration;

use domain::id::{MessageId, MessageIds};
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::envelope::{AlgorithmProfile, Header, SealHeader, SealedEnvelope};
use exchange::lane::{LaneEpoch, LaneSeq};
use exchange::parcel::ParcelId;
use exchange::receipt::{Disposition, Outcome};
use store::Kept;
use store::messages::{Side, Signed, message_key};
use store::tables::MESSAGE;
use wire::{content::encode_content, decode_disposition};

use super::mail::{content_between, row};
use super::{HERE, NOW, ORIGIN, Office};
use crate::app::idempotency::{self, Once};
use crate::app::messages::receive::{self, Arrived, Fit, Item, Judged, Opened};
use crate::app::{AppError, Ctx};

/// An envelope in some place, under some id.
#[derive(Clone, Copy)]
struct Offer {
    id: MessageId,
    epoch: u64,
    sequence: u64,
}

fn id(number: u64) -> MessageId {
    MessageIds::of(ORIGIN.parse().unwrap()).next(NOW, number << 20)
}

fn header(offer: Offer) -> Header {
    Header {
        message_id: offer.id,
        from: ORIGIN.parse().unwrap(),
        to: HERE.parse().unwrap(),
        epoch: LaneEpoch::new(offer.epoch),
        sequence: LaneSeq::new(offer.sequence),
        created: NOW,
        expires: NOW.saturating_add(Duration::from_secs(86_400)),
        due: None,
        seal: SealHeader {
            profile: AlgorithmProfile::International,
            recipient_key_id: [1; 8],
            encapsulated_key: [2; 32],
            counter: offer.sequence,
        },
    }
}

/// A body that can be stored; the same for the same seed.
fn fit(office: &Office, seed: u64) -> Judged {
    let content = content_between(seed, Kind::DepartureNotice, ORIGIN, HERE);
    let bytes = encode_content(&content);
    Judged::Fit(Box::new(Fit::new(&office.store, content, bytes, NOW)))
}

const fn unfit() -> Judged {
    Judged::Unfit { reason: Reason::SealedForOtherKey, field: None }
}

/// Hands one envelope over in a parcel of its own, and says what is answered.
async fn offered(office: &Office, offer: Offer, judged: Judged, now: UnixMillis) -> Disposition {
    let header = header(offer);
    // Sealed for its place: no two places have the same bytes.
    let envelope = SealedEnvelope::new(
        [offer.epoch, offer.sequence].map(u64::to_be_bytes).concat(),
        offer.id.as_bytes().to_vec(),
    );
    let digest = envelope.digest();
    let opened = Opened { header, envelope, digest, judged };
    let arrived = Arrived {
        parcel_id: ParcelId::from_bytes(crate::time::random()),
        peer: ORIGIN.parse().unwrap(),
        signed: Signed { manifest: Default::default(), signature: Default::default() },
        signer: Digest::new([0; 32]),
        chain: Vec::new(),
        words: Vec::new(),
        items: vec![Item::Ours(Box::new(opened))],
    };
    let answered = office.store.commit(move |unit| receive::take_in(unit, &arrived, now));
    let answer = answered.await.map_err(AppError::from).unwrap();
    decode_disposition(&answer.dispositions[0]).unwrap()
}

const LATER: UnixMillis = UnixMillis::new(NOW.get() + 60_000);

#[tokio::test]
async fn a_message_that_was_sealed_again_is_answered_as_often_as_it_comes() {
    let office = Office::here();
    let first = Offer { id: id(1), epoch: 7, sequence: 1 };
    let stored = offered(&office, first, fit(&office, 1), NOW).await;
    assert_eq!((stored.outcome, stored.duplicate), (Outcome::Stored, false));
    let again = Offer { epoch: 8, ..first };
    for _ in 0..3 {
        let repeated = offered(&office, again, fit(&office, 1), LATER).await;
        assert_eq!((repeated.outcome, repeated.duplicate), (Outcome::Stored, true));
        assert_eq!(repeated.decided, NOW);
    }
    let kept = row(&office.store, id(1), Side::Received);
    assert_eq!((kept.epoch, kept.stored), (LaneEpoch::new(7), NOW));
    // Another body under that id is another matter.
    let forged = offered(&office, Offer { epoch: 9, ..first }, fit(&office, 2), LATER).await;
    assert!(matches!(forged.outcome, Outcome::Refused { reason: Reason::Conflict, .. }));
}

#[tokio::test]
async fn a_refusal_stays_a_refusal_in_every_epoch() {
    let office = Office::here();
    let first = Offer { id: id(1), epoch: 7, sequence: 1 };
    let refused = offered(&office, first, unfit(), NOW).await;
    let reason = Reason::SealedForOtherKey;
    assert_eq!(refused.outcome, Outcome::Refused { reason, field: None });
    for epoch in [7, 8, 8, 9] {
        let again = offered(&office, Offer { epoch, ..first }, fit(&office, 1), LATER).await;
        assert_eq!((again.outcome, again.duplicate), (refused.outcome.clone(), true));
        assert_eq!(again.decided, NOW);
    }
}

#[tokio::test]
async fn what_met_a_conflict_can_come_in_another_epoch() {
    let office = Office::here();
    let first = Offer { id: id(1), epoch: 7, sequence: 1 };
    offered(&office, first, fit(&office, 1), NOW).await;
    // The sender's disk was put back: the place was given again.
    let other = Offer { id: id(2), ..first };
    let conflict = offered(&office, other, fit(&office, 2), NOW).await;
    assert!(matches!(conflict.outcome, Outcome::Refused { reason: Reason::Conflict, .. }));
    let healed = offered(&office, Offer { epoch: 8, ..other }, fit(&office, 2), NOW).await;
    assert_eq!((healed.outcome, healed.duplicate), (Outcome::Stored, false));
}

#[tokio::test]
async fn what_was_erased_does_not_come_back() {
    let office = Office::here();
    let first = Offer { id: id(1), epoch: 7, sequence: 1 };
    offered(&office, first, fit(&office, 1), NOW).await;
    let key = message_key(id(1), Side::Received);
    let erased = office.store.commit(move |unit| {
        let Some(Kept::Value { person, .. }) = unit.get_personal(&MESSAGE, &key)? else {
            return Ok(false);
        };
        Ok::<_, AppError>(unit.erase_subject(person)?)
    });
    assert!(erased.await.map_err(AppError::from).unwrap());
    for epoch in [8, 8, 7] {
        let again = offered(&office, Offer { epoch, ..first }, fit(&office, 1), LATER).await;
        assert_eq!((again.outcome, again.duplicate), (Outcome::Stored, true));
    }
    assert!(matches!(office.store.get_personal(&MESSAGE, &key).unwrap(), Some(Kept::Erased)));
}

#[tokio::test]
async fn a_key_is_forgotten_after_its_time_and_not_before() {
    let office = Office::here();
    let once = |key: &str, at: UnixMillis| {
        let ctx = Ctx { now: at, ..office.clerk() };
        let once = Once::new(key, "Test", &1_u8).unwrap();
        office.store.commit(move |unit| once.keep(&ctx, unit, &7_u8))
    };
    let later = NOW.saturating_add(Duration::from_secs(86_400));
    once("old", NOW).await.unwrap();
    once("young", later).await.unwrap();
    let known = |key: &str| {
        let ctx = office.clerk();
        let once = Once::new(key, "Test", &1_u8).unwrap();
        office.store.commit(move |unit| once.first::<u8>(&ctx, unit))
    };
    let kept = idempotency::KEYS_KEPT;
    assert_eq!(idempotency::forget(&office.store, NOW.saturating_add(kept)).await.unwrap(), 0);
    let day = later.saturating_add(kept);
    assert_eq!(idempotency::forget(&office.store, day).await.unwrap(), 1);
    assert_eq!(known("old").await.unwrap(), None);
    assert_eq!(known("young").await.unwrap(), Some(7));
}

//! Parcels of ours that somebody carries: what they come to, and what is kept of them.

use std::time::Duration;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::courier::CourierSettings;
use exchange::custody::{CustodyManifest, CustodyOutcome, CustodyReceipt};
use exchange::digest::Digest;
use exchange::lane::{LaneOut, LaneSeq, Mark};
use exchange::parcel::{ParcelId, ParcelManifest, envelopes_root};
use store::messages::Side;
use store::transit::Carrier;
use wire::{encode_custody_manifest, encode_manifest};

use super::mail::{Post, content, receipt, row, send};
use super::{HERE, NOW, ORIGIN, Office, later};
use crate::app::AppError;
use crate::app::messages::consign::{self, Consigned};
use crate::app::messages::next::{self, Step};
use crate::app::messages::send::Accepted;
use crate::app::messages::track::{Stage, Track};
use crate::app::messages::turned_back::TurnedBack;
use crate::app::messages::{read, settle};
use crate::app::relay::SignedWord;

const MINUTE: Duration = Duration::from_secs(60);

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn at(minutes: u32) -> UnixMillis {
    NOW.saturating_add(minutes * MINUTE)
}

/// A parcel of messages of ours that was handed to somebody.
struct Handed<'a> {
    office: &'a Office,
    manifest: ParcelManifest,
    consigned: Consigned,
}

impl<'a> Handed<'a> {
    /// A parcel of these messages, handed to our own province at that time.
    async fn over(office: &'a Office, messages: &[Accepted], name: u8, now: UnixMillis) -> Self {
        let digests: Vec<Digest> = messages
            .iter()
            .map(|message| row(&office.store, message.id, Side::Sent).digest)
            .collect();
        let manifest = ParcelManifest {
            parcel_id: ParcelId::from_bytes([name; 16]),
            from: office.area,
            to: messages[0].to,
            count: u32::try_from(digests.len()).unwrap(),
            root: envelopes_root(&digests),
            signed: now,
            signer: Digest::of(b"our certificate"),
            withdrawn: Vec::new(),
        };
        let bytes = encode_manifest(&manifest);
        let relay = office.area.province();
        let consigned = Consigned {
            peer: messages[0].to,
            epoch: messages[0].epoch,
            parcel_id: manifest.parcel_id,
            parcel: SignedWord::new(&bytes, b"signature", manifest.signer, &[]),
            sequences: messages.iter().map(|message| message.sequence).collect(),
            carrier: Carrier::Relay(relay),
            word: None,
            handed: now,
        };
        let mut handed = Self { office, manifest, consigned };
        let held = handed.word(HERE, relay.as_str(), held_for("410000"), now);
        handed.consigned.word = Some(signed(&held));
        handed.keep(now).await;
        handed
    }

    async fn keep(&mut self, now: UnixMillis) {
        let Consigned { peer, epoch, parcel_id, carrier, handed, .. } = self.consigned;
        let copy = Consigned {
            peer,
            epoch,
            parcel_id,
            parcel: self.consigned.parcel.clone(),
            sequences: self.consigned.sequences.clone(),
            carrier,
            word: self.consigned.word.clone(),
            handed,
        };
        // The courier looks at its clock once more.
        let until = now.saturating_add(PATIENCE + Duration::from_millis(1));
        let marks: Vec<_> =
            copy.sequences.iter().map(|sequence| Mark::InCustody(*sequence, until)).collect();
        let kept = self
            .office
            .store
            .commit(move |unit| consign::keep(unit, &copy, &marks, PATIENCE))
            .await;
        kept.map_err(AppError::from).unwrap();
    }

    /// What somebody says about the parcel.
    fn word(
        &self,
        handed_by: &str,
        relay: &str,
        outcome: CustodyOutcome,
        signed: UnixMillis,
    ) -> CustodyManifest {
        CustodyManifest {
            parcel_id: self.manifest.parcel_id,
            parcel_root: self.manifest.root,
            relay: area(relay),
            handed_by: area(handed_by),
            from: self.manifest.from,
            to: self.manifest.to,
            outcome,
            signed,
            signer: Digest::of(relay.as_bytes()),
        }
    }

    /// A word came back whose signature holds.
    async fn hears(&self, word: CustodyManifest, now: UnixMillis) -> Option<TurnedBack> {
        let bytes = signed(&word);
        let settings = settings();
        let kept = self
            .office
            .store
            .commit(move |unit| consign::keep_word(unit, &word, &bytes, &settings, now));
        kept.await.map_err(AppError::from).unwrap()
    }
}

const PATIENCE: Duration = Duration::from_secs(3_600);

fn settings() -> CourierSettings {
    CourierSettings { custody_patience: PATIENCE, ..CourierSettings::default() }
}

fn held_for(next: &str) -> CustodyOutcome {
    CustodyOutcome::Held { next: area(next) }
}

fn refused(reason: Reason) -> CustodyOutcome {
    CustodyOutcome::Refused { reason }
}

fn signed(word: &CustodyManifest) -> SignedWord {
    let receipt = CustodyReceipt {
        manifest_bytes: Bytes::from(encode_custody_manifest(word)),
        signature: Bytes::from_static(b"signature"),
        chain: Vec::new(),
    };
    SignedWord::of_custody(&receipt, word.signer)
}

async fn messages(office: &Office, count: u64) -> Vec<Accepted> {
    let (post, clerk) = (Post::new(), office.clerk());
    let mut sent = Vec::new();
    for seed in 0..count {
        sent.push(send(office, &clerk, &post, content(seed, Kind::DepartureNotice)).await);
    }
    sent
}

fn lane(office: &Office, of: Accepted) -> LaneOut {
    settle::lane_in_epoch(&office.store, of.to, of.epoch).unwrap()
}

fn track(office: &Office, of: Accepted) -> Track {
    read::track(&office.clerk(), &office.store, of.id).unwrap()
}

#[tokio::test]
async fn what_the_recipient_does_not_take_from_a_relay_is_released_at_once() {
    let office = Office::here();
    let sent = messages(&office, 2).await;
    let handed = Handed::over(&office, &sent, 1, NOW).await;
    assert_eq!(track(&office, sent[0]).stage, Stage::AtRelay);
    // The relay of the other side gave its word, too; that word was lost on its way.
    let word = handed.word("410000", ORIGIN, refused(Reason::SenderUnknown), at(3));
    let back = handed.hears(word.clone(), at(5)).await.unwrap();
    assert_eq!((back.peer, back.epoch), (sent[0].to, sent[0].epoch));
    assert_eq!(back.carrier, Carrier::Relay(area("440000")));
    assert_eq!((back.refusal.by, back.refusal.reason), (area(ORIGIN), Reason::SenderUnknown));
    let again = at(5).saturating_add(settings().route_patience);
    let marks = [1, 2].map(|n| Mark::Deferred(LaneSeq::new(n), again));
    assert_eq!(back.marks, marks);
    let lane = lane(&office, sent[0]);
    assert!(lane.in_custody().is_empty());
    assert_eq!(lane.rests_until(sent[0].sequence), Some(again), "and it is so after a restart");

    let track = track(&office, sent[0]);
    assert_eq!((track.stage, track.reason), (Stage::Queued, Some(Reason::SenderUnknown)));
    assert_eq!((track.retry_at, track.carried.is_none()), (Some(again), true));
    let next = next::next(&track);
    assert_eq!((next.step, next.turn), (Step::NodeTries, Some(area(HERE))));
    assert!(next.en.contains("does not take it from a relay"), "{}", next.en);

    // The same word once more, or that of another node, changes nothing.
    assert!(handed.hears(word, at(6)).await.is_none());
    assert!(
        handed
            .hears(handed.word(HERE, "440000", refused(Reason::Expired), at(6)), at(6))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn only_who_had_it_in_hand_turns_it_back() {
    let office = Office::here();
    let sent = messages(&office, 1).await;
    let handed = Handed::over(&office, &sent, 1, NOW).await;
    let stranger = handed.word("440000", "510000", refused(Reason::NotForUs), at(1));
    assert!(handed.hears(stranger, at(1)).await.is_none());
    let mut other = handed.word("410000", ORIGIN, refused(Reason::NotForUs), at(1));
    other.parcel_root = Digest::of(b"another");
    assert!(handed.hears(other, at(1)).await.is_none());
    assert_eq!(track(&office, sent[0]).stage, Stage::AtRelay);
    // What is held further on changes where it is, and nothing else.
    let held = handed.word("440000", "410000", held_for(ORIGIN), at(1));
    assert!(handed.hears(held, at(2)).await.is_none());
    let carried = track(&office, sent[0]).carried.unwrap();
    assert_eq!(carried.carrier, Carrier::Relay(area("410000")));
}

#[tokio::test]
async fn a_refusal_leaves_alone_what_was_settled_or_handed_to_somebody_else() {
    let office = Office::here();
    let sent = messages(&office, 2).await;
    let first = Handed::over(&office, &sent, 1, NOW).await;
    receipt(&office, &[(sent[0], None)], at(10)).await;
    // The patience with the first relay has ended.
    let second = Handed::over(&office, &sent[1..], 2, at(61)).await;
    let late = first.word("440000", "410000", refused(Reason::NotForUs), at(60));
    assert!(first.hears(late, at(62)).await.is_none());
    assert!(lane(&office, sent[1]).rests_until(sent[1].sequence).unwrap() > at(120));
    assert_eq!(track(&office, sent[1]).stage, Stage::AtRelay);
    // The pause is longer each time.
    let word = second.word("440000", "410000", refused(Reason::NotForUs), at(63));
    let back = second.hears(word, at(63)).await.unwrap();
    let again = at(63).saturating_add(2 * settings().route_patience);
    assert_eq!(back.marks, [Mark::Deferred(sent[1].sequence, again)]);
    assert_eq!(track(&office, sent[0]).stage, Stage::Stored);
    let later = read::track(&later(&office.clerk(), 90 * MINUTE), &office.store, sent[1].id);
    assert_eq!(later.unwrap().reason, Some(Reason::NotForUs));
}

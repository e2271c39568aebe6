//! Arbitrary values of the protocol, for the tests that send them there and back.

use bytes::Bytes;
use domain::area::AreaCode;
use domain::area::AreaLevel;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::card::AreaChange;
use exchange::card::MaintenanceWindow;
use exchange::card::NodeCard;
use exchange::card::SealingKey;
use exchange::card::SignedCard;
use exchange::custody::CustodyManifest;
use exchange::custody::CustodyOutcome;
use exchange::custody::CustodyReceipt;
use exchange::custody::Returned;
use exchange::digest::Digest;
use exchange::envelope::AlgorithmProfile;
use exchange::envelope::Header;
use exchange::envelope::SealHeader;
use exchange::envelope::SealedEnvelope;
use exchange::lane::LaneEpoch;
use exchange::lane::LaneSeq;
use exchange::ledger::SeenHead;
use exchange::parcel::Parcel;
use exchange::parcel::ParcelId;
use exchange::parcel::ParcelManifest;
use exchange::receipt::Disposition;
use exchange::receipt::LedgerHead;
use exchange::receipt::Outcome;
use exchange::receipt::Receipt;
use exchange::receipt::ReceiptManifest;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::frame::Frame;
use crate::frame::Hello;

pub(crate) fn area() -> impl Strategy<Value = AreaCode> {
    "[1-9][0-9]([0-9]{4}|0000)".prop_map(|code| code.parse().unwrap())
}

pub(crate) fn time() -> impl Strategy<Value = UnixMillis> {
    prop_oneof![0..10_u64, 1_700_000_000_000..253_402_300_800_000_u64].prop_map(UnixMillis::new)
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::new)
}

fn message_id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(MessageId::from_bytes)
}

fn profile() -> impl Strategy<Value = AlgorithmProfile> {
    prop_oneof![Just(AlgorithmProfile::International), Just(AlgorithmProfile::Shangmi)]
}

pub(crate) fn seal() -> impl Strategy<Value = SealHeader> {
    (profile(), any::<[u8; 8]>(), any::<[u8; 32]>(), any::<u64>()).prop_map(
        |(profile, recipient_key_id, encapsulated_key, counter)| SealHeader {
            profile,
            recipient_key_id,
            encapsulated_key,
            counter,
        },
    )
}

pub(crate) fn header() -> impl Strategy<Value = Header> {
    let due = prop::option::of(time().prop_filter("0 means none", |due| due.get() != 0));
    let addresses = (message_id(), area(), area());
    let lane = (any::<u64>(), prop_oneof![1..1000_u64, 1..=u64::MAX]);
    (addresses, lane, time(), time(), due, seal()).prop_map(
        |((message_id, from, to), (epoch, sequence), created, expires, due, seal)| Header {
            message_id,
            from,
            to,
            epoch: LaneEpoch::new(epoch),
            sequence: LaneSeq::new(sequence),
            created,
            expires,
            due,
            seal,
        },
    )
}

fn reason() -> impl Strategy<Value = Reason> {
    prop::sample::select(Reason::ALL)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let field = prop::option::of("[a-z.]{1,40}");
    prop_oneof![
        Just(Outcome::Stored),
        (reason(), field).prop_map(|(reason, field)| Outcome::Refused { reason, field }),
        (reason(), any::<u64>().prop_map(UnixMillis::new))
            .prop_map(|(reason, until)| Outcome::Deferred { reason, until }),
    ]
}

pub(crate) fn disposition() -> impl Strategy<Value = Disposition> {
    (message_id(), digest(), outcome(), any::<bool>(), time()).prop_map(
        |(message_id, digest, outcome, duplicate, decided)| Disposition {
            message_id,
            digest,
            outcome,
            duplicate,
            decided,
        },
    )
}

fn parcel_id() -> impl Strategy<Value = ParcelId> {
    any::<[u8; 16]>().prop_map(ParcelId::from_bytes)
}

pub(crate) fn parcel_manifest() -> impl Strategy<Value = ParcelManifest> {
    let withdrawn = prop::collection::btree_set(0..1000_u32, 0..5);
    let count = prop_oneof![1000..2000_u32, 1000..=u32::MAX];
    (parcel_id(), area(), area(), count, digest(), time(), digest(), withdrawn).prop_map(
        |(parcel_id, from, to, count, root, signed, signer, withdrawn)| ParcelManifest {
            parcel_id,
            from,
            to,
            count,
            root,
            signed,
            signer,
            withdrawn: withdrawn.into_iter().collect(),
        },
    )
}

pub(crate) fn receipt_manifest() -> impl Strategy<Value = ReceiptManifest> {
    let head = (any::<u64>(), digest()).prop_map(|(size, root)| LedgerHead { size, root });
    (parcel_manifest(), digest(), head).prop_map(|(like, parcel_root, ledger_head)| {
        let ParcelManifest { parcel_id, from, to, count, root, signed, signer, withdrawn: _ } =
            like;
        ReceiptManifest {
            parcel_id,
            parcel_root,
            from,
            to,
            count,
            root,
            ledger_head,
            signed,
            signer,
        }
    })
}

pub(crate) fn bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), length).prop_map(Bytes::from)
}

pub(crate) fn chain(least: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 1..50), least..4)
}

fn envelope() -> impl Strategy<Value = SealedEnvelope> {
    prop_oneof![
        (bytes(0..100), bytes(1..600)).prop_map(|(header, b)| SealedEnvelope::new(header, b)),
        (bytes(0..100), digest()).prop_map(|(header, h)| SealedEnvelope::withdrawn(header, h)),
    ]
}

/// A parcel from its sender, or with the words of relays; then the chain is there.
pub(crate) fn parcel() -> impl Strategy<Value = Parcel> {
    let way = prop_oneof![
        chain(0).prop_map(|chain| (chain, Vec::new())),
        (chain(1), vec(custody(), 1..3)),
    ];
    (bytes(1..200), bytes(1..80), vec(envelope(), 1..5), way).prop_map(
        |(manifest_bytes, signature, envelopes, (chain, custody))| Parcel {
            manifest_bytes,
            signature,
            envelopes,
            chain,
            custody,
        },
    )
}

pub(crate) fn custody_manifest() -> impl Strategy<Value = CustodyManifest> {
    let outcome = prop_oneof![
        area().prop_map(|next| CustodyOutcome::Held { next }),
        reason().prop_map(|reason| CustodyOutcome::Refused { reason }),
        (reason(), any::<u64>().prop_map(UnixMillis::new))
            .prop_map(|(reason, until)| CustodyOutcome::Deferred { reason, until }),
    ];
    (parcel_manifest(), area(), area(), outcome).prop_map(|(like, relay, handed_by, outcome)| {
        CustodyManifest {
            parcel_id: like.parcel_id,
            parcel_root: like.root,
            relay,
            handed_by,
            from: like.from,
            to: like.to,
            outcome,
            signed: like.signed,
            signer: like.signer,
        }
    })
}

pub(crate) fn custody() -> impl Strategy<Value = CustodyReceipt> {
    (custody_manifest(), bytes(1..80), chain(1)).prop_map(|(manifest, signature, chain)| {
        let manifest_bytes = crate::encode_custody_manifest(&manifest).into();
        CustodyReceipt { manifest_bytes, signature, chain }
    })
}

pub(crate) fn returned() -> impl Strategy<Value = Returned> {
    prop_oneof![receipt_with(1).prop_map(Returned::Receipt), custody().prop_map(Returned::Custody),]
}

pub(crate) fn receipt() -> impl Strategy<Value = Receipt> {
    receipt_with(0)
}

/// A receipt with at least that many certificates.
fn receipt_with(least: usize) -> impl Strategy<Value = Receipt> {
    (bytes(1..200), bytes(1..80), vec(bytes(1..100), 1..5), chain(least)).prop_map(
        |(manifest_bytes, signature, dispositions, chain)| Receipt {
            manifest_bytes,
            signature,
            dispositions,
            chain,
        },
    )
}

pub(crate) fn signed_card() -> impl Strategy<Value = SignedCard> {
    (card(), bytes(1..80), chain(1)).prop_map(|(card, signature, chain)| {
        let card_bytes = crate::encode_card(&card).into();
        SignedCard { card_bytes, signature, chain }
    })
}

pub(crate) fn card() -> impl Strategy<Value = NodeCard> {
    let key = (profile(), any::<[u8; 32]>(), time())
        .prop_map(|(profile, public_key, use_until)| SealingKey { profile, public_key, use_until });
    let endpoint = "[a-z][a-z0-9.-]{0,20}:[1-9][0-9]{0,3}".prop_map(|text| text.parse().unwrap());
    let validity = (0..1_000_000_u64, 1..1_000_000_u64);
    let keys = vec(key, 1..4);
    let basics = (area(), "[a-z县]{1,30}", vec(endpoint, 0..4), keys, any::<u64>(), validity);
    let retired = prop::option::of(time().prop_filter("0 means none", |time| time.get() != 0));
    let head = (any::<u64>(), any::<[u8; 32]>(), time()).prop_map(|(size, root, signed)| {
        SeenHead { head: LedgerHead { size, root: Digest::new(root) }, signed }
    });
    let more =
        (vec(window(), 0..4), (0..4_u32, time()), any::<bool>(), (retired, prop::option::of(head)));
    (basics, more).prop_map(
        |(
            (area, name, endpoints, sealing_keys, version, (from, length)),
            (maintenance, changes, collects, (retired, ledger_head)),
        )| NodeCard {
            area,
            name,
            endpoints,
            sealing_keys,
            version,
            valid_from: UnixMillis::new(from),
            valid_until: UnixMillis::new(from + length),
            maintenance,
            area_changes: changes_under(area, changes),
            collects,
            retired,
            ledger_head,
        },
    )
}

fn window() -> impl Strategy<Value = MaintenanceWindow> {
    (time(), 1..604_800_000_u64, "[a-z维护]{0,20}").prop_map(|(from, length, note)| {
        MaintenanceWindow { from, until: UnixMillis::new(from.get().saturating_add(length)), note }
    })
}

/// What a province says of `count` of its counties; a county has none to say anything of.
fn changes_under(area: AreaCode, (count, from): (u32, UnixMillis)) -> Vec<AreaChange> {
    let county = |number: u32| format!("{}{number:04}", area.province_prefix()).parse().unwrap();
    let change = |number: u32| AreaChange {
        area: county(number),
        successors: (1..=number).map(|more| county(5000 + more)).collect(),
        from,
    };
    let is_above = area.level() == AreaLevel::Province;
    (1..=count).filter(|_| is_above).map(change).collect()
}

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
    let features = vec("[a-z]{1,9}", 0..4);
    ("[0-9.]{0,9}", features, time(), any::<u32>(), any::<bool>()).prop_map(
        |(version, features, now, window_parcels, collects)| Hello {
            version,
            features,
            now,
            window_parcels,
            collects,
        },
    )
}

pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        hello().prop_map(Frame::Hello),
        parcel().prop_map(Frame::Parcel),
        receipt().prop_map(Frame::Receipt),
        custody().prop_map(Frame::Custody),
        returned().prop_map(Frame::Returned),
        digest().prop_map(Frame::ReturnTaken),
    ]
}

/// Bytes of a good message with a little damage: cut, one byte changed, or something appended.
pub(crate) fn damaged(good: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damage =
        (any::<prop::sample::Index>(), any::<u8>(), any::<bool>(), vec(any::<u8>(), 0..12));
    (good, damage).prop_map(|(mut bytes, (at, new, cut, more))| {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] = new;
            }
        }
        bytes.extend(more);
        bytes
    })
}

//! The worked values of docs/protocol.md, section 16: what the page says is what this program computes.

use domain::area::AreaCode;
use domain::hex::hex;
use domain::id::MessageId;
use domain::id::MessageIds;
use domain::time::UnixMillis;
use exchange::bundle::item_associated_data;
use exchange::custody::CustodyManifest;
use exchange::custody::CustodyOutcome;
use exchange::digest::Digest;
use exchange::envelope::AlgorithmProfile;
use exchange::envelope::Header;
use exchange::envelope::SealHeader;
use exchange::envelope::SealedEnvelope;
use exchange::keys::SignContext;
use exchange::lane::LaneEpoch;
use exchange::lane::LaneSeq;
use exchange::ledger::Direction;
use exchange::ledger::LedgerEntry;
use exchange::ledger::LedgerHead;
use exchange::parcel::ParcelId;
use exchange::parcel::ParcelManifest;
use exchange::parcel::envelopes_root;
use exchange::receipt::Disposition;
use exchange::receipt::Outcome;
use exchange::receipt::ReceiptManifest;
use exchange::receipt::dispositions_root;

const PAGE: &str = include_str!("../../docs/protocol.md");
/// 2026-03-01T00:00:00Z.
const NOW: UnixMillis = UnixMillis::new(1_772_323_200_000);

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn later(seconds: u64) -> UnixMillis {
    UnixMillis::new(NOW.get() + 1000 * seconds)
}

fn message_id() -> MessageId {
    MessageIds::of(area("410522")).next(NOW, 0x0123_4567_89ab_cdef)
}

fn header() -> Header {
    Header {
        message_id: message_id(),
        from: area("410522"),
        to: area("330106"),
        epoch: LaneEpoch::new(0x0807_0605_0403_0201),
        sequence: LaneSeq::new(1),
        created: NOW,
        expires: later(7_776_000),
        due: Some(later(2_592_000)),
        seal: SealHeader {
            profile: AlgorithmProfile::International,
            recipient_key_id: [0x11; 8],
            encapsulated_key: [0x22; 32],
            counter: 5,
        },
    }
}

/// Each value of the section, by its name.
fn values() -> Vec<(&'static str, Vec<u8>)> {
    let bytes = |digest: Digest| digest.as_bytes().to_vec();
    let header = header();
    let header_bytes = crate::encode_header(&header);
    let envelope = SealedEnvelope::new(header_bytes.clone(), vec![0x33; 528]);
    let digest = envelope.digest();
    let digests = [digest, Digest::of(b"second"), Digest::of(b"third")];
    let parcel = ParcelManifest {
        parcel_id: ParcelId::from_bytes([0x44; 16]),
        from: area("410522"),
        to: area("330106"),
        count: 3,
        root: envelopes_root(&digests),
        signed: later(1),
        signer: Digest::new([0x55; 32]),
        withdrawn: vec![0, 2],
    };
    let parcel_bytes = crate::encode_manifest(&parcel);
    let word = CustodyManifest {
        parcel_id: parcel.parcel_id,
        parcel_root: parcel.root,
        relay: area("410000"),
        handed_by: parcel.from,
        from: parcel.from,
        to: parcel.to,
        outcome: CustodyOutcome::Held { next: area("330000") },
        signed: later(2),
        signer: Digest::new([0x66; 32]),
    };
    let word_bytes = crate::encode_custody_manifest(&word);
    let disposition = Disposition {
        message_id: message_id(),
        digest,
        outcome: Outcome::Stored,
        duplicate: false,
        decided: later(3),
    };
    let disposition_bytes = crate::encode_disposition(&disposition);
    let entry = LedgerEntry::of(&header, digest, Direction::Received).canonical_bytes();
    let receipt = ReceiptManifest {
        parcel_id: parcel.parcel_id,
        parcel_root: parcel.root,
        from: parcel.to,
        to: parcel.from,
        count: 1,
        root: dispositions_root(&[disposition_bytes.clone().into()]),
        ledger_head: LedgerHead { size: 1, root: exchange::tree::root_of([entry]) },
        signed: later(3),
        signer: Digest::new([0x77; 32]),
    };
    let receipt_bytes = crate::encode_receipt_manifest(&receipt);
    vec![
        ("message id", message_id().as_bytes().to_vec()),
        ("header", header_bytes.clone()),
        ("digest", bytes(digest)),
        ("root of three", bytes(parcel.root)),
        ("parcel manifest", parcel_bytes.clone()),
        ("parcel, hash signed", bytes(SignContext::Parcel.digest(&parcel_bytes))),
        ("word manifest", word_bytes.clone()),
        ("word, hash signed", bytes(SignContext::Custody.digest(&word_bytes))),
        ("word, id", bytes(Digest::of(&word_bytes))),
        ("disposition", disposition_bytes),
        ("ledger entry", entry.to_vec()),
        ("receipt manifest", receipt_bytes.clone()),
        ("receipt, hash signed", bytes(SignContext::Receipt.digest(&receipt_bytes))),
        ("bundle, data of item 258", item_associated_data(&header_bytes[..4], 258)),
    ]
}

#[test]
fn the_page_says_what_is_computed() {
    let rows: Vec<_> =
        values().iter().map(|(name, value)| format!("| {name} | `{}` |", hex(value))).collect();
    for row in &rows {
        assert!(PAGE.contains(row), "docs/protocol.md should say:\n{}", rows.join("\n"));
    }
}

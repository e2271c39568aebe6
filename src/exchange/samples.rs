//! Small values that several tests need.

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;

use crate::custody::CustodyManifest;
use crate::custody::CustodyOutcome;
use crate::digest::Digest;
use crate::envelope::AlgorithmProfile;
use crate::envelope::Header;
use crate::envelope::SealHeader;
use crate::lane::LaneEpoch;
use crate::lane::LaneSeq;
use crate::ledger::LedgerHead;
use crate::parcel::ParcelId;
use crate::parcel::ParcelManifest;
use crate::parcel::envelopes_root;
use crate::receipt::Disposition;
use crate::receipt::Offered;
use crate::receipt::Outcome;
use crate::receipt::ReceiptManifest;
use crate::receipt::dispositions_root;

pub(crate) const NOW: UnixMillis = UnixMillis::new(1_780_000_000_000);

pub(crate) fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

/// An id that 410522 may give, with that number above the county.
pub(crate) fn message_id(number: u64) -> MessageId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&((number << 20) | 410_522).to_be_bytes());
    MessageId::new(NOW, random)
}

pub(crate) fn header(sequence: u64) -> Header {
    Header {
        message_id: message_id(sequence),
        from: area("410522"),
        to: area("330106"),
        epoch: LaneEpoch::new(7),
        sequence: LaneSeq::new(sequence),
        created: NOW,
        expires: UnixMillis::new(NOW.get() + 1_000_000),
        due: None,
        seal: SealHeader {
            profile: AlgorithmProfile::International,
            recipient_key_id: [1; 8],
            encapsulated_key: [2; 32],
            counter: sequence,
        },
    }
}

pub(crate) fn offered(number: u64) -> Offered {
    let message_id = message_id(number);
    Offered { message_id, digest: Digest::of(message_id.as_bytes()) }
}

pub(crate) fn stored(offered: &Offered) -> Disposition {
    Disposition {
        message_id: offered.message_id,
        digest: offered.digest,
        outcome: Outcome::Stored,
        duplicate: false,
        decided: NOW,
    }
}

/// Stands for the protobuf form, which is not this crate's business.
pub(crate) fn serialised(disposition: &Disposition) -> Bytes {
    postcard::to_allocvec(disposition).unwrap().into()
}

pub(crate) fn parcel_manifest(digests: &[Digest]) -> ParcelManifest {
    ParcelManifest {
        parcel_id: ParcelId::from_bytes([3; 16]),
        from: area("410522"),
        to: area("330106"),
        count: u32::try_from(digests.len()).unwrap(),
        root: envelopes_root(digests),
        signed: NOW,
        signer: Digest::of(b"leaf of 410522"),
        withdrawn: Vec::new(),
    }
}

/// A relay's word that it holds the parcel.
pub(crate) fn custody_manifest(
    parcel: &ParcelManifest,
    handed_by: AreaCode,
    relay: AreaCode,
    next: AreaCode,
) -> CustodyManifest {
    CustodyManifest {
        parcel_id: parcel.parcel_id,
        parcel_root: parcel.root,
        relay,
        handed_by,
        from: parcel.from,
        to: parcel.to,
        outcome: CustodyOutcome::Held { next },
        signed: UnixMillis::new(NOW.get() + 2),
        signer: Digest::of(format!("leaf of {relay}").as_bytes()),
    }
}

pub(crate) fn receipt_manifest(parcel: &ParcelManifest, serialised: &[Bytes]) -> ReceiptManifest {
    ReceiptManifest {
        parcel_id: parcel.parcel_id,
        parcel_root: parcel.root,
        from: parcel.to,
        to: parcel.from,
        count: u32::try_from(serialised.len()).unwrap(),
        root: dispositions_root(serialised),
        ledger_head: LedgerHead { size: 3, root: Digest::of(b"ledger") },
        signed: UnixMillis::new(NOW.get() + 5),
        signer: Digest::of(b"leaf of 330106"),
    }
}

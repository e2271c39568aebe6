//! A receipt answers the parcel it was made for, and no other.

use super::*;
use crate::samples;

struct Exchange {
    parcel: ParcelManifest,
    offered: Vec<Offered>,
    serialised: Vec<Bytes>,
    dispositions: Vec<Disposition>,
    receipt: ReceiptManifest,
}

impl Exchange {
    fn new() -> Self {
        let offered: Vec<_> = (1..=3).map(samples::offered).collect();
        let digests: Vec<_> = offered.iter().map(|offered| offered.digest).collect();
        let parcel = samples::parcel_manifest(&digests);
        let dispositions: Vec<_> = offered.iter().map(samples::stored).collect();
        let serialised: Vec<_> = dispositions.iter().map(samples::serialised).collect();
        let receipt = samples::receipt_manifest(&parcel, &serialised);
        Self { parcel, offered, serialised, dispositions, receipt }
    }

    fn check(&self) -> Result<(), ReceiptFault> {
        self.receipt.check_answers(
            &self.parcel,
            &self.offered,
            &self.serialised,
            &self.dispositions,
        )
    }
}

#[test]
fn the_receipt_of_a_parcel_answers_it() {
    assert_eq!(Exchange::new().check(), Ok(()));
}

#[test]
fn each_difference_has_its_own_name() {
    let broken = |change: fn(&mut Exchange)| {
        let mut exchange = Exchange::new();
        change(&mut exchange);
        exchange.check().unwrap_err()
    };
    let (a, b) = (samples::area("410522"), samples::area("330106"));
    assert_eq!(
        broken(|e| e.receipt.parcel_id = ParcelId::from_bytes([9; 16])),
        ReceiptFault::OtherParcel
    );
    assert_eq!(broken(|e| e.receipt.parcel_root = Digest::of(b"other")), ReceiptFault::ParcelRoot);
    assert_eq!(
        broken(|e| e.receipt.from = samples::area("410522")),
        ReceiptFault::From { expected: b, found: a }
    );
    assert_eq!(
        broken(|e| e.receipt.to = samples::area("330106")),
        ReceiptFault::To { expected: a, found: b }
    );
    let two_of_three = ReceiptFault::Count { expected: 3, found: 2 };
    assert_eq!(broken(|e| e.receipt.count = 2), two_of_three);
    assert_eq!(broken(|e| drop(e.serialised.pop())), two_of_three);
    assert_eq!(broken(|e| drop(e.dispositions.pop())), two_of_three);
    assert_eq!(broken(|e| e.serialised.swap(0, 1)), ReceiptFault::Root);
    let second = ReceiptFault::OtherEnvelope { index: 1 };
    assert_eq!(broken(|e| e.dispositions[1].digest = Digest::of(b"other")), second);
    assert_eq!(broken(|e| e.dispositions[1].message_id = nil_message_id()), second);
    assert_eq!(broken(|e| e.offered[1].digest = Digest::of(b"other")), second);
}

#[test]
fn only_a_malformed_envelope_may_lack_its_id() {
    let offered = samples::offered(1);
    let mut disposition = samples::stored(&offered);
    disposition.message_id = nil_message_id();
    assert!(!disposition.is_about(&offered));
    disposition.outcome = Outcome::Refused { reason: Reason::Malformed, field: None };
    assert!(disposition.is_about(&offered));
    disposition.outcome = Outcome::Refused { reason: Reason::Expired, field: None };
    assert!(!disposition.is_about(&offered));
}

#[test]
fn only_a_deferral_is_not_final() {
    let until = UnixMillis::new(1);
    assert!(Outcome::Stored.is_final());
    assert!(Outcome::Refused { reason: Reason::Conflict, field: None }.is_final());
    assert!(!Outcome::Deferred { reason: Reason::Busy, until }.is_final());
}

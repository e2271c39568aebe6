//! Rows that are on disks already have to stay readable: a change of these bytes needs a new layout.

use super::*;
use crate::messages::Blob;
use crate::origin::{OriginRow, RestoredRow};
use crate::value::Value;

const AT: UnixMillis = UnixMillis::new(1_000);

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn word(byte: u8) -> Word {
    let signed = Signed { manifest: Blob(vec![byte; 2]), signature: Blob(vec![byte]) };
    Word { signed, signer: Digest::new([byte; 32]) }
}

/// The stored form in hexadecimal, with runs of the same byte as `byte*count`.
fn stored<V: Value + PartialEq + fmt::Debug>(row: &V) -> String {
    let mut bytes = Vec::new();
    row.encode(&mut bytes).unwrap();
    assert_eq!(V::decode(&bytes).as_ref(), Ok(row));
    let runs = bytes.chunk_by(|a, b| a == b).map(|run| match run.len() {
        0..4 => run.iter().map(|byte| format!("{byte:02x}")).collect(),
        length => format!(" {:02x}*{length} ", run[0]),
    });
    runs.collect()
}

#[test]
fn stored_layouts_do_not_change() {
    let custody = CustodyRow { relay: area("410000"), word: word(7), received: AT };
    assert_eq!(stored(&custody), CUSTODY);
    let consignment = ConsignmentRow {
        peer: area("440305"),
        epoch: LaneEpoch::new(300),
        sequences: vec![5, 7],
        parcel: word(1),
        carrier: Carrier::Relay(area("410000")),
        handed: AT,
        until: UnixMillis::new(2_000),
    };
    assert_eq!(stored(&consignment), CONSIGNMENT);
    let by_file = ConsignmentRow { carrier: Carrier::File([9; 16]), ..consignment };
    assert!(stored(&by_file).contains(" 09*16 "));
    let transit = TransitRow {
        from: area("410522"),
        to: area("440305"),
        handed_by: area("410522"),
        next: area("440000"),
        parcel: word(1),
        root: Digest::new([2; 32]),
        count: 3,
        bytes: 4_000,
        received: AT,
        deadline: UnixMillis::new(3_000),
        arrival: 6,
        state: TransitState::PutOff { until: AT, reason: Reason::Busy },
        words: vec![word(3)],
        own_word: None,
    };
    assert_eq!(stored(&transit), TRANSIT);
    let states = [
        (TransitState::Waiting, true, 0),
        (transit.state, true, 1),
        (TransitState::HandedOn { at: AT }, false, 2),
        (TransitState::Answered { at: AT }, false, 3),
        (TransitState::GivenUp { at: AT, reason: Reason::Busy }, false, 4),
    ];
    for (state, held, number) in states {
        assert_eq!(state.is_held(), held);
        assert_eq!(postcard::to_allocvec(&state).unwrap()[0], number);
    }
    let returned = ReturnRow {
        addressee: area("410522"),
        kind: ReturnKind::Custody,
        word: word(4),
        parcel_id: ParcelId::from_bytes([8; 16]),
        received: AT,
    };
    assert_eq!(stored(&returned), RETURN);
    let bundle = BundleRow {
        way: BundleWay::Imported,
        peer: area("440305"),
        created: AT,
        at: UnixMillis::new(2_000),
        parcels: 2,
        words: 300,
    };
    assert_eq!(stored(&bundle), BUNDLE);
    let origin = OriginRow { backup: Some(AT), group: 300, restored: UnixMillis::new(2_000) };
    assert_eq!(stored(&origin), ORIGIN);
    let restored = RestoredRow { incarnation: 2, origin: Some(origin) };
    assert_eq!(stored(&restored), RESTORED);
}

const CUSTODY: &str = "01063431 30*4 02070701 07*33 e807";
const CONSIGNMENT: &str = "0106343430333035ac0202050702 01*36 00063431 30*4 e807d00f";
const TRANSIT: &str = "01063431303532320634343033303506343130353232063434 30*4 02 01*36  02*32 03a01fe807b8170601e80704425553590102030301 03*33 00";
const RETURN: &str = "01063431303532320102040401 04*33  08*16 e807";
const BUNDLE: &str = "010106343430333035e807d00f02ac02";
const ORIGIN: &str = "0101e807ac02d00f";
const RESTORED: &str = "01020101e807ac02d00f";

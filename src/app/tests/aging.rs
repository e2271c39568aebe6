//! What a node lets go of by age, and what it keeps.

use std::time::Duration;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::lane::LaneEpoch;
use exchange::parcel::ParcelId;
use store::messages::{Blob, Signed, peer_key};
use store::tables::{CONSIGNMENT, CUSTODY, RETURN, RETURN_BODY, TRANSIT};
use store::transit::{
    Carrier, ConsignmentRow, CustodyRow, ReturnKind, ReturnRow, TransitRow, TransitState, Word,
};

use super::{NOW, Office};
use crate::app::AppError;
use crate::app::relay::age::{
    CONSIGNED_AT_MOST, HELD_AT_MOST, TRANSFERS_KEPT, forget_transit, forget_words,
};

const DAY: Duration = Duration::from_secs(86_400);

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn word(name: u8) -> Word {
    let signed = Signed { manifest: Blob(vec![name]), signature: Blob(vec![name]) };
    Word { signed, signer: Digest::of(b"signer") }
}

fn before(age: Duration) -> UnixMillis {
    NOW.saturating_sub(age)
}

async fn put_transit(office: &Office, name: u8, received: UnixMillis, state: TransitState) {
    let row = TransitRow {
        from: area("440305"),
        to: area("330106"),
        handed_by: area("440305"),
        next: area("330000"),
        parcel: word(name),
        root: Digest::of(&[name]),
        count: 1,
        bytes: 1,
        received,
        deadline: received,
        arrival: u64::from(name),
        state,
        words: Vec::new(),
        own_word: None,
    };
    let custody = CustodyRow { relay: area("440000"), word: word(name), received };
    let put = office.store.commit(move |unit| {
        unit.put(&TRANSIT, &[name; 16], &row)?;
        unit.put(&CUSTODY, &([name; 16], 0), &custody)?;
        Ok::<_, AppError>(())
    });
    put.await.map_err(AppError::from).unwrap();
}

#[tokio::test]
async fn records_of_transfers_are_kept_three_years_and_what_is_stuck_is_named() {
    let office = Office::here();
    let (young, old) = (before(TRANSFERS_KEPT), before(TRANSFERS_KEPT + DAY));
    put_transit(&office, 1, old, TransitState::Answered { at: young }).await;
    put_transit(&office, 2, old, TransitState::Answered { at: old }).await;
    put_transit(&office, 3, old, TransitState::GivenUp { at: old, reason: Reason::Expired }).await;
    put_transit(&office, 4, old, TransitState::HandedOn { at: old }).await;
    put_transit(&office, 5, before(HELD_AT_MOST), TransitState::Waiting).await;
    put_transit(&office, 6, before(HELD_AT_MOST + DAY), TransitState::Waiting).await;
    let put_off = TransitState::PutOff { until: NOW, reason: Reason::RateLimited };
    put_transit(&office, 7, before(HELD_AT_MOST + DAY), put_off).await;

    let stuck = forget_transit(&office.store, NOW).await.unwrap();
    assert_eq!(stuck, [6, 7].map(|name| ParcelId::from_bytes([name; 16])));
    let left: Vec<u8> = (1..=7)
        .filter(|name| office.store.get(&TRANSIT, &[*name; 16]).unwrap().is_some())
        .collect();
    assert_eq!(left, [1, 5, 6, 7]);
    for name in 1..=7 {
        let words = office.store.scan_under(&CUSTODY, &([name; 16],), None, 9).unwrap();
        assert_eq!(words.len(), usize::from(left.contains(&name)), "parcel {name}");
    }
}

#[tokio::test]
async fn words_that_nobody_took_are_forgotten_and_the_others_wait() {
    let office = Office::here();
    let ages = [HELD_AT_MOST, HELD_AT_MOST + DAY, CONSIGNED_AT_MOST, CONSIGNED_AT_MOST + DAY];
    for (name, age) in (0_u8..).zip(ages) {
        let returned = ReturnRow {
            addressee: area("440305"),
            kind: ReturnKind::Receipt,
            word: word(name),
            parcel_id: ParcelId::from_bytes([name; 16]),
            received: before(age),
        };
        let consigned = ConsignmentRow {
            peer: area("330106"),
            epoch: LaneEpoch::new(1),
            sequences: vec![u64::from(name)],
            parcel: word(name),
            carrier: Carrier::Relay(area("440000")),
            handed: before(age),
            until: NOW,
        };
        let put = office.store.commit(move |unit| {
            let key = (peer_key(area("440305")), u64::from(name));
            unit.append(&RETURN_BODY, &Digest::of(&[name]).into_bytes(), b"disposition")?;
            unit.put(&RETURN, &key, &returned)?;
            unit.put(&CONSIGNMENT, &[name; 16], &consigned)?;
            Ok::<_, AppError>(())
        });
        put.await.map_err(AppError::from).unwrap();
    }
    assert_eq!(forget_words(&office.store, NOW).await.unwrap(), 4);
    let words = office.store.scan(&RETURN, .., 9).unwrap();
    assert_eq!(words.iter().map(|(key, _)| key.1).collect::<Vec<_>>(), [0]);
    let bodies = |name: u8| {
        let body = Digest::of(&[name]).into_bytes();
        office.store.read_from(&RETURN_BODY, &body, 1, 9, usize::MAX).unwrap().len()
    };
    assert_eq!([0, 1, 2, 3].map(bodies), [1, 0, 0, 0]);
    let left = office.store.scan(&CONSIGNMENT, .., 9).unwrap();
    assert_eq!(left.iter().map(|(key, _)| key[0]).collect::<Vec<_>>(), [0, 1, 2]);
    // Nothing more the next time.
    assert_eq!(forget_words(&office.store, NOW).await.unwrap(), 0);
}

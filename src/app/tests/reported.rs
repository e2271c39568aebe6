//! How much of one county is kept, and what goes first.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::Date;
use exchange::digest::Digest;
use exchange::ledger::{Direction, LedgerHead};
use exchange::reconcile::calls::ReportPart;
use exchange::reconcile::told::record;
use exchange::reconcile::{Entry, EntryState};
use store::Store;
use store::messages::peer_key;
use store::reconcile::month_key;
use store::tables::FORMER;

use super::{HERE, NOW, ORIGIN, Office};
use crate::app::AppError;
use crate::app::reconcile::reports::{kept_of, make_room, take};

fn county() -> AreaCode {
    HERE.parse().unwrap()
}

fn records(day: Date, count: u8) -> Vec<Vec<u8>> {
    let of = |number| {
        let id = MessageId::new(day.begins(), [number; 10]);
        let (digest, state) = (Digest::of(&[number]), EntryState::Stored);
        let entry = Entry { id, digest, from: county(), to: ORIGIN.parse().unwrap(), state };
        record(Direction::Sent, &entry)
    };
    (0..count).map(of).collect()
}

/// Tells so many records of the month of a day, and perhaps that this was all.
async fn tell(
    store: &Store,
    incarnation: u32,
    (day, count): (Date, u8),
    is_all: bool,
) -> Result<(), AppError> {
    let head = LedgerHead { size: 1, root: Digest::of(b"root") };
    let month = month_key(day.month());
    let records = records(day, count);
    let mut part = ReportPart { incarnation, month, position: 1, records, through: None, head };
    take(store, county(), part.clone(), NOW).await?;
    if is_all {
        (part.records, part.through) = (Vec::new(), Some(NOW));
        take(store, county(), part, NOW).await?;
    }
    Ok(())
}

fn kept(store: &Store) -> Vec<(u32, u64)> {
    kept_of(store, county()).unwrap().into_iter().collect()
}

fn former(store: &Store) -> Vec<u32> {
    let rows = store.scan_under(&FORMER, &(peer_key(county()),), None, usize::MAX).unwrap();
    rows.into_iter().map(|((_, incarnation), _)| incarnation).collect()
}

#[tokio::test]
async fn the_oldest_lost_data_of_a_county_go_first_and_never_the_present_ones() {
    let province = Office::of("440000");
    let store = &province.store;
    let day = NOW.date();
    for incarnation in 1..=10 {
        tell(store, incarnation, (day, 2), true).await.unwrap();
        tell(store, incarnation, (day.plus_days(40), 3), false).await.unwrap();
    }
    assert_eq!(kept(store).len(), 10);
    assert_eq!(former(store), (1..=9).collect::<Vec<_>>());
    tell(store, 11, (day, 2), false).await.unwrap();
    assert_eq!(kept(store).first(), Some(&(2, 5)), "all of the first is gone");
    assert_eq!(former(store), (2..=9).collect::<Vec<_>>());
    // What goes on costs nobody anything.
    tell(store, 11, (day.plus_days(80), 2), false).await.unwrap();
    assert_eq!(kept(store).len(), 10);
    for invented in 12..=19 {
        tell(store, invented, (day, 1), false).await.unwrap();
    }
    let refused = tell(store, 20, (day, 1), false).await.unwrap_err();
    assert!(matches!(refused, AppError::Refused(_)), "{refused:?}");
    assert!(kept(store).contains(&(10, 5)), "the present data stay");
}

#[tokio::test]
async fn a_county_has_so_many_records_and_no_more() {
    let province = Office::of("440000");
    let store = &province.store;
    let day = NOW.date();
    for incarnation in 1..=3 {
        tell(store, incarnation, (day, 4), true).await.unwrap();
    }
    // Twelve are there, and the third is the present one.
    make_room(store, county(), (3, 1), 13).await.unwrap();
    assert_eq!(kept(store).len(), 3);
    make_room(store, county(), (3, 2), 13).await.unwrap();
    assert_eq!(kept(store), [(2, 4), (3, 4)]);
    assert!(make_room(store, county(), (3, 10), 13).await.is_err());
    assert_eq!(kept(store), [(3, 4)]);
    // A journal that was removed begins anew.
    tell(store, 1, (day, 2), false).await.unwrap();
    assert_eq!(kept(store), [(1, 2), (3, 4)]);
}

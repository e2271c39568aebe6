//! What a county had told before its data were lost: kept by the node above, paged out to it, and held against what is here.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::ledger::{Direction, LedgerHead};
use exchange::reconcile::calls::{FormerPlace, RECORDS_AT_ONCE, ReportPart};
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::told::record;
use exchange::reconcile::{Entry, EntryState};
use store::messages::peer_key;
use store::origin::{OriginRow, RestoredRow};
use store::reconcile::{DifferenceState, LostWindow, month_key};
use store::tables::{BOOK, GATE, RESTORED};

use super::{HERE, NOW, ORIGIN, Office, refused};
use crate::app::AppError;
use crate::app::reconcile::former::{self, Carried, Missed};
use crate::app::reconcile::runs::{self, Plan};
use crate::app::reconcile::{reports, standing};

const MONTH: u64 = 31 * 86_400_000;

fn own() -> AreaCode {
    HERE.parse().unwrap()
}

/// What this county says of a message it has sent, so many months from now.
fn sent(number: u32, months: u64) -> Entry {
    let mut random = [0; 10];
    random[6..].copy_from_slice(&number.to_be_bytes());
    let id = MessageId::new(UnixMillis::new(NOW.get() + months * MONTH), random);
    let digest = Digest::of(id.as_bytes());
    Entry { id, digest, from: own(), to: ORIGIN.parse().unwrap(), state: EntryState::Waiting }
}

fn head() -> LedgerHead {
    LedgerHead { size: 1, root: Digest::of(b"root") }
}

/// Tells the province entries of one month, from a position on.
async fn tell(
    province: &Office,
    incarnation: u32,
    (position, entries): (u64, &[Entry]),
    through: Option<UnixMillis>,
) -> Result<Vec<(u32, u64)>, AppError> {
    let month = entries.first().map_or(0, |entry| month_key(entry.day().month()));
    let records = entries.iter().map(|entry| record(Direction::Sent, entry)).collect();
    let part = ReportPart { incarnation, month, position, records, through, head: head() };
    reports::take(&province.store, own(), part, NOW).await
}

/// Everything that incarnations before this one have told, part by part.
fn recalled(province: &Office, incarnation: u32, from: FormerPlace) -> (Vec<Vec<u8>>, usize) {
    let (mut all, mut parts, mut from) = (Vec::new(), 0, Some(from));
    while let Some(place) = from {
        let part = former::part(&province.store, own(), incarnation, place).unwrap();
        assert!(part.records.len() <= RECORDS_AT_ONCE);
        assert!(part.next.is_none_or(|next| next > place), "it goes on");
        all.extend(part.records);
        (parts, from) = (parts + 1, part.next);
    }
    (all, parts)
}

#[tokio::test]
async fn what_lost_data_had_told_is_paged_out_whole_and_only_to_the_data_that_follow_them() {
    let province = Office::of("440000");
    let many: Vec<Entry> =
        (0..u32::try_from(RECORDS_AT_ONCE).unwrap() + 3).map(|n| sent(n, 0)).collect();
    let (first, rest) = many.split_at(RECORDS_AT_ONCE);
    tell(&province, 1, (1, first), None).await.unwrap();
    tell(&province, 1, (u64::try_from(RECORDS_AT_ONCE).unwrap() + 1, rest), None).await.unwrap();
    let next_month = [sent(9, 1)];
    tell(&province, 1, (1, &next_month), None).await.unwrap();
    tell(&province, 1, (1, &[]), Some(NOW)).await.unwrap();
    // The data of before cannot ask for themselves, and the new ones not before they have told what they are.
    assert_eq!(recalled(&province, 1, FormerPlace::default()).0.len(), 0);
    tell(&province, 2, (1, &many[..2]), None).await.unwrap();
    let early = former::part(&province.store, own(), 2, FormerPlace::default());
    assert_eq!(refused(early).0, Reason::StateForbids);
    let later = UnixMillis::new(NOW.get() + 5);
    tell(&province, 2, (1, &[]), Some(later)).await.unwrap();

    let (all, parts) = recalled(&province, 2, FormerPlace::default());
    let told: Vec<Vec<u8>> =
        many.iter().chain(&next_month).map(|entry| record(Direction::Sent, entry)).collect();
    assert!(all == told, "{} of {}", all.len(), told.len());
    assert_eq!(parts, 3);
    let part = former::part(&province.store, own(), 2, FormerPlace::default()).unwrap();
    assert_eq!(part.through, Some(NOW), "when it was told, not when the new data were");
    // From a month on; and the data after those learn of both.
    let month = month_key(next_month[0].day().month());
    let from = FormerPlace { month, ..FormerPlace::default() };
    assert_eq!(recalled(&province, 2, from).0.len(), 1);
    tell(&province, 3, (1, &[]), Some(later)).await.unwrap();
    assert_eq!(recalled(&province, 3, FormerPlace::default()).0.len(), told.len() + 2);
}

#[tokio::test]
async fn a_county_does_not_fill_its_province_with_incarnations() {
    let province = Office::of("440000");
    let one = [sent(1, 0)];
    for incarnation in 1..=10 {
        tell(&province, incarnation, (1, &one), None).await.unwrap();
    }
    // None was told to the end, so none is let go.
    assert_eq!(refused(tell(&province, 11, (1, &one), None).await).0, Reason::TooLarge);
    tell(&province, 10, (2, &one), None).await.unwrap();
}

#[tokio::test]
async fn after_a_rebuild_everything_since_the_data_were_begun_is_looked_at() {
    let office = Office::here();
    let day = 86_400_000;
    let window =
        |from| LostWindow { from, named: None, until: UnixMillis::new(NOW.get() + 9 * day) };
    let first = |window| former::days(&office.store, &window).unwrap().0;
    let backup = UnixMillis::new(NOW.get() + 5 * day);
    assert_eq!(first(window(Some(backup))), backup.date().plus_days(-91));
    let created = office.store.get(&GATE, &()).unwrap().unwrap().created;
    let begun = UnixMillis::new(created).date().plus_days(-91).max(UnixMillis::new(0).date());
    assert_eq!(first(window(None)), begun);
    // The rebuild has not found when that was, and has written when it ran.
    let lost = LostWindow { until: UnixMillis::new(created), ..window(None) };
    assert_eq!(former::days(&office.store, &lost).unwrap().0, UnixMillis::new(0).date());
    assert_eq!(former::beginning(&office.store, &lost).unwrap(), FormerPlace::default());
}

/// Writes entries into the own book.
async fn hold(office: &Office, entries: Vec<Entry>) {
    let write = move |unit: &mut store::Unit<'_>| {
        for entry in &entries {
            let key = (peer_key(own()), month_key(entry.day().month()), 0);
            unit.append(&BOOK, &key, &record(Direction::Sent, entry))?;
        }
        Ok::<_, AppError>(())
    };
    office.store.commit(write).await.map_err(AppError::from).unwrap();
}

#[tokio::test]
async fn what_was_told_and_is_not_here_is_missed_until_it_comes_back() {
    let office = Office::here();
    let entries = [sent(1, 0), sent(2, 0), sent(3, 1), sent(4, 1)];
    hold(&office, vec![entries[0], entries[2]]).await;
    let records: Vec<_> = entries.iter().map(|entry| record(Direction::Sent, entry)).collect();
    let mut missed = Missed::default();
    missed.take(&office.store, own(), &records).unwrap();
    let ids = |missed: &Missed| {
        let named = missed.named(own(), &[], &Carried::default());
        named.iter().map(|(difference, _)| difference.id().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&missed), [entries[1].id, entries[3].id]);
    assert_eq!(missed.looked, 4);
    hold(&office, vec![entries[3]]).await;
    missed.look_again(&office.store, own()).unwrap();
    assert_eq!(ids(&missed), [entries[1].id]);
    // Of the other side of its own messages the node above tells nothing.
    let theirs = record(Direction::Received, &entries[1]);
    assert_eq!(refused(missed.take(&office.store, own(), &[theirs])).0, Reason::Malformed);
    assert_eq!(refused(missed.take(&office.store, own(), &[vec![1, 2]])).0, Reason::Malformed);
}

#[tokio::test]
async fn a_run_counts_what_is_lost_and_what_came_back() {
    let office = Office::here();
    let day = NOW.date();
    let plan = Plan { with: own(), first: day, last: day, until: NOW, after_restore: true };
    let number = runs::begin(&office.store, plan, NOW).await.unwrap();
    let name = DifferenceName::MissingAtSender;
    let missing = |number| Difference { name, sender: Some(sent(number, 0)), recipient: None };
    let open = |number| (missing(number), DifferenceState::Open);
    let first = vec![open(1), open(2), open(3)];
    let row = runs::missed(&office.store, number, first, 9, NOW).await.unwrap();
    assert_eq!((row.found[1], row.cured[1], row.lost, row.entries.1), (3, 0, 0, 9));
    let second = vec![(missing(1), DifferenceState::Lost), open(2)];
    let row = runs::missed(&office.store, number, second, 9, NOW).await.unwrap();
    assert_eq!((row.found[1], row.cured[1], row.lost), (3, 1, 1));
    let rows = runs::differences(&office.store, number, None, (9, true)).unwrap();
    assert_eq!(rows.len(), 1, "one is open");
    // It may come by file from somebody who had it after all.
    let row = runs::missed(&office.store, number, Vec::new(), 9, NOW).await.unwrap();
    assert_eq!((row.found[1], row.cured[1], row.lost), (3, 3, 0));
    assert_eq!(runs::since_restore(&office.store, NOW).unwrap().len(), 1);
    assert!(runs::since_restore(&office.store, day.ends()).unwrap().is_empty());
}

#[tokio::test]
async fn data_that_are_restored_twice_from_one_backup_are_two_incarnations() {
    let office = Office::here();
    let mut seen = vec![reports::incarnation(&office.store).unwrap()];
    for seconds in [10, 20] {
        let restored = UnixMillis::new(NOW.get() + seconds * 1_000);
        let origin = Some(OriginRow { backup: Some(NOW), group: 7, restored });
        let row = RestoredRow { incarnation: 2, origin };
        let write =
            move |unit: &mut store::Unit<'_>| Ok::<_, AppError>(unit.put(&RESTORED, &(), &row)?);
        office.store.commit(write).await.map_err(AppError::from).unwrap();
        seen.push(reports::incarnation(&office.store).unwrap());
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    assert_eq!(seen[0], 1);
}

#[tokio::test]
async fn nobody_has_reported_what_is_to_come() {
    let province = Office::of("440000");
    // The county's clock is an hour ahead.
    let ahead = UnixMillis::new(NOW.get() + 3_600_000);
    tell(&province, 1, (1, &[]), Some(ahead)).await.unwrap();
    let told = reports::counties(&province.store).unwrap();
    assert_eq!(told[0].1.through, NOW);
}

#[tokio::test]
async fn every_county_is_listed_with_the_last_day_that_is_complete_also_one_that_never_reported() {
    let province = Office::of("440000");
    let today = NOW.date();
    let silent: AreaCode = "440306".parse().unwrap();
    let listed = || standing::standing(&province.store, [(own(), None), (silent, None)]).unwrap();
    assert!(listed().iter().all(|it| it.reported.is_none()), "neither has");

    // In the middle of a day: that day is not over.
    let noon = UnixMillis::new(today.plus_days(-3).begins().get() + 43_200_000);
    tell(&province, 1, (1, &[]), Some(noon)).await.unwrap();
    let told = listed();
    let of = |county| told.iter().find(|it| it.county == county).unwrap();
    let (good, never) = (of(own()), of(silent));
    assert_eq!(told.len(), 2);
    assert_eq!(good.complete_through(), Some(today.plus_days(-4)));
    assert_eq!(good.lacks_since(NOW), Some(today.plus_days(-3)));
    assert!(good.has(today.plus_days(-4)) && !good.has(today.plus_days(-3)));
    let nothing = (None, None, false);
    let said = (never.complete_through(), never.lacks_since(NOW), never.has(today.plus_days(-99)));
    assert_eq!(said, nothing, "nobody knows since when");

    tell(&province, 1, (1, &[]), Some(NOW)).await.unwrap();
    let told = listed();
    let good = told.iter().find(|it| it.county == own()).unwrap();
    assert_eq!((good.complete_through(), good.lacks_since(NOW)), (Some(today.plus_days(-1)), None));

    // Whose service has ended, and who has told its end, owes nothing since.
    let ended = Some(NOW);
    let later = UnixMillis::new(NOW.get() + 9 * 86_400_000);
    let told = standing::standing(&province.store, [(own(), ended), (silent, None)]).unwrap();
    let good = told.iter().find(|it| it.county == own()).unwrap();
    assert_eq!((good.lacks_since(later), good.has(later.date())), (None, true));

    let over = |on: Date| standing::days_over("2026-03".parse().unwrap(), on.begins()).len();
    let day = |day: &str| day.parse::<Date>().unwrap();
    assert_eq!([over(day("2026-03-01")), over(day("2026-03-12"))], [0, 11], "today is not over");
    assert_eq!([over(day("2026-02-11")), over(day("2027-01-01"))], [0, 31]);
}

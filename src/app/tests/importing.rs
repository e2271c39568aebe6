//! An import tells who is on record only as far as its operator may look at persons, and each of them sees it.

use domain::access::{AccessAction, ReadLimits};
use domain::person::PersonDetails;
use domain::reason::Reason;
use store::access::person_key;
use store::oversight::ReadLimitsRow;
use store::tables::READ_LIMITS;

use super::*;
use crate::app::import::{self, Begin, Kind, Put, Record, Row};

/// Checks whether these persons could be taken in.
async fn check(office: &Office, file: u8, persons: &[PersonDetails]) -> Result<Put, AppError> {
    let begin = Begin { kind: Kind::Registration, file: [file; 32], dry_run: true, resume: false };
    let ctx = office.clerk();
    let begun = import::begin(&ctx, &office.store, begin).await.unwrap();
    let row = |(person, line): (&PersonDetails, u32)| {
        let (person, record) = (person.clone(), Record::Registration(stay()));
        Row { line, person, record }
    };
    let rows = persons.iter().zip(1..).map(row).collect();
    import::put(&ctx, &office.store, begun.id, 1, rows, Vec::new()).await
}

/// Searches for a person that are in the log.
fn searches(office: &Office, person: &PersonDetails) -> usize {
    let key = person_key(office.store.document_hash(&person.document));
    let entries = office.store.access_of_person(key, 0, 100).unwrap();
    entries.iter().filter(|entry| entry.action == AccessAction::Search).count()
}

#[tokio::test]
async fn a_person_who_is_on_record_sees_that_an_import_has_met_her() {
    let office = Office::here();
    let persons: Vec<_> = (0..12).map(person).collect();
    for known in &persons[..10] {
        office.arrive(known.clone()).await;
    }
    let put = check(&office, 1, &persons).await.unwrap();
    assert_eq!(put.wrong.len(), 10);
    for known in &persons[..10] {
        assert_eq!(searches(&office, known), 1);
    }
    for unknown in &persons[10..] {
        assert_eq!(searches(&office, unknown), 0);
    }

    // They count like any other search.
    let limits = ReadLimits { per_hour: 15, ..ReadLimits::default() };
    let set =
        office.store.commit(move |unit| unit.put(&READ_LIMITS, &(), &ReadLimitsRow { limits }));
    set.await.unwrap();
    let told = check(&office, 2, &persons).await.map(drop);
    assert_eq!(refused(told).0, Reason::ReadsTooMany);
    assert_eq!(searches(&office, &persons[0]), 1, "nothing was told");
}

//! An import tells who is on record only as far as its operator may look at persons, and each of them sees it; rows of it
//! that contradict each other keep all of it out.

use domain::access::{AccessAction, ReadLimits};
use domain::case::Seat;
use domain::id::CertificateNumber;
use domain::message::PrintedNumber;
use domain::old_case::{OldCase, OldState};
use domain::person::{DocumentKind, IdentityDocument, PersonDetails, PersonName};
use domain::reason::Reason;
use store::access::person_key;
use store::oversight::ReadLimitsRow;
use store::tables::{IMPORT_SAID, READ_LIMITS};

use super::*;
use crate::app::import::{self, Begin, Kind, Put, Record, Row, Trouble};

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

/// One document as different programs write it: the check character in either case, wide digits, and the 15 digits of
/// before 1999.
fn written(text: &str) -> IdentityDocument {
    IdentityDocument::new(DocumentKind::ResidentId, text, false).unwrap()
}

fn named(document: IdentityDocument, name: &str) -> PersonDetails {
    let id = document.resident_id().unwrap();
    let (birth_date, sex) = (id.birth_date(), id.sex());
    PersonDetails {
        name: PersonName::parse(name).unwrap(),
        birth_date,
        sex,
        document,
        marital_status: None,
        spouse: None,
        births: Vec::new(),
        at_risk: false,
    }
}

async fn begin(office: &Office, kind: Kind, dry_run: bool) -> [u8; 16] {
    let begin = Begin { kind, file: [9; 32], dry_run, resume: false };
    import::begin(&office.clerk(), &office.store, begin).await.unwrap().id
}

/// Hands a batch over, and says which lines contradict which earlier ones, and at which field.
async fn contradicting(
    office: &Office,
    (id, batch): ([u8; 16], u64),
    rows: Vec<(u32, PersonDetails, Record)>,
) -> Vec<(u32, u32, &'static str)> {
    let rows =
        rows.into_iter().map(|(line, person, record)| Row { line, person, record }).collect();
    let put = import::put(&office.clerk(), &office.store, id, batch, rows, Vec::new()).await;
    let found = put.unwrap().wrong.into_iter().map(|wrong| match wrong.trouble {
        Trouble::Line(Reason::RowsContradict, field, earlier) => (wrong.line, earlier, field),
        other => panic!("line {}: {other:?}", wrong.line),
    });
    found.collect()
}

/// What is kept of an import beside its row.
fn said(office: &Office) -> usize {
    office.store.scan(&IMPORT_SAID, .., 100).unwrap().len()
}

#[tokio::test]
async fn a_person_stands_in_one_row_however_her_document_is_written() {
    let old = "130503670401001";
    let new = written(old).expose(&LOOKING.purpose).to_owned();
    assert_eq!(new.len(), 18);
    let fits = |id: &String| IdentityDocument::new(DocumentKind::ResidentId, id, false).is_ok();
    let with_x = (0..1_000).map(|serial| format!("11010119900307{serial:03}X")).find(fits).unwrap();
    let wide: String = new
        .chars()
        .map(|c| c.to_digit(10).map_or(c, |d| char::from_u32(0xFF10 + d).unwrap()))
        .collect();
    let row =
        |line, text: &str, name| (line, named(written(text), name), Record::Registration(stay()));
    for dry_run in [true, false] {
        let office = Office::here();
        let id = begin(&office, Kind::Registration, dry_run).await;
        let first = vec![row(2, &with_x, "王小明"), row(3, old, "李小红")];
        assert_eq!(contradicting(&office, (id, 1), first.clone()).await, []);
        // The same batch once more, by a program that had no answer, is no repetition.
        assert_eq!(contradicting(&office, (id, 1), first).await, []);
        let second = vec![
            row(4, &with_x.to_lowercase(), "王小明"),
            row(5, &new, "李红"),
            row(6, &wide, "李小红"),
            (7, person(1), Record::Registration(stay())),
        ];
        let at = "person.document.number";
        let found = contradicting(&office, (id, 2), second).await;
        assert_eq!(found, [(4, 2, at), (5, 3, at), (6, 3, at)]);
        let row = import::get(&office.clerk(), &office.store, id).unwrap().row;
        assert_eq!((row.rows, row.wrong), (6, 3));
        let told = import::finish(&office.clerk(), &office.store, id).await;
        assert_eq!(refused(told).0, Reason::StateForbids, "all or nothing");
        assert_eq!(said(&office), 3);
        // Another try of the same file gives this one up, and is not held against it.
        let again = begin(&office, Kind::Registration, dry_run).await;
        assert_eq!(import::clear(&office.store, NOW).await.unwrap(), 1);
        assert_eq!(said(&office), 0, "nothing is left of what was given up");
        let alone = (1, person(1), Record::Registration(stay()));
        assert_eq!(contradicting(&office, (again, 1), vec![alone]).await, []);
        let late = NOW.saturating_add(import::STAGED_FOR);
        import::clear(&office.store, late).await.unwrap();
        assert_eq!(said(&office), 0, "nor of what nobody decided");
    }
}

#[tokio::test]
async fn a_certificate_is_of_one_person_and_a_person_has_one_name() {
    let office = Office::here();
    let issued = "2025-06-18".parse().unwrap();
    let number = |serial| CertificateNumber::new(office.area, 2025, serial).unwrap();
    let holds = |serial| Record::Certificate(number(serial), issued);
    let id = begin(&office, Kind::Certificate, false).await;
    let other_name =
        PersonDetails { name: PersonName::parse("欧阳某某").unwrap(), ..person(1) };
    let rows = vec![
        (2, person(1), holds(1)),
        (3, person(2), holds(1)),
        (4, person(1), holds(2)),
        (5, other_name, holds(3)),
        (6, person(1), holds(1)),
    ];
    let found = contradicting(&office, (id, 1), rows).await;
    let (numbers, names) = ("certificate_number", "person.name");
    assert_eq!(found, [(3, 2, numbers), (5, 2, names), (6, 2, numbers)]);
    assert_eq!(
        refused(import::finish(&office.clerk(), &office.store, id).await).0,
        Reason::StateForbids
    );
    assert_eq!(
        refused(office.find(&person(1)).await).0,
        Reason::NotFound,
        "nothing is half taken in"
    );
    // What is right, several certificates of one person among them, is taken in, and nothing stays behind.
    let id = begin(&office, Kind::Certificate, false).await;
    import::clear(&office.store, NOW).await.unwrap();
    let rows = vec![(2, person(1), holds(1)), (3, person(1), holds(2)), (4, person(2), holds(3))];
    assert_eq!(contradicting(&office, (id, 1), rows).await, []);
    assert_eq!(said(&office), 5);
    import::finish(&office.clerk(), &office.store, id).await.unwrap();
    import::apply(&office.store, id, || false).await.unwrap();
    let row = import::get(&office.clerk(), &office.store, id).unwrap().row;
    assert_eq!((row.written, row.skipped, said(&office)), (3, 0, 0));
}

#[tokio::test]
async fn an_old_case_stands_in_one_row() {
    let office = Office::here();
    let old = |number: &str, other: &str| {
        Record::OldCase(OldCase {
            number: PrintedNumber::parse(number).unwrap(),
            kind: domain::message::Kind::Inquiry,
            ours: Seat::Asking,
            other: other.parse().unwrap(),
            opened_on: "2019-05-06".parse().unwrap(),
            state: OldState::Answered,
            ended_on: Some("2019-05-30".parse().unwrap()),
        })
    };
    let id = begin(&office, Kind::OldCase, true).await;
    let rows = vec![
        (2, person(1), old("XC-2019-0042", ORIGIN)),
        (3, person(1), old("XC-2019-0043", ORIGIN)),
        (4, person(2), old("XC-2019-0042", "330106")),
        (5, person(3), old("XC-2019-0042", ORIGIN)),
    ];
    assert_eq!(contradicting(&office, (id, 1), rows).await, [(5, 2, "old_case.number")]);
}

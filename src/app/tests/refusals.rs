//! A refusal that tells who is on record is a search: in the access log, counted, and stopped at the limit. What was laid
//! aside and not decided goes.

use domain::access::{AccessAction, ReadLimits};
use domain::consent::{ConsentScope, ConsentTerms, Given};
use domain::id::ConsentId;
use domain::person::IdentityDocument;
use domain::service::Service;
use domain::text::WrittenReason;
use store::access::person_key;
use store::tables::{IMPORT, IMPORT_ROWS};

use super::*;
use crate::app::certificates::{self, Application};
use crate::app::consents::{self, Request};
use crate::app::import::{self, Begin, Kind, Put, Record, Row};
use crate::app::{access, at_risk};

/// How often it is in the log that this person was searched for.
fn searches(office: &Office, document: &IdentityDocument) -> usize {
    let key = person_key(office.store.document_hash(document));
    let entries = office.store.access_of_person(key, 0, 500).unwrap();
    entries.iter().filter(|entry| entry.action == AccessAction::Search).count()
}

fn terms() -> ConsentTerms {
    ConsentTerms {
        scopes: [ConsentScope::Pregnancy].into(),
        recipient: ORIGIN.parse().unwrap(),
        given_on: today(),
        valid_until: today(),
        given: Given::InPerson,
    }
}

#[tokio::test]
async fn whoever_is_told_that_somebody_is_on_record_or_not_has_searched() {
    let office = Office::here();
    let (store, her) = (&office.store, woman());
    office.arrive(her.clone()).await;
    let mut count = searches(&office, &her.document);
    let mut searched = |what: &str, reason: Reason, wanted: Reason, document: &IdentityDocument| {
        assert_eq!(reason, wanted, "{what}");
        count += 1;
        assert_eq!(searches(&office, document), count, "{what}");
    };
    for role in [Role::Clerk, Role::Collector] {
        let ctx = office.operator("chen", role);
        let again = registrations::arrive(&ctx, store, arrival(her.clone())).await;
        searched("arrive", refused(again).0, Reason::AlreadyExists, &her.document);
    }
    let clerk = office.clerk();
    let application = || Application { person: her.clone(), idempotency_key: String::new() };
    certificates::issue(&clerk, store, application()).await.unwrap();
    let again = certificates::issue(&clerk, store, application()).await;
    searched("issue", refused(again).0, Reason::AlreadyExists, &her.document);
    let supervisor = office.operator("lan", Role::Supervisor);
    let why = (ORIGIN.parse().unwrap(), WrittenReason::new("本人书面要求").unwrap());
    let released = at_risk::release(&supervisor, store, her.document.clone(), why).await;
    searched("release", refused(released).0, Reason::NotFound, &her.document);

    let nobody = (0..).map(person).find(|person| person.document != her.document).unwrap();
    let mut count = 0;
    let mut searched = |what: &str, reason: Reason| {
        assert_eq!(reason, Reason::NotFound, "{what}");
        count += 1;
        assert_eq!(searches(&office, &nobody.document), count, "{what}");
    };
    let consent = consents::record(&clerk, store, nobody.document.clone(), terms()).await;
    searched("consent", refused(consent).0);
    let (service, recipient) = (Service::AntenatalCare, ORIGIN.parse().unwrap());
    let asked = Request { service, requested_on: today(), given: Given::InPerson, recipient };
    let request = consents::request(&clerk, store, nobody.document.clone(), asked).await;
    searched("request", refused(request).0);
    let logged = office.logged();
    let unknown = ConsentId::from_bytes([9; 16]);
    let withdrawn = consents::withdraw(&clerk, store, unknown, Given::Online).await;
    assert_eq!(refused(withdrawn).0, Reason::NotFound);
    assert_eq!(office.logged(), logged + 1);
}

async fn limit(office: &Office, per_hour: u32) {
    let limits = ReadLimits { per_hour, ..ReadLimits::default() };
    access::set_limits(&office.store, limits).await.unwrap();
}

#[tokio::test]
async fn refusals_stop_at_the_limit_of_reads() {
    let (office, her) = (Office::here(), woman());
    office.arrive(her.clone()).await;
    limit(&office, 2).await;
    for wanted in [Reason::AlreadyExists, Reason::AlreadyExists, Reason::ReadsTooMany] {
        let clerk = office.clerk();
        let told = registrations::arrive(&clerk, &office.store, arrival(her.clone())).await;
        assert_eq!(refused(told).0, wanted);
    }
}

async fn begin(office: &Office, ctx: &Ctx, file: u8, dry_run: bool) -> [u8; 16] {
    let begin = Begin { kind: Kind::Registration, file: [file; 32], dry_run, resume: false };
    import::begin(ctx, &office.store, begin).await.unwrap().id
}

async fn put(
    office: &Office,
    id: [u8; 16],
    batch: u64,
    persons: &[usize],
) -> Result<Put, AppError> {
    let row = |(line, number): (usize, &usize)| Row {
        line: u32::try_from(line).unwrap() + 2,
        person: person(*number),
        record: Record::Registration(stay()),
    };
    let rows = persons.iter().enumerate().map(row).collect();
    import::put(&office.clerk(), &office.store, id, batch, rows, Vec::new()).await
}

#[tokio::test]
async fn a_dry_run_that_meets_persons_on_record_searches_for_each_of_them() {
    let office = Office::here();
    for number in 0..4 {
        office.arrive(person(number)).await;
    }
    let id = begin(&office, &office.clerk(), 1, true).await;
    let found = put(&office, id, 1, &[0, 1, 8, 9]).await.unwrap();
    assert_eq!(found.wrong.len(), 2);
    for number in [0, 1, 8] {
        let wanted = usize::from(number < 8);
        assert_eq!(searches(&office, &person(number).document), wanted, "{number}");
    }
    limit(&office, 3).await;
    let logged = office.logged();
    assert_eq!(refused(put(&office, id, 2, &[2, 3, 0]).await).0, Reason::ReadsTooMany);
    assert_eq!(office.logged(), logged + 1, "that somebody tried is there");
    assert_eq!(put(&office, id, 2, &[10, 11]).await.unwrap().wrong.len(), 0);
}

#[tokio::test]
async fn what_nobody_decides_is_removed_with_all_its_rows() {
    let office = Office::here();
    let (clerk, store) = (office.clerk(), &office.store);
    let decided = begin(&office, &clerk, 1, false).await;
    put(&office, decided, 1, &[0]).await.unwrap();
    import::finish(&clerk, store, decided).await.unwrap();
    let left = begin(&office, &clerk, 2, false).await;
    for batch in 1..4 {
        put(&office, left, batch, &[usize::try_from(batch).unwrap()]).await.unwrap();
    }
    let early = NOW.saturating_add(import::STAGED_FOR - Duration::from_secs(1));
    assert_eq!(import::clear(store, early).await.unwrap(), 0);
    assert_eq!(import::clear(store, NOW.saturating_add(import::STAGED_FOR)).await.unwrap(), 1);
    let kept: Vec<_> = store.scan(&IMPORT, .., 9).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(kept, [decided]);
    assert_eq!(store.journals_under(&IMPORT_ROWS, &(left,), 9).unwrap().len(), 0);
    assert_eq!(refused(put(&office, left, 4, &[5]).await).0, Reason::NotFound);
    import::apply(store, decided, || false).await.unwrap();
    assert_eq!(import::get(&clerk, store, decided).unwrap().row.written, 1);
    assert_eq!(store.journals_under(&IMPORT_ROWS, &(decided,), 9).unwrap().len(), 0);
}

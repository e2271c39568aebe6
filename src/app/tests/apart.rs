//! One envelope that cannot be taken in holds up none of the others in its parcel.

use std::time::Duration;

use domain::agreement::{Agreement, AgreementTerms, KindTerms, OfficeSignature};
use domain::area::AreaCode;
use domain::id::{AgreementId, MessageId};
use domain::message::{AgreementEnd, Body, Content, Kind, ProgressReport, Remind};
use domain::purpose::Purpose;
use domain::reason::Reason;
use domain::text::{Note, WrittenReason};
use exchange::receipt::Outcome;
use store::Table;
use store::agreements::AgreementRow;
use store::cases::CaseKey;
use store::messages::{Blob, MessageRow, Side, message_key, peer_key};
use store::tables::{AGREED, AGREEMENT, CASE, MESSAGE, PARCEL};

use super::cases::between;
use super::mail::{self, Post, Stranger, agree, content, content_between, row};
use super::{HERE, NOW, ORIGIN, Office};
use crate::app::AppError;

const DAMAGED_CASE: Table<CaseKey, u64> = Table::new("damaged-1", CASE.prefix());

fn here() -> AreaCode {
    HERE.parse().unwrap()
}

fn put_off() -> Outcome {
    let until = NOW.saturating_add(Duration::from_secs(3_600));
    Outcome::Deferred { reason: Reason::Internal, until }
}

fn departure(seed: u64) -> Content {
    content_between(seed, Kind::DepartureNotice, HERE, ORIGIN)
}

#[tokio::test]
async fn a_step_of_a_case_that_cannot_be_read_is_put_off_and_what_came_with_it_is_stored() {
    let (office, mut sender) = (Office::of(ORIGIN), Stranger::of(HERE));
    let question = content_between(1, Kind::ArrivalNotice, HERE, ORIGIN);
    let case = sender.says(&office, question, NOW).await;
    let before = office.store.get(&CASE, case.as_bytes()).unwrap().unwrap();
    let damaged = office.store.commit(move |unit| unit.put(&DAMAGED_CASE, case.as_bytes(), &7));
    damaged.await.unwrap();
    let step = || between(Some(case.into()), Remind { note: None }.into());
    let parcel = vec![departure(2), step(), departure(3)];
    let said = sender.parcels(&office, parcel, NOW).await;
    assert_eq!(said, [Outcome::Stored, put_off(), Outcome::Stored]);
    // The answer is kept as one, and comes again when it is asked for.
    let parcels = office.store.scan(&PARCEL, .., 10).unwrap();
    let (_, kept) = parcels.iter().find(|(_, row)| row.sequences.len() == 3).unwrap();
    assert_eq!((kept.sequences.clone(), kept.dispositions.len()), (vec![2, 3, 4], 3));
    // Once the case can be read, the step is taken.
    let mended = office.store.commit(move |unit| unit.put(&CASE, case.as_bytes(), &before));
    mended.await.unwrap();
    sender.says(&office, step(), NOW).await;
}

#[tokio::test]
async fn an_end_of_what_is_over_is_stored_beside_sixteen_agreements() {
    let office = Office::of(ORIGIN);
    agree(&office, HERE, &[Kind::Inquiry], 36).await;
    let terms = AgreementTerms {
        kinds: [(Kind::Inquiry, KindTerms::whole(Kind::Inquiry))].into(),
        purposes: Purpose::ALL.iter().copied().collect(),
        valid_from: NOW.date().plus_days(-400),
        valid_until: NOW.date().plus_days(-1),
        retention_months: 36,
        ask_once_days: 0,
        notice_days: 0,
        contact: Note::new("值班电话 0755-1234567").unwrap(),
    };
    let id = AgreementId::from_bytes([9; 16]);
    let over = Agreement::propose((id, 1), (here(), office.area), terms, None).unwrap();
    let agreement = over.decide(office.area, true, NOW).unwrap();
    let signature = OfficeSignature { signature: vec![1], chain: vec![vec![2]] };
    let row = AgreementRow {
        agreement,
        proposal: MessageId::from_bytes([8; 16]),
        proposed: NOW,
        signature: signature.clone(),
        decision: None,
        ending: None,
    };
    let filled = office.store.commit(move |unit| {
        unit.put(&AGREEMENT, &(id, 1), &row)?;
        let peer = peer_key(here());
        let mut agreed = unit.get(&AGREED, &peer)?.unwrap();
        let one = agreed.agreements[0].clone();
        for number in 0..15 {
            let id = AgreementId::from_bytes([100 + number; 16]);
            agreed.agreements.push(Agreement { id, ..one.clone() });
        }
        Ok::<_, AppError>(unit.put(&AGREED, &peer, &agreed)?)
    });
    filled.await.map_err(AppError::from).unwrap();
    let end = AgreementEnd {
        agreement_id: id,
        version: 1,
        last_day: NOW.date(),
        reason: WrittenReason::new("协议期满，双方不再续签。").unwrap(),
        signature: Some(signature),
    };
    let parcel = vec![between(None, end.into()), departure(2)];
    let said = Stranger::of(HERE).parcels(&office, parcel, NOW).await;
    assert_eq!(said, [Outcome::Stored, Outcome::Stored]);
    let agreed = office.store.get(&AGREED, &peer_key(here())).unwrap().unwrap();
    assert_eq!(agreed.agreements.len(), 16);
    assert!(office.store.get(&AGREEMENT, &(id, 1)).unwrap().unwrap().ending.is_some());
}

#[tokio::test]
async fn a_parcel_that_is_too_much_for_one_unit_is_taken_in_some_at_a_time() {
    const MESSAGES: u16 = 300;
    let (office, post) = (Office::here(), Post::new());
    let sent = mail::send(&office, &office.clerk(), &post, content(1, Kind::ArrivalNotice)).await;
    let model = row(&office.store, sent.id, Side::Sent);
    let person = office.store.get_personal(&MESSAGE, &message_key(sent.id, Side::Sent)).unwrap();
    let Some(store::Kept::Value { person, .. }) = person else { panic!("it was just sent") };
    let id = |number: u16| {
        let mut bytes = [3; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        MessageId::from_bytes(bytes)
    };
    for number in 0..MESSAGES {
        let large = MessageRow { content: Blob(vec![7; 60_000]), ..model.clone() };
        let put = office.store.commit(move |unit| {
            let subject = unit.subject_of(person)?.ok_or(store::StoreError::NoSuchPerson)?;
            unit.put_personal(&MESSAGE, &subject, &message_key(id(number), Side::Sent), &large)
        });
        put.await.unwrap();
    }
    let report = |numbers: std::ops::Range<u16>| {
        let openings = numbers.map(|number| (id(number), NOW)).collect();
        between(None, Body::ProgressReport(ProgressReport { openings }))
    };
    let notice = content_between(5, Kind::DepartureNotice, ORIGIN, HERE);
    let parcel = vec![report(0..100), report(100..200), report(200..300), notice];
    let said = Stranger::of(ORIGIN).parcels(&office, parcel, NOW).await;
    assert_eq!(said, vec![Outcome::Stored; 4]);
    for number in [0, 150, 299] {
        assert_eq!(row(&office.store, id(number), Side::Sent).opened, Some(NOW));
    }
}

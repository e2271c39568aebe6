//! Statements and runs of many years: what was closed stays closed, and a run is found however many there were since.

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::{Statement, Totals};
use store::messages::{Blob, peer_key};
use store::reconcile::{SignatureRow, StatementRow};
use store::tables::STATEMENT;
use wire::reconcile::encode_statement;

use super::{HERE, NOW, ORIGIN, Office, refused};
use crate::app::AppError;
use crate::app::reconcile::runs::{self, Plan};
use crate::app::reconcile::statements;

fn origin() -> AreaCode {
    ORIGIN.parse().unwrap()
}

/// One day, that many days after the first one of these tests.
fn day(number: u16) -> Date {
    Date::new(2020, 1, 1).unwrap().plus_days(number.into())
}

fn scope(on: Date) -> Scope {
    let (asker, answerer) = (HERE.parse().unwrap(), origin());
    Scope { asker, answerer, first: on, last: on, until: on.ends() }
}

/// A day that both sides have closed.
async fn close(office: &Office, number: u16) {
    let statement = Statement {
        id: [9; 16],
        scope: scope(day(number)),
        made: NOW,
        totals: Totals::default(),
        found: [0; 6],
        cured: [0; 6],
        left: Vec::new(),
        corrections: Vec::new(),
    };
    let nobody = SignatureRow { signature: Blob::default(), chain: Vec::new() };
    let row = StatementRow {
        statement: Blob(encode_statement(&statement)),
        asker: nobody.clone(),
        answerer: nobody,
        kept: NOW,
        closes: true,
    };
    let on = u32::try_from(day(number).epoch_days()).unwrap();
    let key = (peer_key(origin()), on, on, NOW.get());
    let kept =
        office.store.commit(move |unit| Ok::<_, AppError>(unit.put(&STATEMENT, &key, &row)?));
    kept.await.map_err(AppError::from).unwrap();
}

#[tokio::test]
async fn what_was_closed_long_ago_stays_closed() {
    let office = Office::here();
    for number in 0..502 {
        close(&office, number).await;
    }
    let asked = |number| statements::must_be_open(&office.store, office.area, &scope(day(number)));
    for number in [0, 1, 501] {
        assert_eq!(refused(asked(number)).0, Reason::StateForbids, "{number}");
    }
    asked(502).unwrap();
}

fn plan(with: AreaCode, number: u16) -> Plan {
    let (first, last) = (day(number), day(number));
    Plan { with, first, last, until: UnixMillis::new(NOW.get()), after_restore: false }
}

#[tokio::test]
async fn a_run_is_found_by_its_side_and_days_among_many_later_ones() {
    let office = Office::here();
    let first = runs::begin(&office.store, plan(origin(), 0), NOW).await.unwrap();
    let other = "510104".parse().unwrap();
    for number in 1..=501 {
        let begun = runs::begin(&office.store, plan(other, number), NOW).await.unwrap();
        assert_eq!(begun, u64::from(number) + first);
    }
    let found = runs::latest(&office.store, origin(), (day(0), day(0))).unwrap();
    assert_eq!(found.map(|(number, _)| number), Some(first));
    assert!(runs::latest(&office.store, other, (day(0), day(0))).unwrap().is_none());
    let again = runs::begin(&office.store, plan(origin(), 0), NOW).await.unwrap();
    assert_eq!(again, first, "it goes on");
    assert_eq!(runs::unfinished(&office.store).unwrap().len(), 502);
}

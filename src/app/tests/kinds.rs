//! Kinds of messages that say something about a person by their name: told to clerks, and to nobody once they are deleted.

use domain::access::Role;
use domain::area::AreaCode;
use domain::draw::Frame;
use domain::id::CaseId;
use domain::indicator::Indicator;
use domain::message::{ConsentWithdrawal, Kind};
use domain::reason::Reason;

use super::cases::{between, consented};
use super::mail::{Stranger, agree, content_between};
use super::{HERE, NOW, ORIGIN, Office, later, refused};
use crate::app::cases::read as cases;
use crate::app::draws::{self, Order};
use crate::app::indicators;
use crate::app::messages::read;
use crate::app::{AppError, Ctx};

/// The office that has received a report which rests on a consent, and its case.
async fn told(asker: &mut Stranger) -> (Office, CaseId) {
    let office = Office::of(ORIGIN);
    agree(&office, HERE, &[Kind::PregnancyReport, Kind::PregnancyFeedback], 36).await;
    let case = asker.says(&office, consented(), NOW).await.into();
    (office, case)
}

/// What the reception of messages of that kind counts, a month later.
fn received(office: &Office, ctx: &Ctx, kind: Option<Kind>) -> Result<Vec<String>, AppError> {
    let ctx = later(ctx, std::time::Duration::from_secs(30 * 86_400));
    let area: AreaCode = ORIGIN.parse().unwrap();
    let key = (Indicator::Opening.number(), area, kind);
    let period = "2026-03".parse().unwrap();
    let cases = indicators::cases(&ctx, &office.store, period, key, None)?;
    Ok(cases.into_iter().map(|(id, _)| indicators::case_id(id)).collect())
}

#[tokio::test]
async fn only_who_reads_messages_is_told_which_of_them_are_about_a_pregnancy() {
    let mut asker = Stranger::of(HERE);
    let (office, case) = told(&mut asker).await;
    let notice = content_between(4, Kind::ArrivalNotice, HERE, ORIGIN);
    let arrival = asker.says(&office, notice, NOW).await;
    let report = Some(Kind::PregnancyReport);
    let id = case.opening_message();
    for (role, kind) in [
        (Role::Clerk, report),
        (Role::Supervisor, None),
        (Role::Administrator, None),
        (Role::Auditor, None),
    ] {
        let ctx = office.operator("zhou", role);
        assert_eq!(read::track(&ctx, &office.store, id).unwrap().kind, kind, "{role:?}");
        let other = read::track(&ctx, &office.store, arrival).unwrap().kind;
        assert_eq!(other, Some(Kind::ArrivalNotice));
        let filter = read::Filter::default();
        let page = read::list(&ctx, &office.store, filter, 10, &[]).unwrap();
        assert_eq!(
            page.tracks.iter().filter(|track| track.kind == report).count(),
            usize::from(kind.is_some())
        );
        let shown = cases::show(&ctx, &office.store, case).unwrap();
        assert_eq!((shown.view.kind, shown.unnamed.is_empty()), (kind, kind.is_some()));
        assert!(!shown.is_deleted);
    }
    assert_eq!(received(&office, &office.clerk(), report).unwrap(), [id.to_string()]);
    let auditor = office.operator("zhou", Role::Auditor);
    let told = refused(received(&office, &auditor, report));
    assert_eq!(told, (Reason::RoleRequired, "message_kind".to_owned()));
    assert_eq!(
        received(&office, &auditor, Some(Kind::ArrivalNotice)).unwrap(),
        [arrival.to_string()]
    );
    let order =
        Order { period: "2026-03".parse().unwrap(), frame: Frame::Received, kind: report, size: 1 };
    let drawn = refused(draws::draw(&auditor, &office.store, &order));
    assert_eq!(drawn, (Reason::InvalidField, "message_kind".to_owned()));
}

#[tokio::test]
async fn what_was_deleted_is_counted_under_no_kind() {
    let mut asker = Stranger::of(HERE);
    let (office, case) = told(&mut asker).await;
    let clerk = office.clerk();
    let withdrawal = ConsentWithdrawal { ground: consented().ground().unwrap(), withdrawn: NOW };
    asker.says(&office, between(None, withdrawal.into()), NOW).await;
    assert_eq!(received(&office, &clerk, Some(Kind::PregnancyReport)).unwrap(), [""; 0]);
    let id = case.opening_message().to_string();
    assert_eq!(received(&office, &clerk, None).unwrap(), [id]);
}

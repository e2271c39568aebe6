//! A withdrawal that the other county does not take, and what is not told again after one.

use domain::consent::{ConsentScope, ConsentTerms, Given, Ground};
use domain::message::{Body, Content, Kind, PregnancyReport};
use domain::person::PersonReference;
use domain::service::Service;
use store::letters::NoticeKind;
use store::messages::Side;
use store::tables::NOTICE;

use super::delivered_again::delivered_again;
use super::mail::{Post, agree, content, draft, receipt, row, send};
use super::*;
use crate::app::consents::{self, Request, refused as words, spread};
use crate::app::duties;
use crate::app::messages::grounds::Grounds;
use crate::app::messages::send::{self as sending, Accepted, Draft};
use crate::app::reconcile::cures::Delivering;

pub(super) fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

/// What her record has for the origin to be told of a pregnancy: her consent, or her request for the service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sort {
    Consent,
    Request,
}

impl Sort {
    pub(super) const ALL: [Self; 2] = [Self::Consent, Self::Request];
}

pub(super) async fn ground(office: &Office, sort: Sort) -> Ground {
    let her = woman();
    office.arrive(her.clone()).await;
    let (clerk, recipient, given) = (office.clerk(), area(ORIGIN), Given::InPerson);
    match sort {
        Sort::Consent => {
            let terms = ConsentTerms {
                scopes: [ConsentScope::Pregnancy].into(),
                recipient,
                given_on: today(),
                valid_until: today().plus_years(1),
                given,
            };
            let consent = consents::record(&clerk, &office.store, her.document, terms).await;
            Ground::Consent(consent.unwrap().id())
        }
        Sort::Request => {
            let service = Service::AntenatalCare;
            let asked = Request { service, requested_on: today(), given, recipient };
            let kept = consents::request(&clerk, &office.store, her.document, asked).await;
            Ground::Request(kept.unwrap().request.id)
        }
    }
}

pub(super) async fn withdraw(office: &Office, ground: Ground) -> Result<(), AppError> {
    let (clerk, store, given) = (office.clerk(), &office.store, Given::InPerson);
    match ground {
        Ground::Consent(id) => consents::withdraw(&clerk, store, id, given).await.map(drop),
        Ground::Request(id) => consents::withdraw_request(&clerk, store, id, given).await.map(drop),
    }
}

pub(super) async fn try_report(
    office: &Office,
    post: &Post,
    ground: Ground,
) -> Result<Accepted, AppError> {
    let her = woman();
    let body = PregnancyReport {
        expected_month: None,
        services_wanted: Default::default(),
        note: Note::optional("请协助安排产前检查。").unwrap(),
    };
    let (basis, grounds) = match ground {
        Ground::Consent(id) => (LawfulBasis::Consent, Grounds { consent: Some(id), request: None }),
        Ground::Request(id) => {
            (LawfulBasis::ServiceRequest, Grounds { consent: None, request: Some(id) })
        }
    };
    let said = Content {
        basis,
        purpose: Purpose::HealthService,
        consent: None,
        service_request: None,
        person: Some(PersonReference { document: her.document, name: her.name }),
        body: Body::from(body),
        ..content(1, Kind::PregnancyReport)
    };
    let draft = Draft { grounds, ..draft(said) };
    sending::send(&office.clerk(), &office.store, post, draft).await
}

pub(super) async fn report(office: &Office, post: &Post, ground: Ground) -> Accepted {
    try_report(office, post, ground).await.unwrap()
}

/// The last word of the node about a withdrawal, as it was accepted.
fn word(office: &Office, ground: Ground) -> Accepted {
    let told = spread::of(&office.clerk(), &office.store, ground).unwrap()[0].row.told;
    let (id, _) = told.unwrap();
    let row = row(&office.store, id, Side::Sent);
    let (to, epoch, sequence) = (row.peer, row.epoch, row.sequence);
    Accepted { id, case: row.case.into(), to, epoch, sequence }
}

fn after(by: Duration) -> UnixMillis {
    NOW.saturating_add(by)
}

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_withdrawal_that_is_refused_is_told_to_a_person_and_said_again() {
    let (office, post) = (Office::here(), Post::new());
    let (consent, store) = (ground(&office, Sort::Consent).await, &office.store);
    withdraw(&office, consent).await.unwrap();
    let perform = |now| duties::perform(office.area, store, &post, now);
    assert_eq!(perform(NOW).await.unwrap(), 1);
    let first = word(&office, consent);
    receipt(&office, &[(first, Some(Reason::VersionUnsupported))], NOW).await;
    let spread = || spread::of(&office.clerk(), &office.store, consent).unwrap()[0];
    let refused = spread().refused.unwrap();
    assert_eq!((refused.reason, refused.times), (Reason::VersionUnsupported, 1));
    let notices = store.scan(&NOTICE, .., 10).unwrap();
    let told = notices.iter().any(|(_, row)| {
        row.what == NoticeKind::WithdrawalRefused { peer: area(ORIGIN) }
            && row.messages == [first.id]
    });
    assert!(told, "{notices:?}");
    assert_eq!(perform(after(DAY / 2)).await.unwrap(), 0, "not at once");
    assert_eq!(perform(after(DAY)).await.unwrap(), 1);
    assert_ne!(word(&office, consent).id, first.id, "a new message");
    assert_eq!(perform(after(DAY * 3)).await.unwrap(), 0, "it is on its way");
    receipt(&office, &[(word(&office, consent), Some(Reason::Malformed))], after(DAY)).await;
    assert_eq!(spread().refused.unwrap().times, 2);
    assert!(words::say_again(store, after(DAY * 2)).await.unwrap());
    assert_eq!(perform(after(DAY * 2)).await.unwrap(), 1);
    // Taken at last.
    let done = domain::message::ConsentWithdrawalDone { ground: consent, deleted: NOW };
    let between = (area(ORIGIN), office.area);
    let take = store.commit(move |unit| spread::take_done(unit, between, &done, NOW));
    take.await.map_err(AppError::from).unwrap();
    assert!(spread().refused.is_none() && spread().row.done.is_some());
    assert!(words::unanswered(store, after(DAY)).unwrap().is_empty());
}

#[tokio::test]
async fn what_was_withdrawn_or_is_hidden_by_now_is_not_delivered_again() {
    let (office, post) = (Office::here(), Post::new());
    agree(&office, ORIGIN, &[Kind::PregnancyReport], 12).await;
    let consent = ground(&office, Sort::Consent).await;
    let told = report(&office, &post, consent).await;
    let mut notice = content(5, Kind::ArrivalNotice);
    notice.basis = LawfulBasis::StatutoryDuty;
    let her = woman();
    notice.person =
        Some(PersonReference { document: her.document.clone(), name: her.name.clone() });
    let notice = send(&office, &office.clerk(), &post, notice).await;
    let harmless = send(&office, &office.clerk(), &post, content(6, Kind::DepartureNotice)).await;
    receipt(&office, &[(told, None), (notice, None), (harmless, None)], NOW).await;
    withdraw(&office, consent).await.unwrap();
    let found = office.find(&her).await.unwrap();
    let details = PersonDetails { at_risk: true, ..her };
    let (id, seen) = (found.person.id(), found.person.version());
    let correction =
        persons::Correction {
            id, seen, details, why: Note::new("本人反映受到威胁").unwrap()
        };
    persons::correct(&office.clerk(), &office.store, correction).await.unwrap();

    // The other county has lost everything and asks for it in a reconciliation.
    for (accepted, goes) in [(told, false), (notice, false), (harmless, true)] {
        let again = delivered_again(&office, &post, ORIGIN, accepted, NOW).await;
        assert_eq!(again != Delivering::Lost, goes, "{accepted:?}: {again:?}");
    }
}

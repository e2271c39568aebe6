//! Consents and requests: recorded for persons on record, withdrawn once, listed with a reason.

use domain::consent::{ConsentScope, ConsentTerms, Given};
use domain::id::ConsentId;
use domain::service::Service;

use super::*;
use crate::app::consents::{self, Request};

fn terms() -> ConsentTerms {
    ConsentTerms {
        scopes: [ConsentScope::Pregnancy].into(),
        recipient: ORIGIN.parse().unwrap(),
        given_on: today(),
        valid_until: today().plus_years(1),
        given: Given::InPerson,
    }
}

fn request() -> Request {
    Request {
        service: Service::AntenatalCare,
        requested_on: today(),
        given: Given::InPerson,
        recipient: "410522001".parse().unwrap(),
    }
}

#[tokio::test]
async fn a_consent_covers_until_it_is_withdrawn() {
    let office = Office::here();
    let (clerk, store) = (office.clerk(), &office.store);
    let her = woman();
    office.arrive(her.clone()).await;
    let consent = consents::record(&clerk, store, her.document.clone(), terms()).await.unwrap();
    let origin = ORIGIN.parse().unwrap();
    assert!(consent.covers(ConsentScope::Pregnancy, origin, today()));
    let ctx = later(&clerk, Duration::from_secs(60));
    let gone = consents::withdraw(&ctx, store, consent.id(), Given::Online).await.unwrap();
    assert!(!gone.covers(ConsentScope::Pregnancy, origin, today()));
    assert_eq!(gone.withdrawn_at(), Some(ctx.now));
    let twice = consents::withdraw(&clerk, store, consent.id(), Given::Online).await;
    assert_eq!(refused(twice).1, "consent_id");
    let unknown = consents::withdraw(&clerk, store, ConsentId::from_bytes([9; 16]), Given::Online);
    assert_eq!(refused(unknown.await).0, Reason::NotFound);
    let listed = consents::list(&clerk, store, &her.document, LOOKING).await.unwrap();
    assert_eq!(listed.consents, [gone]);
}

#[tokio::test]
async fn terms_are_judged_by_field() {
    let office = Office::here();
    office.arrive(woman()).await;
    let (base, her) = (terms(), woman().document);
    let too_long = base.given_on.plus_years(9);
    let wrong = [
        (ConsentTerms { scopes: [].into(), ..terms() }, "consent.scopes"),
        (ConsentTerms { given_on: base.given_on.plus_days(1), ..terms() }, "consent.given_on"),
        (ConsentTerms { valid_until: too_long, ..terms() }, "consent.valid_until"),
    ];
    for (terms, field) in wrong {
        let told = consents::record(&office.clerk(), &office.store, her.clone(), terms).await;
        assert_eq!(refused(told).1, field);
    }
}

#[tokio::test]
async fn only_persons_on_record_consent_or_ask() {
    let office = Office::here();
    let (clerk, store) = (office.clerk(), &office.store);
    let unknown = consents::record(&clerk, store, woman().document, terms()).await;
    assert_eq!(refused(unknown), (Reason::NotFound, "document.number".to_owned()));
    let unknown = consents::request(&clerk, store, woman().document, request()).await;
    assert_eq!(refused(unknown).0, Reason::NotFound);
    let unknown = consents::list(&clerk, store, &woman().document, LOOKING).await;
    assert_eq!(refused(unknown).0, Reason::NotFound);
}

#[tokio::test]
async fn a_request_names_the_county_that_may_be_told() {
    let office = Office::here();
    let (clerk, store) = (office.clerk(), &office.store);
    office.arrive(woman()).await;
    let kept = consents::request(&clerk, store, woman().document, request()).await.unwrap();
    assert_eq!(kept.recipient, ORIGIN.parse().unwrap());
    assert!(kept.request.reference().unwrap().covers(ConsentScope::Pregnancy, today()));
    let listed = consents::list(&clerk, store, &woman().document, LOOKING).await.unwrap();
    assert_eq!(listed.requests, [kept]);
    let mut future = request();
    future.requested_on = today().plus_days(1);
    let future = consents::request(&clerk, store, woman().document, future).await;
    assert_eq!(refused(future).0, Reason::DateInFuture);
}

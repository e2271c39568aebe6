//! Consents and requests for services on the office API.

use domain::area::AreaCode;
use domain::person::{IdentityDocument, PersonDetails};
use domain::purpose::Purpose;
use store::Store;
use store::records::KeptServiceRequest;
use tonic::{Request, Response, Status};
use wire::pb::office;
use wire::pb::office::consent_service_server::ConsentService;
use wire::records::{Form, consent_to_pb, service_request_to_pb};

use super::Parts;
use super::access::why;
use crate::api::caller::operator;
use crate::api::status::of_findings;
use crate::app::consents;
use crate::delivery::peers::Peers;

/// What a note of a consent is shown for.
const PURPOSE: Purpose = Purpose::PersonRights;

/// The service.
#[derive(Clone, Debug)]
pub(super) struct Consents {
    area: AreaCode,
    store: Store,
    peers: Peers,
}

impl Consents {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { area: parts.settings.area, store: parts.store.clone(), peers: parts.peers.clone() }
    }
}

/// Who asks for a service.
enum Whose {
    /// Somebody on record.
    Known(IdentityDocument),
    /// Somebody who may not be on record yet.
    Stated(PersonDetails),
}

#[tonic::async_trait]
impl ConsentService for Consents {
    async fn record_consent(
        &self,
        request: Request<office::RecordConsentRequest>,
    ) -> Result<Response<office::RecordConsentResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::RecordConsentRequest { document, consent } = request.into_inner();
        let mut form = Form::new();
        let document = form.document("document", document);
        let terms = form.consent("consent", consent);
        let (document, terms) = form.finish(document.zip(terms)).map_err(of_findings)?;
        let consent = consents::record(&ctx, &self.store, document, terms).await?;
        let consent = Some(consent_to_pb(&consent, PURPOSE));
        Ok(Response::new(office::RecordConsentResponse { consent }))
    }

    async fn withdraw_consent(
        &self,
        request: Request<office::WithdrawConsentRequest>,
    ) -> Result<Response<office::WithdrawConsentResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::WithdrawConsentRequest { consent_id, form: given } = request.into_inner();
        let mut form = Form::new();
        let given = form.given("form", given);
        let id = form.parsed("consent_id", &consent_id);
        let id = form.finish(id).map_err(of_findings)?;
        let consent = consents::withdraw(&ctx, &self.store, id, given).await?;
        self.peers.ring();
        let consent = Some(consent_to_pb(&consent, PURPOSE));
        Ok(Response::new(office::WithdrawConsentResponse { consent }))
    }

    async fn record_service_request(
        &self,
        request: Request<office::RecordServiceRequestRequest>,
    ) -> Result<Response<office::RecordServiceRequestResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::RecordServiceRequestRequest { document, service_request, person } =
            request.into_inner();
        let mut form = Form::new();
        let whose = match person {
            Some(person) => form.person("person", Some(person)).map(Whose::Stated),
            None => form.document("document", document).map(Whose::Known),
        };
        let stated = form.there("service_request", service_request).unwrap_or_default();
        let service = form.chosen("service_request.service", stated.service);
        let requested_on = match stated.requested_on.as_str() {
            "" => Some(ctx.today()),
            day => form.parsed("service_request.requested_on", day),
        };
        let recipient = form.area("service_request.recipient", &stated.recipient);
        let given = form.given("service_request.form", stated.form);
        let whole = whose.zip(service).zip(requested_on).zip(recipient);
        let (((whose, service), requested_on), recipient) =
            form.finish(whole).map_err(of_findings)?;
        let request = consents::Request { service, requested_on, given, recipient };
        let store = &self.store;
        let kept = match whose {
            Whose::Known(document) => consents::request(&ctx, store, document, request).await?,
            Whose::Stated(person) => consents::first_request(&ctx, store, person, request).await?,
        };
        let service_request = Some(service_request_of(&kept, PURPOSE));
        Ok(Response::new(office::RecordServiceRequestResponse { service_request }))
    }

    async fn withdraw_service_request(
        &self,
        request: Request<office::WithdrawServiceRequestRequest>,
    ) -> Result<Response<office::WithdrawServiceRequestResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::WithdrawServiceRequestRequest { request_id, form: given } =
            request.into_inner();
        let mut form = Form::new();
        let given = form.given("form", given);
        let id = form.parsed("request_id", &request_id);
        let id = form.finish(id).map_err(of_findings)?;
        let kept = consents::withdraw_request(&ctx, &self.store, id, given).await?;
        self.peers.ring();
        let service_request = Some(service_request_of(&kept, PURPOSE));
        Ok(Response::new(office::WithdrawServiceRequestResponse { service_request }))
    }

    async fn list_consents(
        &self,
        request: Request<office::ListConsentsRequest>,
    ) -> Result<Response<office::ListConsentsResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::ListConsentsRequest { document, access } = request.into_inner();
        let mut form = Form::new();
        let document = form.document("document", document);
        let document = form.finish(document).map_err(of_findings)?;
        let why = why(access)?;
        let allowed = consents::list(&ctx, &self.store, &document, why).await?;
        let consents = allowed.consents.iter();
        let requests = allowed.requests.iter();
        Ok(Response::new(office::ListConsentsResponse {
            consents: consents.map(|consent| consent_to_pb(consent, why.purpose)).collect(),
            service_requests: requests.map(|kept| service_request_of(kept, why.purpose)).collect(),
        }))
    }
}

fn service_request_of(kept: &KeptServiceRequest, why: Purpose) -> office::ServiceRequest {
    service_request_to_pb(&kept.request, kept.recipient, why)
}

//! Registrations and persons on the office API.

use domain::area::AreaCode;
use domain::erasure::ErasureHold;
use domain::id::MessageId;
use domain::purpose::Purpose;
use domain::record::Version;
use domain::rule::Rule;
use store::Store;
use store::records::KeptEndorsement;
use tonic::{Request, Response, Status};
use wire::pb::office;
use wire::pb::office::registration_service_server::RegistrationService;
use wire::records::{
    Form, certificate_to_pb, endorsement_to_pb, person_to_pb, registration_to_pb,
    registration_versions_to_pb,
};

use super::Parts;
use super::access::why;
use crate::api::caller::operator;
use crate::api::status::of_findings;
use crate::app::erasure::{self, Demand, Held};
use crate::app::persons::{self, Correction};
use crate::app::registrations::{self, Arrival, Change, End};

/// What a change of a registration is shown for.
const PURPOSE: Purpose = Purpose::ResidenceRegistration;

/// The service.
#[derive(Clone, Debug)]
pub(super) struct Registrations {
    area: AreaCode,
    store: Store,
}

impl Registrations {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { area: parts.settings.area, store: parts.store.clone() }
    }
}

#[tonic::async_trait]
impl RegistrationService for Registrations {
    async fn register_arrival(
        &self,
        request: Request<office::RegisterArrivalRequest>,
    ) -> Result<Response<office::RegisterArrivalResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::RegisterArrivalRequest { person, registration, idempotency_key, reason } =
            request.into_inner();
        let mut form = Form::new();
        let person = form.person("person", person);
        let details = form.registration("registration", registration);
        let why = form.maybe_note("reason", &reason);
        let (person, details) = form.finish(person.zip(details)).map_err(of_findings)?;
        let arrival = Arrival { person, details, why, idempotency_key };
        let done = registrations::arrive(&ctx, &self.store, arrival).await?;
        Ok(Response::new(office::RegisterArrivalResponse {
            person: Some(person_to_pb(&done.person, PURPOSE)),
            registration: Some(registration_to_pb(&done.registration, PURPOSE)),
        }))
    }

    async fn change_person(
        &self,
        request: Request<office::ChangePersonRequest>,
    ) -> Result<Response<office::ChangePersonResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::ChangePersonRequest { person, seen_version, reason } = request.into_inner();
        let mut form = Form::new();
        let stated = person.as_ref().map(|person| person.person_id.as_str()).unwrap_or_default();
        let id = form.parsed("person.person_id", stated);
        let details = form.person("person", person);
        let why = form.note("reason", &reason);
        let whole = id.zip(details).zip(why);
        let ((id, details), why) = form.finish(whole).map_err(of_findings)?;
        let correction = Correction { id, seen: Version::new(seen_version), details, why };
        let person = persons::correct(&ctx, &self.store, correction).await?;
        let person = Some(person_to_pb(&person, PURPOSE));
        Ok(Response::new(office::ChangePersonResponse { person }))
    }

    async fn change_registration(
        &self,
        request: Request<office::ChangeRegistrationRequest>,
    ) -> Result<Response<office::ChangeRegistrationResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::ChangeRegistrationRequest { registration, seen_version, reason } =
            request.into_inner();
        let mut form = Form::new();
        let stated = registration.as_ref().map(|r| r.registration_id.as_str()).unwrap_or_default();
        let id = form.parsed("registration.registration_id", stated);
        let details = form.registration("registration", registration);
        let why = form.note("reason", &reason);
        let whole = id.zip(details).zip(why);
        let ((id, details), why) = form.finish(whole).map_err(of_findings)?;
        let change = Change { id, seen: Version::new(seen_version), details, why };
        let registration = registrations::change(&ctx, &self.store, change).await?;
        let registration = Some(registration_to_pb(&registration, PURPOSE));
        Ok(Response::new(office::ChangeRegistrationResponse { registration }))
    }

    async fn erase_person(
        &self,
        request: Request<office::ErasePersonRequest>,
    ) -> Result<Response<office::ErasePersonResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::ErasePersonRequest { document, ground, reason, preview } = request.into_inner();
        let mut form = Form::new();
        let document = form.document("document", document);
        if preview {
            let document = form.finish(document).map_err(of_findings)?;
            let held = erasure::preview(&ctx, &self.store, &document).await?;
            return Ok(Response::new(held_to_pb(&held)));
        }
        let ground = form.chosen("ground", ground);
        let reason = form.reason("reason", &reason);
        let whole = document.zip(ground).zip(reason);
        let ((document, ground), reason) = form.finish(whole).map_err(of_findings)?;
        let demand = Demand { document, ground, reason };
        let erased = erasure::erase(&ctx, &self.store, demand).await?;
        Ok(Response::new(office::ErasePersonResponse {
            erasure_id: MessageId::from_bytes(erased.id).to_string(),
            erased_ms: ctx.now.get(),
            ..held_to_pb(&erased.held)
        }))
    }

    async fn end_registration(
        &self,
        request: Request<office::EndRegistrationRequest>,
    ) -> Result<Response<office::EndRegistrationResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let end = end_of(request.into_inner())?;
        let registration = registrations::end(&ctx, &self.store, end).await?;
        let registration = Some(registration_to_pb(&registration, PURPOSE));
        Ok(Response::new(office::EndRegistrationResponse { registration }))
    }

    async fn get_registration(
        &self,
        request: Request<office::GetRegistrationRequest>,
    ) -> Result<Response<office::GetRegistrationResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::GetRegistrationRequest { registration_id, access } = request.into_inner();
        let mut form = Form::new();
        let id = form.parsed("registration_id", &registration_id);
        let id = form.finish(id).map_err(of_findings)?;
        let why = why(access)?;
        let registration = registrations::get(&ctx, &self.store, id, why).await?;
        let versions = registration_versions_to_pb(&registration, why.purpose);
        Ok(Response::new(office::GetRegistrationResponse { versions }))
    }

    async fn find_person(
        &self,
        request: Request<office::FindPersonRequest>,
    ) -> Result<Response<office::FindPersonResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::FindPersonRequest { document, access } = request.into_inner();
        let mut form = Form::new();
        let document = form.document("document", document);
        let document = form.finish(document).map_err(of_findings)?;
        let why = why(access)?;
        let found = persons::find(&ctx, &self.store, &document, why).await?;
        let (today, purpose) = (ctx.today(), why.purpose);
        let registrations = found.registrations.iter();
        let certificates = found.certificates.iter();
        let endorsements = found.endorsements.iter();
        Ok(Response::new(office::FindPersonResponse {
            person: Some(person_to_pb(&found.person, purpose)),
            registrations: registrations.map(|r| registration_to_pb(r, purpose)).collect(),
            certificates: certificates.map(|c| certificate_to_pb(c, today, purpose)).collect(),
            endorsements: endorsements.map(|e| endorsement(e, purpose)).collect(),
        }))
    }
}

fn held_to_pb(held: &Held) -> office::ErasePersonResponse {
    let hold = |(hold, id): &(ErasureHold, String)| office::ErasureHeld {
        hold: hold.number().into(),
        id: id.clone(),
    };
    office::ErasePersonResponse {
        erasure_id: String::new(),
        erased_ms: 0,
        records: held.records,
        messages: held.messages,
        holds: held.holds.iter().map(hold).collect(),
        rests: held.rests().into_iter().map(|rest| rest.number().into()).collect(),
        counties: held.counties.iter().map(ToString::to_string).collect(),
    }
}

/// An end that names a place is a move; the two are told apart by the state the clerk chose.
fn end_of(request: office::EndRegistrationRequest) -> Result<End, Status> {
    let office::EndRegistrationRequest {
        registration_id,
        state,
        ended_on,
        destination_area,
        seen_version,
        reason,
    } = request;
    let mut form = Form::new();
    let id = form.parsed("registration_id", &registration_id);
    let on = form.parsed("ended_on", &ended_on);
    let why = form.maybe_note("reason", &reason);
    let to = form.maybe_area("destination_area", &destination_area);
    match office::RegistrationState::try_from(state) {
        Ok(office::RegistrationState::MovedOn) => {
            if destination_area.trim().is_empty() {
                form.broken(Rule::FieldRequired, "destination_area");
            }
        }
        Ok(office::RegistrationState::Departed) => {
            if to.is_some() {
                form.broken(Rule::FieldNotAllowed, "destination_area");
            }
        }
        Ok(office::RegistrationState::Unspecified) => form.broken(Rule::FieldRequired, "state"),
        Ok(office::RegistrationState::Present) | Err(_) => {
            form.broken(Rule::NoSuchChoice, "state");
        }
    }
    let (id, on) = form.finish(id.zip(on)).map_err(of_findings)?;
    Ok(End { id, seen: Version::new(seen_version), on, to, why })
}

/// A check as it is kept.
pub(super) fn endorsement(kept: &KeptEndorsement, why: Purpose) -> office::Endorsement {
    endorsement_to_pb(&kept.endorsement, kept.registration, kept.revocation_list, why)
}

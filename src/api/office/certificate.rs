//! Certificates on the office API.

use std::sync::Arc;

use domain::area::AreaCode;
use domain::certificate::Certificate;
use domain::numbered::Numbered;
use domain::purpose::Purpose;
use domain::record::Version;
use domain::time::UnixMillis;
use store::Store;
use tonic::{Request, Response, Status};
use wire::pb::office;
use wire::pb::office::certificate_service_server::CertificateService;
use wire::records::{Form, certificate_to_pb, certificate_versions_to_pb};

use super::Parts;
use super::access::why;
use super::registration::endorsement;
use crate::api::caller::operator;
use crate::api::status::of_findings;
use crate::app::certificates::check::{self, Check, Verification};
use crate::app::certificates::print::{self, Printed};
use crate::app::certificates::{self, Application, Replace, Revoke};
use crate::app::{AppError, Ctx};
use crate::delivery::identity::NodeIdentity;

/// What a change of a certificate is shown for.
const PURPOSE: Purpose = Purpose::Certificate;

/// The service.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    area: AreaCode,
    store: Store,
    identity: Arc<NodeIdentity>,
}

impl Certificates {
    pub(super) fn new(parts: &Parts) -> Self {
        let identity = parts.identity.clone();
        Self { area: parts.settings.area, store: parts.store.clone(), identity }
    }

    /// The code of a certificate; empty for one that is not valid today.
    async fn code(&self, ctx: &Ctx, certificate: &Certificate) -> Result<Printed, AppError> {
        let printed = print::code(ctx, self.identity.material(), certificate).await?;
        Ok(printed.unwrap_or(Printed { text: String::new(), svg: String::new() }))
    }
}

#[tonic::async_trait]
impl CertificateService for Certificates {
    async fn issue_certificate(
        &self,
        request: Request<office::IssueCertificateRequest>,
    ) -> Result<Response<office::IssueCertificateResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::IssueCertificateRequest { person, idempotency_key } = request.into_inner();
        let mut form = Form::new();
        let person = form.person("person", person);
        let person = form.finish(person).map_err(of_findings)?;
        print::ready(&self.identity.material())?;
        let application = Application { person, idempotency_key };
        let certificate = certificates::issue(&ctx, &self.store, application).await?;
        let Printed { text: credential, svg } = self.code(&ctx, &certificate).await?;
        let certificate = Some(certificate_to_pb(&certificate, ctx.today(), PURPOSE));
        let credential_svg = svg;
        Ok(Response::new(office::IssueCertificateResponse {
            certificate,
            credential,
            credential_svg,
        }))
    }

    async fn renew_certificate(
        &self,
        request: Request<office::RenewCertificateRequest>,
    ) -> Result<Response<office::RenewCertificateResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::RenewCertificateRequest { certificate_number, seen_version } =
            request.into_inner();
        let mut form = Form::new();
        let number = form.parsed("certificate_number", &certificate_number);
        let number = form.finish(number).map_err(of_findings)?;
        print::ready(&self.identity.material())?;
        let seen = Version::new(seen_version);
        let certificate = certificates::renew(&ctx, &self.store, number, seen).await?;
        let Printed { text: credential, svg } = self.code(&ctx, &certificate).await?;
        let certificate = Some(certificate_to_pb(&certificate, ctx.today(), PURPOSE));
        let credential_svg = svg;
        Ok(Response::new(office::RenewCertificateResponse {
            certificate,
            credential,
            credential_svg,
        }))
    }

    async fn replace_certificate(
        &self,
        request: Request<office::ReplaceCertificateRequest>,
    ) -> Result<Response<office::ReplaceCertificateResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::ReplaceCertificateRequest {
            certificate_number,
            seen_version,
            reason,
            cause,
            person,
        } = request.into_inner();
        let mut form = Form::new();
        let number = form.parsed("certificate_number", &certificate_number);
        let cause = form.chosen("cause", cause);
        let why = form.note("reason", &reason);
        let person = person.and_then(|person| form.person("person", Some(person)));
        let whole = number.zip(cause).zip(why);
        let ((number, cause), why) = form.finish(whole).map_err(of_findings)?;
        print::ready(&self.identity.material())?;
        let replace = Replace { number, seen: Version::new(seen_version), cause, why, person };
        let certificate = certificates::replace(&ctx, &self.store, replace).await?;
        let Printed { text: credential, svg } = self.code(&ctx, &certificate).await?;
        let certificate = Some(certificate_to_pb(&certificate, ctx.today(), PURPOSE));
        let credential_svg = svg;
        Ok(Response::new(office::ReplaceCertificateResponse {
            certificate,
            credential,
            credential_svg,
        }))
    }

    async fn revoke_certificate(
        &self,
        request: Request<office::RevokeCertificateRequest>,
    ) -> Result<Response<office::RevokeCertificateResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::RevokeCertificateRequest { certificate_number, seen_version, reason, cause } =
            request.into_inner();
        let mut form = Form::new();
        let number = form.parsed("certificate_number", &certificate_number);
        let cause = form.chosen("cause", cause);
        let reason = form.reason("reason", &reason);
        let whole = number.zip(cause).zip(reason);
        let ((number, cause), reason) = form.finish(whole).map_err(of_findings)?;
        let revoke = Revoke { number, seen: Version::new(seen_version), cause, reason };
        let certificate = certificates::revoke(&ctx, &self.store, revoke).await?;
        let certificate = Some(certificate_to_pb(&certificate, ctx.today(), PURPOSE));
        Ok(Response::new(office::RevokeCertificateResponse { certificate }))
    }

    async fn get_certificate(
        &self,
        request: Request<office::GetCertificateRequest>,
    ) -> Result<Response<office::GetCertificateResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::GetCertificateRequest { certificate_number, access } = request.into_inner();
        let mut form = Form::new();
        let number = form.parsed("certificate_number", &certificate_number);
        let number = form.finish(number).map_err(of_findings)?;
        let why = why(access)?;
        let certificate = certificates::get(&ctx, &self.store, number, why).await?;
        let Printed { text: credential, svg } = self.code(&ctx, &certificate).await?;
        let versions = certificate_versions_to_pb(&certificate, ctx.today(), why.purpose);
        let credential_svg = svg;
        Ok(Response::new(office::GetCertificateResponse { versions, credential, credential_svg }))
    }

    async fn verify_credential(
        &self,
        request: Request<office::VerifyCredentialRequest>,
    ) -> Result<Response<office::VerifyCredentialResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::VerifyCredentialRequest { credential, document } = request.into_inner();
        let mut form = Form::new();
        let shown = document.and_then(|document| form.document("document", Some(document)));
        form.finish(Some(())).map_err(of_findings)?;
        let material = self.identity.material();
        let found = check::verify(&ctx, &self.store, material, credential, shown).await?;
        Ok(Response::new(verification(&found)))
    }

    async fn endorse_certificate(
        &self,
        request: Request<office::EndorseCertificateRequest>,
    ) -> Result<Response<office::EndorseCertificateResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let office::EndorseCertificateRequest { registration_id, credential, idempotency_key } =
            request.into_inner();
        let mut form = Form::new();
        let registration = form.parsed("registration_id", &registration_id);
        let registration = form.finish(registration).map_err(of_findings)?;
        let check = Check { registration, code: credential, idempotency_key };
        let material = self.identity.material();
        let kept = check::endorse(&ctx, &self.store, material, check).await?;
        let endorsement = Some(endorsement(&kept, PURPOSE));
        Ok(Response::new(office::EndorseCertificateResponse { endorsement }))
    }
}

fn verification(found: &Verification) -> office::VerifyCredentialResponse {
    let claims = found.checked.as_ref().map(|checked| &checked.claims);
    let issuer = found.checked.as_ref().map(|checked| checked.issuer.to_string());
    let name = claims.map(|claims| claims.holder.expose(&PURPOSE).to_owned());
    let marital_status = claims.and_then(|claims| claims.marital_status);
    let reason = found.reason.map(|reason| reason.code().to_owned());
    office::VerifyCredentialResponse {
        genuine: claims.is_some(),
        in_force: found.in_force,
        matches_document: found.matches.unwrap_or_default(),
        certificate_number: claims.map(|claims| claims.number.to_string()).unwrap_or_default(),
        issuer: issuer.unwrap_or_default(),
        holder_name: name.unwrap_or_default(),
        valid_until: claims.map(|claims| claims.valid_until.to_string()).unwrap_or_default(),
        marital_status: marital_status.map_or(0, |status| i32::from(Numbered::number(status))),
        children: claims.and_then(|claims| claims.children).map_or(0, u32::from),
        revocation_list_ms: found.revocation_list.map_or(0, UnixMillis::get),
        reason: reason.unwrap_or_default(),
    }
}

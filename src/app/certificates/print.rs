//! What stands on the paper: the signed code, as text and as a picture.

use std::sync::Arc;

use domain::certificate::Certificate;
use domain::message::CertificateState;
use domain::reason::Reason;
use domain::time::UnixMillis;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use trust::credential::{self, CredentialClaims, CredentialKind, IdCheck};
use trust::tls::TlsMaterial;

use crate::app::{AppError, Ctx};
use crate::time::random;

/// Side of the picture, in its own units; it scales without loss.
const SIDE: u32 = 480;

/// A certificate's code.
#[derive(Clone, PartialEq, Eq)]
pub struct Printed {
    /// Text of the code, `LD1:` and base45.
    pub text: String,
    /// The same as an SVG picture.
    pub svg: String,
}

impl std::fmt::Debug for Printed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Printed({} characters)", self.text.len())
    }
}

/// Whether the node can sign codes now: it needs its certificate and the revocation list that it stands on. Asked
/// before anything is recorded, so that nobody gets a certificate without a code.
///
/// # Errors
/// `REVOCATION_LIST_TOO_OLD` when the list of the node's own authority is not at hand.
pub fn ready(material: &TlsMaterial) -> Result<UnixMillis, AppError> {
    let date = credential::list_date(material.identity(), material.chains().lists());
    date.ok_or_else(|| Reason::RevocationListTooOld.into())
}

/// Signs the code of a certificate that is valid today; nothing for any other.
///
/// The comparison hash of the document is slow on purpose, so this runs beside the threads that serve calls.
///
/// # Errors
/// As for [`ready`]; `SIGNING_UNAVAILABLE` when the key does not sign.
pub async fn code(
    ctx: &Ctx,
    material: Arc<TlsMaterial>,
    certificate: &Certificate,
) -> Result<Option<Printed>, AppError> {
    if certificate.state_on(ctx.today()) != CertificateState::Valid {
        return Ok(None);
    }
    let (certificate, now) = (certificate.clone(), ctx.now);
    let signed = tokio::task::spawn_blocking(move || sign(&material, &certificate, now));
    signed.await.map_err(|_| AppError::Internal("signing a code panicked"))?.map(Some)
}

fn sign(
    material: &TlsMaterial,
    certificate: &Certificate,
    now: UnixMillis,
) -> Result<Printed, AppError> {
    let list_date = ready(material)?.date();
    let (facts, version) = (certificate.facts(), certificate.current());
    let born = facts.birth_date.month();
    let claims = CredentialClaims {
        kind: CredentialKind::MarriageAndBirth,
        number: certificate.number(),
        holder: facts.holder.name.clone(),
        born: (born.year(), born.number()),
        id_check: IdCheck::new(&facts.holder.document, random()),
        marital_status: facts.marital_status,
        children: u8::try_from(facts.births.len()).ok(),
        valid_from: version.valid_from,
        valid_until: version.valid_until,
        issued: now,
        list_date,
    };
    let text = credential::issue(material.identity(), &claims);
    let text = text.map_err(|error| AppError::Signing(error.to_string()))?;
    Ok(Printed { svg: picture(&text)?, text })
}

/// With the chain inside the code is large; what fits at a higher level of correction gets it.
fn picture(text: &str) -> Result<String, AppError> {
    let level = |level| QrCode::with_error_correction_level(text, level);
    let code = level(EcLevel::M).or_else(|_| level(EcLevel::L));
    let code = code.map_err(|_| AppError::Internal("a code is too large for a QR picture"))?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(SIDE, SIDE).build())
}

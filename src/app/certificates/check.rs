//! Checks of printed certificates: anybody's word against a signature, offline; and the note that it was done (查验).

use std::sync::Arc;

use domain::access::{AccessAction, Permission};
use domain::certificate::{Certificate, CheckResult, Endorsement};
use domain::id::{EndorsementId, RegistrationId};
use domain::message::CertificateState;
use domain::person::IdentityDocument;
use domain::reason::Reason;
use domain::registration::{Registration, RegistrationError, Stay};
use domain::text::WrittenReason;
use domain::time::{Date, UnixMillis};
use serde::{Deserialize, Serialize};
use store::access::person_key;
use store::records::{KeptEndorsement, ReadRecords};
use store::{Store, Unit};
use trust::credential::{self, Checked, Invalid, Question};
use trust::refused::Refused;
use trust::tls::TlsMaterial;

use crate::app::access::{self, Act, CERTIFYING};
use crate::app::idempotency::Once;
use crate::app::{AppError, Ctx, Refusal, persons};
use crate::time::random;

/// What a check of a code found.
#[derive(Clone, Debug)]
pub struct Verification {
    /// What the code says, when signature and chain hold.
    pub checked: Option<Checked>,
    /// Whether it is in force today, as far as this node can know.
    pub in_force: bool,
    /// Whether it belongs to the document shown; nothing when none was shown.
    pub matches: Option<bool>,
    /// Date of the oldest revocation list the check relied on; nothing when none covered the issuer.
    pub revocation_list: Option<UnixMillis>,
    /// Why it does not hold.
    pub reason: Option<Reason>,
}

/// A check that a clerk notes for a person who lives here.
#[derive(Clone)]
pub struct Check {
    /// Her registration.
    pub registration: RegistrationId,
    /// Text of the code.
    pub code: String,
    /// Makes a repeated call harmless; empty for none.
    pub idempotency_key: String,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("registration", &self.registration).finish_non_exhaustive()
    }
}

/// What a repeated check finds again.
#[derive(Serialize, Deserialize)]
struct FirstOutcome {
    endorsement: EndorsementId,
}

/// Checks a code without asking anyone, against a document that is shown, if one is. What a genuine code says is a look at
/// a person: in the log, and counted, before it is shown. Of a certificate from this very county the record is asked as
/// well.
///
/// # Errors
/// `ROLE_REQUIRED` for who has nothing to do with persons. A code that does not hold is an answer, not an error.
pub async fn verify(
    ctx: &Ctx,
    store: &Store,
    material: Arc<TlsMaterial>,
    code: String,
    document: Option<IdentityDocument>,
) -> Result<Verification, AppError> {
    ctx.must(Permission::EnterRegistration)?;
    let today = ctx.today();
    let shown = document.as_ref().map(|document| person_key(store.document_hash(document)));
    let mut found = examine(material, code, document, today).await?;
    let Some(checked) = &found.checked else { return Ok(found) };
    if checked.issuer != ctx.county() {
        let (action, why) = (AccessAction::View, CERTIFYING);
        let act = Act { action, why, person: shown, message: None };
        let read = || Ok((act, Some(())));
        access::read(ctx, store, Permission::EnterRegistration, read).await?;
        return Ok(found);
    }
    let number = checked.claims.number;
    let kept = access::read(ctx, store, Permission::EnterRegistration, || {
        let kept = store.certificate(&number)?;
        let person = kept.as_ref().map(Certificate::person);
        let hash = |document: &_| store.document_hash(document);
        let person = person.map(|id| persons::key_of(store, hash, id)).transpose()?.flatten();
        let act = Act { action: AccessAction::View, why: CERTIFYING, person, message: None };
        Ok((act, Some(kept)))
    });
    let state = kept.await?.map(|kept| kept.state_on(today));
    if state != Some(CertificateState::Valid) {
        found.in_force = false;
        let reason = match state {
            Some(CertificateState::Expired) => Reason::Expired,
            Some(_) => Reason::StateForbids,
            None => Reason::NotFound,
        };
        found.reason = Some(reason);
    }
    Ok(found)
}

/// Checks a code once more and notes the result for a person who is registered as present here.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`, `STATE_FORBIDS`; the reason why the code is not genuine: then there is nothing to note,
/// and the origin area is to be asked.
pub async fn endorse(
    ctx: &Ctx,
    store: &Store,
    material: Arc<TlsMaterial>,
    check: Check,
) -> Result<KeptEndorsement, AppError> {
    ctx.must(Permission::WriteRecords)?;
    let hers = store.registration(check.registration)?.map(|registration| registration.person());
    let hash = |document: &_| store.document_hash(document);
    let hers = hers.map(|id| persons::key_of(store, hash, id)).transpose()?.flatten();
    let noted = check_and_note(ctx, store, material, check).await;
    access::told(ctx, store, (CERTIFYING, hers), noted).await
}

async fn check_and_note(
    ctx: &Ctx,
    store: &Store,
    material: Arc<TlsMaterial>,
    check: Check,
) -> Result<KeptEndorsement, AppError> {
    let Check { registration: id, code, idempotency_key } = check;
    let once = Once::new(&idempotency_key, "endorse certificate", &(id, &code))?;
    let registration = present(store.registration(id)?)?;
    let person = store.person(registration.person())?.ok_or(Reason::NotFound)?;
    let document = person.details().document.clone();
    let found = examine(material, code, Some(document.clone()), ctx.today()).await?;
    let Some(checked) = &found.checked else {
        let reason = found.reason.unwrap_or(Reason::Malformed);
        return Err(Refusal::new(reason).field("credential").into());
    };
    let number = checked.claims.number;
    let result = judge(&found, checked, &registration)?;
    let ctx = ctx.clone();
    let work = move |unit: &mut Unit<'_>| {
        if let Some(first) = once.first::<FirstOutcome>(&ctx, unit)? {
            return unit.endorsement(first.endorsement)?.ok_or_else(|| Reason::NotFound.into());
        }
        // Read again: it may have changed while the code was looked at.
        let registration = present(unit.registration(id)?)?;
        let person = unit.person(registration.person())?.ok_or(Reason::NotFound)?;
        if person.details().document != document {
            return Err(Reason::StaleVersion.into());
        }
        let subject = unit.subject_of(person.id())?.ok_or(Reason::NotFound)?;
        let endorsement = Endorsement {
            id: EndorsementId::new(ctx.now, random()),
            certificate_number: number,
            person: person.id(),
            area: ctx.county(),
            checked_by: ctx.caller.operator.clone(),
            at: ctx.now,
            result,
        };
        let outcome = FirstOutcome { endorsement: endorsement.id };
        let revocation_list = found.revocation_list;
        let kept = KeptEndorsement { registration: id, revocation_list, endorsement };
        unit.keep_endorsement(&subject, &kept)?;
        let key = person_key(unit.document_hash(&document));
        access::note(&ctx, unit, Act::on(AccessAction::Create, CERTIFYING, key))?;
        once.keep(&ctx, unit, &outcome)?;
        Ok(kept)
    };
    Ok(store.commit(work).await?)
}

fn present(registration: Option<Registration>) -> Result<Registration, AppError> {
    let registration = registration.ok_or(Reason::NotFound)?;
    match registration.current().stay {
        Stay::Present => Ok(registration),
        Stay::MovedOn { .. } | Stay::Departed { .. } => {
            Err(AppError::forbidden(&RegistrationError::NotPresent, "registration_id"))
        }
    }
}

/// What is noted about a genuine code. Nothing follows for the person: a doubt is a question to the origin area.
fn judge(
    found: &Verification,
    checked: &Checked,
    registration: &Registration,
) -> Result<CheckResult, AppError> {
    let doubt = if found.matches != Some(true) {
        "证件号码与证明不符 document and certificate do not belong together"
    } else if !found.in_force {
        "证明不在有效期内 outside its validity"
    } else if checked.issuer.county() != registration.current().details.origin_area.county() {
        "签发地与登记的户籍地不同 issued by another county than the registered origin"
    } else if found.revocation_list.is_none() {
        let text = "缺少吊销名单 no revocation list at hand for the issuer";
        return Ok(CheckResult::NotChecked { reason: words(text)? });
    } else {
        return Ok(CheckResult::InOrder);
    };
    Ok(CheckResult::Doubtful { reason: words(doubt)? })
}

fn words(text: &str) -> Result<WrittenReason, AppError> {
    WrittenReason::new(text).map_err(|_| AppError::Internal("a usual reason is no text"))
}

/// Looks at signature, chain, validity and document. Comparing the document is slow on purpose, so this runs beside
/// the threads that serve calls.
async fn examine(
    material: Arc<TlsMaterial>,
    code: String,
    document: Option<IdentityDocument>,
    today: Date,
) -> Result<Verification, AppError> {
    let work = move || examine_now(&material, &code, document, today);
    let examined = tokio::task::spawn_blocking(work);
    examined.await.map_err(|_| AppError::Internal("checking a code panicked"))
}

fn examine_now(
    material: &TlsMaterial,
    code: &str,
    document: Option<IdentityDocument>,
    today: Date,
) -> Verification {
    let checked = match credential::check(code, material.chains()) {
        Ok(checked) => checked,
        Err(invalid) => {
            return Verification {
                checked: None,
                in_force: false,
                matches: document.map(|_| false),
                revocation_list: None,
                reason: Some(reason_of(invalid)),
            };
        }
    };
    let claims = &checked.claims;
    let in_force = claims.answer(&Question::ValidOn(today)) == Some(true);
    let matches = document.map(|shown| claims.answer(&Question::HeldBy(shown)) == Some(true));
    let lists = material.chains().lists().iter().map(|list| list.this_update());
    let revocation_list = lists.min().filter(|_| checked.revocation_checked);
    let reason = (!in_force).then_some(Reason::Expired);
    Verification { in_force, matches, revocation_list, reason, checked: Some(checked) }
}

fn reason_of(invalid: Invalid) -> Reason {
    match invalid {
        Invalid::NotACode | Invalid::Malformed => Reason::Malformed,
        Invalid::TooNew => Reason::VersionUnsupported,
        Invalid::SignatureInvalid => Reason::SignatureInvalid,
        Invalid::OtherArea => Reason::SenderMismatch,
        Invalid::Issuer(Refused::Revoked) => Reason::SenderRevoked,
        Invalid::Issuer(Refused::Expired | Refused::NotYetValid) => {
            Reason::SenderCertificateExpired
        }
        Invalid::IssuerUnknown | Invalid::Issuer(_) => Reason::SenderUnknown,
    }
}

//! What offices record: registrations, the certificate, its endorsement, a consent.

use domain::area::AreaCode;
use domain::person::PersonDetails;
use domain::purpose::Purpose;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use wire::pb::{message, office};

use super::super::cast::Cast;
use super::super::people;
use super::super::step::{Broken, Held, Outcome, call, ensure};
use crate::cli::connect::Office;
use crate::cli::qr;

/// Registrations that are asked for at one time.
const AT_ONCE: usize = 32;
/// Every so many of the others holds a certificate.
const CERTIFICATE_EVERY: usize = 5;
/// Of so many of the others: a clerk who prints more in an hour has looked at too many.
const CERTIFIED_AMONG: usize = 500;
/// How long her consent holds.
const CONSENT_YEARS: u16 = 1;

/// A certificate just issued.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) number: String,
    pub(super) credential: String,
}

/// Registers everyone but her, in two counties, from two counties.
pub(super) async fn people(cast: &Cast) -> Outcome<()> {
    let residences = [
        (cast.residence, cast.clerk(cast.residence).await?),
        (cast.other_residence, cast.clerk(cast.other_residence).await?),
    ];
    let origins = [
        (cast.origin, cast.clerk(cast.origin).await?),
        (cast.other_origin, cast.clerk(cast.other_origin).await?),
    ];
    let all = cast.others.iter().enumerate().map(|(index, who)| {
        let [first, second] = &residences;
        let (residence, clerk) = if index % 2 == 0 { first } else { second };
        let [first, second] = &origins;
        let (origin, issuer) = if index % 4 < 2 { first } else { second };
        async move {
            if index < CERTIFIED_AMONG && index % CERTIFICATE_EVERY == 0 {
                issue_to(issuer, *origin, who).await?;
            }
            arrival(clerk, *residence, *origin, who, cast, "").await
        }
    });
    let done: Vec<_> = stream::iter(all).buffer_unordered(AT_ONCE).try_collect().await?;
    ensure(done.len() == cast.others.len(), || "somebody was left out".to_owned())?;
    let certificates = cast.others.len().min(CERTIFIED_AMONG).div_ceil(CERTIFICATE_EVERY);
    let count = done.len();
    Ok(Held::new(
        (),
        format!("{count} 人登记在两个区，{certificates} 人持有证明；每次登记返回时已落盘"),
        format!(
            "{count} people registered in two districts, {certificates} with a certificate; each was on disk when its call returned"
        ),
    ))
}

/// Registers somebody who has come to live in a county.
pub(super) async fn arrival(
    clerk: &Office,
    residence: AreaCode,
    origin: AreaCode,
    who: &PersonDetails,
    cast: &Cast,
    certificate: &str,
) -> Result<office::RegisterArrivalResponse, Broken> {
    let registration = office::Registration {
        origin_area: origin.to_string(),
        residence_area: residence.to_string(),
        arrived_on: cast.today.plus_days(-3).to_string(),
        reason: i32::from(message::ResidenceReason::Work),
        certificate_number: certificate.to_owned(),
        ..office::Registration::default()
    };
    let request = office::RegisterArrivalRequest {
        person: Some(people::person(who, Purpose::ResidenceRegistration)),
        registration: Some(registration),
        ..office::RegisterArrivalRequest::default()
    };
    let done = clerk.registrations().register_arrival(request).await;
    Ok(done.map_err(call(residence))?.into_inner())
}

async fn issue_to(
    clerk: &Office,
    area: AreaCode,
    who: &PersonDetails,
) -> Result<office::IssueCertificateResponse, Broken> {
    let request = office::IssueCertificateRequest {
        person: Some(people::person(who, Purpose::Certificate)),
        idempotency_key: String::new(),
    };
    let issued = clerk.certificates().issue_certificate(request).await;
    Ok(issued.map_err(call(area))?.into_inner())
}

/// The origin county issues her certificate and prints it.
pub(super) async fn issue(cast: &Cast) -> Outcome<Issued> {
    let issued = issue_to(&cast.clerk(cast.origin).await?, cast.origin, &cast.her).await?;
    let certificate = issued.certificate.unwrap_or_default();
    let valid = certificate.state == i32::from(message::CertificateState::Valid);
    ensure(valid && issued.credential.starts_with("LD1:"), || {
        "the certificate is not in force, or has no code".to_owned()
    })?;
    let path = cast.network.dir().join("credential.txt");
    let written = std::fs::write(&path, format!("{}\n", issued.credential));
    written.map_err(|source| Broken::File { path, source })?;
    let code = qr::on_terminal(&issued.credential).map_err(|failure| Broken::Command {
        command: "print the code".to_owned(),
        failure: Box::new(failure),
    })?;
    let (number, until) = (certificate.certificate_number, certificate.valid_until);
    let length = issued.credential.len();
    let held = Held::new(
        Issued { number: number.clone(), credential: issued.credential },
        format!("编号 {number}，有效期至 {until}；二维码 {length} 个字符，由节点密钥签名；不收费"),
        format!(
            "number {number}, valid until {until}; its code of {length} characters is signed by the node's key; free of charge"
        ),
    );
    Ok(held.showing(code))
}

/// The residence county registers her. Its value is the registration.
pub(super) async fn arrive(cast: &Cast, issued: &Issued) -> Outcome<office::Registration> {
    let clerk = cast.clerk(cast.residence).await?;
    let done =
        arrival(&clerk, cast.residence, cast.origin, &cast.her, cast, &issued.number).await?;
    let registration = done.registration.unwrap_or_default();
    let present = registration.state == i32::from(office::RegistrationState::Present);
    ensure(present && registration.origin_area == cast.origin.as_str(), || {
        "the registration is not what was asked for".to_owned()
    })?;
    let id = registration.registration_id.clone();
    let who = &cast.her.document;
    Ok(Held::new(
        registration,
        format!("登记 {id}，证件 {who:?}；户籍地是登记的一个字段，不由号码推断"),
        format!(
            "registration {id} of {who:?}; the origin area is a field of it, never read from the number"
        ),
    ))
}

/// The residence county records that it checked the certificate.
pub(super) async fn endorse(
    cast: &Cast,
    issued: &Issued,
    registration: &office::Registration,
) -> Outcome<()> {
    let request = office::EndorseCertificateRequest {
        registration_id: registration.registration_id.clone(),
        credential: issued.credential.clone(),
        idempotency_key: String::new(),
    };
    let clerk = cast.clerk(cast.residence).await?;
    let endorsed = clerk.certificates().endorse_certificate(request).await;
    let endorsed = endorsed.map_err(call(cast.residence))?.into_inner().endorsement;
    let endorsed = endorsed.unwrap_or_default();
    let valid = endorsed.result == i32::from(office::EndorsementResult::Valid);
    ensure(valid && endorsed.certificate_number == issued.number, || {
        format!("the check found {}: {}", endorsed.result().as_str_name(), endorsed.reason)
    })?;
    let id = endorsed.endorsement_id;
    Ok(Held::new(
        (),
        format!("查验 {id}：真实、有效、属于本人，吊销列表已核"),
        format!("check {id}: genuine, in force, hers; revocation lists looked at"),
    ))
}

/// She consents that one county is told, about two things, for one year. Its value is the consent's id.
pub(super) async fn consent(cast: &Cast) -> Outcome<String> {
    let until = cast.today.plus_years(CONSENT_YEARS);
    let scopes = [message::ConsentScope::Pregnancy, message::ConsentScope::Contraception];
    let consent = office::Consent {
        scopes: scopes.map(i32::from).to_vec(),
        recipient: cast.origin.to_string(),
        given_on: cast.today.to_string(),
        valid_until: until.to_string(),
        form: i32::from(office::ConsentForm::InPerson),
        ..office::Consent::default()
    };
    let request = office::RecordConsentRequest {
        document: Some(people::document(&cast.her, Purpose::HealthService)),
        consent: Some(consent),
    };
    let clerk = cast.clerk(cast.residence).await?;
    let recorded = clerk.consents().record_consent(request).await;
    let recorded = recorded.map_err(call(cast.residence))?.into_inner().consent;
    let recorded = recorded.unwrap_or_default();
    let as_asked = recorded.recipient == cast.origin.as_str() && recorded.withdrawn_ms == 0;
    ensure(as_asked, || "the consent is not what was asked for".to_owned())?;
    let (id, county) = (recorded.consent_id, cast.origin);
    let things: Vec<_> =
        domain::consent::ConsentScope::ALL.iter().map(|scope| scope.chinese()).collect();
    Ok(Held::new(
        id.clone(),
        format!("同意 {id}：只许告知 {county}，只限{}，至 {until}", things.join("、")),
        format!(
            "consent {id}: to tell {county} alone, of pregnancy and contraception alone, until {until}"
        ),
    ))
}

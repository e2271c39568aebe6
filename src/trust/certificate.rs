//! Reading certificates and requests: what the profile demands of a leaf and of a province's CA.
//!
//! The path library has already checked signatures, dates, path lengths and name constraints when
//! these functions run on a chain; here is what it does not know: our names, our usages, our keys.

#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::{access::Role, time::UnixMillis};
use ring::digest::{SHA256, digest};
use x509_parser::{
    certificate::X509Certificate,
    certification_request::X509CertificationRequest,
    extensions::{GeneralName, ParsedExtension, SubjectAlternativeName},
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256,
        OID_X509_EXT_SUBJECT_ALT_NAME, OID_X509_ORGANIZATIONAL_UNIT,
    },
    prelude::FromDer,
    x509::{SubjectPublicKeyInfo, X509Version},
};

use crate::{
    key::PublicKey,
    name::{CertificateName, Suffix, role_from_text},
    refused::Refused,
};

/// How much longer than the profile says a certificate may live.
const LIFE_MARGIN: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// SHA-256 of a certificate in DER.
pub type Fingerprint = [u8; 32];

/// What a leaf of the profile says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Whom it names.
    pub name: CertificateName,
    /// The role, for an operator.
    pub role: Option<Role>,
    /// The key it certifies.
    pub public_key: PublicKey,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// Its number at the CA, big-endian.
    pub serial: Vec<u8>,
    /// From when it is valid.
    pub not_before: UnixMillis,
    /// Until when it is valid.
    pub not_after: UnixMillis,
}

/// SHA-256 of a certificate in DER.
#[must_use]
pub fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    for (to, from) in fingerprint.iter_mut().zip(digest(&SHA256, der).as_ref()) {
        *to = *from;
    }
    fingerprint
}

impl Leaf {
    /// Reads a leaf and checks it against the profile. Says nothing about who signed it.
    ///
    /// # Errors
    /// [`Refused`]: `Malformed`, `WrongChain` for a CA, `WeakKey`, `BadName`, `WrongUsage` or
    /// `UnknownRole`.
    pub fn read(der: &[u8], suffix: &Suffix) -> Result<Self, Refused> {
        let parsed = parse(der)?;
        if parsed.is_ca() {
            return Err(Refused::WrongChain);
        }
        let public_key = p256(parsed.public_key()).ok_or(Refused::WeakKey)?;
        let name = only_name(&parsed, suffix)?;
        check_usage(&parsed, &name)?;
        let role = match &name {
            CertificateName::Node(_) => None,
            CertificateName::Operator { .. } => Some(only_role(&parsed)?),
        };
        Ok(Self {
            name,
            role,
            public_key,
            fingerprint: fingerprint(der),
            serial: parsed.raw_serial().to_vec(),
            not_before: millis(parsed.validity().not_before.timestamp()),
            not_after: millis(parsed.validity().not_after.timestamp()),
        })
    }
}

/// Longest serial number (RFC 5280, 4.1.2.2), in bytes.
const SERIAL_BYTES_MAX: usize = 20;

/// Reads a certificate, and demands of its form what the path library leaves open.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Refused> {
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| Refused::Malformed)?;
    let serial = parsed.raw_serial();
    let positive = serial.first().is_some_and(|first| *first < 0x80)
        && serial.iter().any(|byte| *byte != 0)
        && serial.len() <= SERIAL_BYTES_MAX;
    // An extension that is there twice would mean what its reader likes.
    let once = parsed.tbs_certificate.extensions_map().is_ok();
    if rest.is_empty() && parsed.version() == X509Version::V3 && positive && once {
        Ok(parsed)
    } else {
        Err(Refused::Malformed)
    }
}

/// Checks that a certificate lives no longer than its kind may, and than its issuer does.
///
/// # Errors
/// [`Refused::WrongValidity`].
pub(crate) fn check_life(
    life: (UnixMillis, UnixMillis),
    longest: Duration,
    issuer_ends: UnixMillis,
) -> Result<(), Refused> {
    let (from, until) = life;
    // A CA's clock, and dates that it rounds to whole days.
    let longest = longest.saturating_add(LIFE_MARGIN);
    if until.since(from) <= longest && until <= issuer_ends {
        Ok(())
    } else {
        Err(Refused::WrongValidity)
    }
}

/// From when until when a certificate is valid.
pub(crate) fn life(parsed: &X509Certificate<'_>) -> (UnixMillis, UnixMillis) {
    let validity = parsed.validity();
    (millis(validity.not_before.timestamp()), millis(validity.not_after.timestamp()))
}

/// Milliseconds of a certificate's time; times before 1970 count as 1970.
pub(crate) fn millis(seconds: i64) -> UnixMillis {
    UnixMillis::new(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
}

/// The point of a P-256 key; `None` for every other kind of key.
pub(crate) fn p256(key: &SubjectPublicKeyInfo<'_>) -> Option<PublicKey> {
    let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    let is_p256 = key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == OID_EC_P256;
    is_p256.then(|| PublicKey::from_bytes(&key.subject_public_key.data)).flatten()
}

fn only_name(parsed: &X509Certificate<'_>, suffix: &Suffix) -> Result<CertificateName, Refused> {
    // More than one SAN extension is an error of the parser; none at all leaves only the common
    // name, which is not a name.
    let names = parsed.subject_alternative_name().map_err(|_| Refused::Malformed)?;
    let dns = names.and_then(|names| only_dns(names.value)).ok_or(Refused::BadName)?;
    suffix.parse(dns).map_err(|_| Refused::BadName)
}

fn only_dns<'a>(names: &SubjectAlternativeName<'a>) -> Option<&'a str> {
    match names.general_names.as_slice() {
        [GeneralName::DNSName(name)] => Some(name),
        _ => None,
    }
}

/// The first bit of a key usage, and no other.
const DIGITAL_SIGNATURE: u16 = 1;

/// A node serves and calls; an operator only calls. Anything more or less is refused.
fn check_usage(parsed: &X509Certificate<'_>, name: &CertificateName) -> Result<(), Refused> {
    let usage = parsed.key_usage().map_err(|_| Refused::Malformed)?.ok_or(Refused::WrongUsage)?;
    let extended = parsed
        .extended_key_usage()
        .map_err(|_| Refused::Malformed)?
        .ok_or(Refused::WrongUsage)?
        .value;
    let others = extended.any
        || extended.code_signing
        || extended.email_protection
        || extended.time_stamping
        || extended.ocsp_signing
        || !extended.other.is_empty();
    let serves = matches!(name, CertificateName::Node(_));
    let fits = usage.value.flags == DIGITAL_SIGNATURE
        && extended.client_auth
        && extended.server_auth == serves
        && !others;
    if fits { Ok(()) } else { Err(Refused::WrongUsage) }
}

fn only_role(parsed: &X509Certificate<'_>) -> Result<Role, Refused> {
    let mut units = parsed.subject().iter_by_oid(&OID_X509_ORGANIZATIONAL_UNIT);
    let (Some(unit), None) = (units.next(), units.next()) else {
        return Err(Refused::UnknownRole);
    };
    unit.as_str().ok().and_then(role_from_text).ok_or(Refused::UnknownRole)
}

/// Checks that a province's CA may name exactly the subtree of the leaf's province.
///
/// The path library enforces a constraint that is there; that one is there, and no wider than a
/// province, is ours to check: an outside CA that left it out could speak for everyone.
///
/// # Errors
/// [`Refused::WrongProvince`], [`Refused::WeakKey`] or [`Refused::Malformed`].
pub(crate) fn check_province(
    issuer: &[u8],
    leaf: &CertificateName,
    suffix: &Suffix,
) -> Result<(), Refused> {
    let parsed = parse(issuer)?;
    p256(parsed.public_key()).ok_or(Refused::WeakKey)?;
    check_signs_certificates(&parsed)?;
    if subtree(&parsed)? == suffix.province(leaf.area()) {
        Ok(())
    } else {
        Err(Refused::WrongProvince)
    }
}

/// The one DNS subtree that a province's CA may name, by a critical constraint; without a leading
/// dot, which some CAs write.
///
/// # Errors
/// [`Refused::WrongProvince`] or [`Refused::Malformed`].
pub(crate) fn subtree<'a>(issuer: &'a X509Certificate<'_>) -> Result<&'a str, Refused> {
    let constraints = issuer.name_constraints().map_err(|_| Refused::Malformed)?;
    let constraints = constraints.filter(|c| c.critical).ok_or(Refused::WrongProvince)?.value;
    // Excluded subtrees only narrow what is permitted; the path library minds them.
    let permitted = constraints.permitted_subtrees.as_deref().unwrap_or_default();
    let [only] = permitted else { return Err(Refused::WrongProvince) };
    let GeneralName::DNSName(subtree) = only.base else { return Err(Refused::WrongProvince) };
    Ok(subtree.strip_prefix('.').unwrap_or(subtree))
}

/// Checks that a CA may sign certificates and lists; the path library looks at the first only, and
/// only in the basic constraints.
///
/// # Errors
/// [`Refused::WrongChain`] for what is no CA, [`Refused::WrongUsage`] for one that may not sign.
pub(crate) fn check_signs_certificates(ca: &X509Certificate<'_>) -> Result<(), Refused> {
    if !ca.is_ca() {
        return Err(Refused::WrongChain);
    }
    let usage = ca.key_usage().map_err(|_| Refused::Malformed)?.ok_or(Refused::WrongUsage)?.value;
    if usage.key_cert_sign() && usage.crl_sign() { Ok(()) } else { Err(Refused::WrongUsage) }
}

/// Whether a CA's key signed a certificate that names it as its issuer; ECDSA P-256 with SHA-256
/// only.
pub(crate) fn is_signed_by(certificate: &X509Certificate<'_>, ca: &X509Certificate<'_>) -> bool {
    let algorithm = &certificate.signature_algorithm;
    algorithm.algorithm == OID_SIG_ECDSA_WITH_SHA256
        && *algorithm == certificate.tbs_certificate.signature
        && certificate.issuer().as_raw() == ca.subject().as_raw()
        && p256(ca.public_key()).is_some_and(|key| {
            let signed = certificate.tbs_certificate.as_ref();
            key.verify(signed, &certificate.signature_value.data).is_ok()
        })
}

/// The subtree a CA's certificate is constrained to, if it is constrained to one.
pub(crate) fn constrained_to(issuer: &X509Certificate<'_>) -> Option<String> {
    let constraints = issuer.name_constraints().ok()??;
    match constraints.value.permitted_subtrees.as_deref()? {
        [only] => match only.base {
            GeneralName::DNSName(subtree) => Some(subtree.to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// What a certificate signing request asks for, after its own signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) public_key: PublicKey,
    /// The one DNS name asked for; `None` when none is, as in the request of a CA.
    pub(crate) dns: Option<String>,
}

/// Why a certificate signing request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not a certificate signing request in PEM.
    #[error("this is not a certificate signing request in PEM (\"CERTIFICATE REQUEST\")")]
    Malformed,
    /// The key or the signature is of another kind.
    #[error("the request's key must be ECDSA P-256 and its signature ECDSA with SHA-256")]
    WeakKey,
    /// The request is not signed with the private key of its public key.
    #[error(
        "the request does not prove possession of its private key: its signature does not hold"
    )]
    NoPossession,
    /// More or other names than one DNS name are asked for.
    #[error("the request must ask for exactly one DNS name and no other kind of name")]
    Names,
}

/// Reads a request in DER and checks the proof of possession.
pub(crate) fn read_request(der: &[u8]) -> Result<Request, BadRequest> {
    let request = match X509CertificationRequest::from_der(der) {
        Ok(([], request)) => request,
        _ => return Err(BadRequest::Malformed),
    };
    let info = &request.certification_request_info;
    let public_key = p256(&info.subject_pki).ok_or(BadRequest::WeakKey)?;
    if request.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256 {
        return Err(BadRequest::WeakKey);
    }
    public_key
        .verify(info.raw, &request.signature_value.data)
        .map_err(|_| BadRequest::NoPossession)?;
    let mut names =
        request.requested_extensions().into_iter().flatten().filter_map(
            |extension| match extension {
                ParsedExtension::SubjectAlternativeName(names) => Some(Ok(names)),
                ParsedExtension::UnsupportedExtension { oid }
                    if *oid == OID_X509_EXT_SUBJECT_ALT_NAME =>
                {
                    Some(Err(BadRequest::Names))
                }
                _ => None,
            },
        );
    let dns = match (names.next().transpose()?, names.next()) {
        (None, _) => None,
        (Some(names), None) => Some(only_dns(names).ok_or(BadRequest::Names)?.to_owned()),
        (Some(_), Some(_)) => return Err(BadRequest::Names),
    };
    Ok(Request { public_key, dns })
}

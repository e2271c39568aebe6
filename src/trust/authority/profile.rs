//! The certificate profile, as parameters of the encoder: what each kind of certificate contains.

use std::time::Duration;

use domain::{access::Role, area::AreaCode, hex::hex, time::UnixMillis};
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SerialNumber,
};
use time::OffsetDateTime;

use super::AuthorityError;
use crate::{
    certificate,
    key::PublicKey,
    name::{CertificateName, Suffix, role_text},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Life of the root.
pub const ROOT_LIFETIME: Duration = DAY.saturating_mul(20 * 365);
/// Life of a province's CA.
pub const PROVINCE_LIFETIME: Duration = DAY.saturating_mul(5 * 365);
/// Life of a node's certificate.
pub const NODE_LIFETIME: Duration = DAY.saturating_mul(90);
/// Life of an operator's certificate.
pub const OPERATOR_LIFETIME: Duration = DAY.saturating_mul(365);
/// Life of a revocation list.
pub const LIST_LIFETIME: Duration = DAY.saturating_mul(7);
/// Certificates begin this long ago, so that a peer whose clock is behind takes a new one.
pub const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    pub(super) from: UnixMillis,
    pub(super) until: UnixMillis,
}

impl Validity {
    /// A life that begins now, and ends no later than that of the issuer.
    pub(super) fn new(now: UnixMillis, life: Duration, issuer_ends: Option<UnixMillis>) -> Self {
        let until = now.saturating_add(life);
        let until = issuer_ends.map_or(until, |ends| until.min(ends));
        Self { from: now.saturating_sub(BACKDATE), until }
    }
}

/// The root: two levels below it, names only under the suffix.
pub(super) fn root(
    key: &PublicKey,
    suffix: &Suffix,
    validity: Validity,
) -> Result<CertificateParams, AuthorityError> {
    let name = format!("{suffix} Root CA {}", key_name(key));
    authority(name, suffix.as_str(), 1, suffix, validity)
}

/// A province's CA: leaves only, names only of its province.
pub(super) fn province(
    key: &PublicKey,
    province: AreaCode,
    suffix: &Suffix,
    validity: Validity,
) -> Result<CertificateParams, AuthorityError> {
    let subtree = suffix.province(province);
    let name = format!("{subtree} CA {}", key_name(key));
    authority(name, &subtree, 0, suffix, validity)
}

/// The leaf of a node or operator.
pub(super) fn leaf(
    name: &CertificateName,
    role: Option<Role>,
    suffix: &Suffix,
    validity: Validity,
) -> Result<CertificateParams, AuthorityError> {
    let dns = name.to_dns(suffix)?;
    let mut params = CertificateParams::new(vec![dns.clone()])?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(role) = role {
        params.distinguished_name.push(DnType::OrganizationalUnitName, role_text(role));
    }
    params.distinguished_name.push(DnType::CommonName, dns);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match name {
        CertificateName::Node(_) => {
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
        }
        CertificateName::Operator { .. } => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    params.crl_distribution_points = vec![directory(name, suffix)?];
    date(&mut params, validity)?;
    Ok(params)
}

/// Where the list that a leaf is looked up in can be had: from the directory of its province's node. Nodes get it
/// there without being told; this is for those who look at a certificate with other tools.
fn directory(
    name: &CertificateName,
    suffix: &Suffix,
) -> Result<CrlDistributionPoint, AuthorityError> {
    let node = suffix.node(name.area().province())?;
    let uri = format!("https://{node}/liangdi.exchange.v1.NodeService/SyncDirectory");
    Ok(CrlDistributionPoint { uris: vec![uri] })
}

fn authority(
    name: String,
    subtree: &str,
    path_length: u8,
    suffix: &Suffix,
    validity: Validity,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, suffix.as_str());
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(subtree.to_owned())],
        excluded_subtrees: Vec::new(),
    });
    date(&mut params, validity)?;
    Ok(params)
}

fn date(params: &mut CertificateParams, validity: Validity) -> Result<(), AuthorityError> {
    params.not_before = encoded(validity.from)?;
    params.not_after = encoded(validity.until)?;
    params.serial_number = Some(serial()?);
    params.use_authority_key_identifier_extension = true;
    Ok(())
}

/// Seconds of a time, as certificates write it.
pub(super) fn encoded(at: UnixMillis) -> Result<OffsetDateTime, AuthorityError> {
    let seconds = i64::try_from(at.get() / 1000).map_err(|_| AuthorityError::NoSuchTime)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AuthorityError::NoSuchTime)
}

/// 16 random bytes, positive and without a leading zero, so that it is written as it is compared.
fn serial() -> Result<SerialNumber, AuthorityError> {
    let random = ring::rand::SystemRandom::new();
    let bytes: [u8; 16] =
        ring::rand::generate(&random).map_err(|_| AuthorityError::NoRandomness)?.expose();
    let mut bytes = bytes.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    Ok(bytes.into())
}

/// Names a CA by its key, so that two keys of one CA never share a subject: lists are found by the
/// issuer's name, and a list of the old key would otherwise be taken for one of the new.
fn key_name(key: &PublicKey) -> String {
    let fingerprint = certificate::fingerprint(key.as_bytes());
    hex(fingerprint.get(..4).unwrap_or_default())
}

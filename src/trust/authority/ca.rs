//! What root and province have in common: signing, revoking, listing.

use domain::{hex::hex, time::UnixMillis};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, PublicKeyData,
    RevokedCertParams,
};
use rustls_pki_types::CertificateDer;

use super::{
    AuthorityError, IssuedRecord, RevocationReason, RevokedRecord,
    profile::{self, LIST_LIFETIME},
    state::State,
};
use crate::{certificate, crl::RevocationList, key::SigningKey};

/// What root and province have in common.
#[derive(Debug)]
pub(super) struct Ca {
    pub(super) state: State,
    pub(super) key: SigningKey,
    pub(super) der: CertificateDer<'static>,
    /// The subtree it may name.
    pub(super) subtree: String,
    pub(super) self_signed: bool,
    pub(super) ends: UnixMillis,
}

impl Ca {
    /// Opens the CA in a held directory.
    pub(super) fn open(state: State) -> Result<Self, AuthorityError> {
        let key = state.key()?;
        let der = state.certificate()?;
        let not_a_ca = || AuthorityError::NotACa { path: state.path("ca.pem") };
        let parsed = certificate::parse(&der).map_err(|_| not_a_ca())?;
        let is_ours = certificate::p256(parsed.public_key()) == Some(key.public());
        let subtree = certificate::constrained_to(&parsed).ok_or_else(not_a_ca)?;
        let self_signed = parsed.subject().as_raw() == parsed.issuer().as_raw();
        let ends = certificate::millis(parsed.validity().not_after.timestamp());
        if !is_ours || !parsed.is_ca() {
            return Err(not_a_ca());
        }
        Ok(Self { state, key, der, subtree, self_signed, ends })
    }

    pub(super) fn not_a_ca(&self) -> AuthorityError {
        AuthorityError::NotACa { path: self.state.path("ca.pem") }
    }

    pub(super) fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
        name: String,
        now: UnixMillis,
    ) -> Result<(CertificateDer<'static>, IssuedRecord), AuthorityError> {
        if now > self.ends {
            return Err(AuthorityError::Expired);
        }
        let issuer = Issuer::from_ca_cert_der(&self.der, &self.key)?;
        let der: CertificateDer<'static> = params.signed_by(key, &issuer)?.into();
        let serial = params.serial_number.as_ref().map(|serial| hex(serial.as_ref()));
        let record = IssuedRecord {
            serial: serial.unwrap_or_default(),
            name,
            issued: now,
            not_after: certificate::millis(params.not_after.unix_timestamp()),
            fingerprint: hex(&certificate::fingerprint(&der)),
        };
        // On disk before anyone has it: a certificate nobody knows of could not be revoked.
        self.state.add_issued(&record)?;
        Ok((der, record))
    }

    pub(super) fn revoke(
        &self,
        serial: &str,
        reason: RevocationReason,
        now: UnixMillis,
    ) -> Result<RevokedRecord, AuthorityError> {
        let serial = serial.replace(':', "").to_ascii_lowercase();
        if let Some(known) = self.state.revoked()?.into_iter().find(|r| r.serial == serial) {
            return Ok(known);
        }
        if !self.state.issued()?.iter().any(|issued| issued.serial == serial) {
            return Err(AuthorityError::UnknownSerial { serial });
        }
        let record = RevokedRecord { serial, at: now, reason };
        self.state.add_revoked(&record)?;
        Ok(record)
    }

    pub(super) fn list(&self, now: UnixMillis) -> Result<RevocationList, AuthorityError> {
        let revoked = self.state.revoked()?;
        let entry = |record: &RevokedRecord| {
            Ok(RevokedCertParams {
                serial_number: unhex(&record.serial).into(),
                revocation_time: profile::encoded(record.at)?,
                reason_code: Some(record.reason.into()),
                invalidity_date: None,
            })
        };
        let params = CertificateRevocationListParams {
            this_update: profile::encoded(now)?,
            next_update: profile::encoded(now.saturating_add(LIST_LIFETIME))?,
            crl_number: self.state.next_list_number(now)?.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect::<Result<_, AuthorityError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer = Issuer::from_ca_cert_der(&self.der, &self.key)?;
        Ok(RevocationList::from_der(params.signed_by(&issuer)?.der())?)
    }
}

/// The bytes of a serial number from our own records.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

impl From<RevocationReason> for rcgen::RevocationReason {
    fn from(reason: RevocationReason) -> Self {
        match reason {
            RevocationReason::Unspecified => Self::Unspecified,
            RevocationReason::KeyCompromise => Self::KeyCompromise,
            RevocationReason::CaCompromise => Self::CaCompromise,
            RevocationReason::AffiliationChanged => Self::AffiliationChanged,
            RevocationReason::Superseded => Self::Superseded,
            RevocationReason::CessationOfOperation => Self::CessationOfOperation,
        }
    }
}

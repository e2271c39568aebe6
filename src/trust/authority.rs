//! Certificate authorities: the root and the CAs of the provinces, each in a directory of its own.
//!
//! A private key never leaves its machine: the CA of a province asks the root with a request, a
//! node or operator asks the CA of its province with one. The name in a certificate is the one the
//! CA's operator typed, and the request must ask for the same; a request alone names nobody.

mod ca;
mod error;
mod profile;
mod state;

#[cfg(test)]
mod tests;

use std::path::Path;

use domain::{access::Role, area::AreaCode, id::OperatorName, time::UnixMillis};
use rcgen::CertificateParams;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject as _};

use self::{ca::Ca, profile::Validity, state::State};
pub use self::{
    error::AuthorityError,
    profile::{
        BACKDATE, LIST_LIFETIME, NODE_LIFETIME, OPERATOR_LIFETIME, PROVINCE_LIFETIME, ROOT_LIFETIME,
    },
    state::{IssuedRecord, RevocationReason, RevokedRecord},
};
use crate::{
    certificate::{self, BadRequest, Fingerprint},
    crl::RevocationList,
    files,
    key::SigningKey,
    name::{CertificateName, Suffix},
};

/// A certificate just issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate in DER.
    pub der: CertificateDer<'static>,
    /// What its holder installs: the certificate and, for a leaf, its CA's, in PEM.
    pub chain_pem: String,
    /// The line in the CA's records.
    pub record: IssuedRecord,
}

/// What can be done with every CA.
macro_rules! authority {
    ($authority:ty) => {
        impl $authority {
            /// The CA's certificate in DER.
            #[must_use]
            pub fn certificate(&self) -> &CertificateDer<'static> {
                &self.ca.der
            }

            /// The CA's certificate in PEM.
            #[must_use]
            pub fn certificate_pem(&self) -> String {
                files::pem_block("CERTIFICATE", &self.ca.der)
            }

            /// SHA-256 of the CA's certificate.
            #[must_use]
            pub fn fingerprint(&self) -> Fingerprint {
                certificate::fingerprint(&self.ca.der)
            }

            /// The suffix of the network.
            #[must_use]
            pub fn suffix(&self) -> &Suffix {
                &self.suffix
            }

            /// Until when the CA's certificate is valid.
            #[must_use]
            pub fn ends(&self) -> UnixMillis {
                self.ca.ends
            }

            /// Everything issued, oldest first.
            ///
            /// # Errors
            /// [`AuthorityError::File`] or [`AuthorityError::Corrupt`].
            pub fn issued(&self) -> Result<Vec<IssuedRecord>, AuthorityError> {
                self.ca.state.issued()
            }

            /// Everything revoked, oldest first.
            ///
            /// # Errors
            /// [`AuthorityError::File`] or [`AuthorityError::Corrupt`].
            pub fn revoked(&self) -> Result<Vec<RevokedRecord>, AuthorityError> {
                self.ca.state.revoked()
            }

            /// Revokes a certificate by its serial number (hexadecimal, colons allowed). It counts
            /// for others from the next list on. Revoking twice changes nothing.
            ///
            /// # Errors
            /// [`AuthorityError::UnknownSerial`] when it was not issued here.
            pub fn revoke(
                &self,
                serial: &str,
                reason: RevocationReason,
                now: UnixMillis,
            ) -> Result<RevokedRecord, AuthorityError> {
                self.ca.revoke(serial, reason, now)
            }

            /// Signs a new revocation list, good for [`LIST_LIFETIME`]; to be done daily.
            ///
            /// # Errors
            /// [`AuthorityError`].
            pub fn revocation_list(
                &self,
                now: UnixMillis,
            ) -> Result<RevocationList, AuthorityError> {
                self.ca.list(now)
            }
        }
    };
}

/// The root of a network.
#[derive(Debug)]
pub struct RootAuthority {
    ca: Ca,
    suffix: Suffix,
}

authority!(RootAuthority);

impl RootAuthority {
    /// Makes a new root in a directory.
    ///
    /// # Errors
    /// [`AuthorityError::File`] when there is a CA in it already.
    pub fn create(
        directory: &Path,
        suffix: &Suffix,
        now: UnixMillis,
    ) -> Result<Self, AuthorityError> {
        let state = State::make(directory)?;
        let key = SigningKey::generate()?;
        let params = profile::root(&key.public(), suffix, Validity::new(now, ROOT_LIFETIME, None))?;
        let certificate = params.self_signed(&key)?;
        key.save(&state.path("ca.key"))?;
        state.save_certificate(certificate.der())?;
        Ok(Self { ca: Ca::open(state)?, suffix: suffix.clone() })
    }

    /// Opens the root in a directory.
    ///
    /// # Errors
    /// [`AuthorityError`] names the file that is missing or wrong.
    pub fn open(directory: &Path) -> Result<Self, AuthorityError> {
        let ca = Ca::open(State::take(directory)?)?;
        match ca.subtree.parse() {
            Ok(suffix) if ca.self_signed => Ok(Self { ca, suffix }),
            _ => Err(ca.not_a_ca()),
        }
    }

    /// Certifies the CA of a province, by its request ([`ProvinceAuthority::request`]).
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn issue_province(
        &self,
        csr_pem: &str,
        province: AreaCode,
        now: UnixMillis,
    ) -> Result<Issued, AuthorityError> {
        let request = read_csr(csr_pem)?;
        let subtree = self.suffix.province(province);
        check_name(request.dns.as_deref(), &subtree)?;
        let validity = Validity::new(now, PROVINCE_LIFETIME, Some(self.ca.ends));
        let params = profile::province(&request.public_key, province, &self.suffix, validity)?;
        let (der, record) = self.ca.sign(&params, &request.public_key, subtree, now)?;
        let chain_pem = files::pem_block("CERTIFICATE", &der);
        Ok(Issued { der, chain_pem, record })
    }
}

/// The CA of a province.
#[derive(Debug)]
pub struct ProvinceAuthority {
    ca: Ca,
    suffix: Suffix,
    province: AreaCode,
}

authority!(ProvinceAuthority);

impl ProvinceAuthority {
    /// Makes the key of a province's CA in a directory, and the request for the root.
    ///
    /// # Errors
    /// [`AuthorityError::File`] when there is a CA in it already.
    pub fn request(
        directory: &Path,
        province: AreaCode,
        suffix: &Suffix,
    ) -> Result<String, AuthorityError> {
        let state = State::make(directory)?;
        let key = SigningKey::generate()?;
        let params = CertificateParams::new(vec![suffix.province(province)])?;
        let csr = params.serialize_request(&key)?;
        key.save(&state.path("ca.key"))?;
        Ok(files::pem_block("CERTIFICATE REQUEST", csr.der()))
    }

    /// Puts the certificate that the root (or an outside CA) issued beside the key.
    ///
    /// # Errors
    /// [`AuthorityError::NotACa`] when it is for another key, not for a CA, or not constrained to
    /// one province.
    pub fn install(directory: &Path, certificate_pem: &str) -> Result<Self, AuthorityError> {
        let state = State::take(directory)?;
        let path = state.path("ca.pem");
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|_| AuthorityError::NotACa { path: path.clone() })?;
        let parsed = certificate::parse(&der);
        let for_key = parsed.ok().and_then(|parsed| certificate::p256(parsed.public_key()));
        // Checked before it is written: a working CA is not broken by a wrong file.
        if for_key != Some(state.key()?.public()) {
            return Err(AuthorityError::NotACa { path });
        }
        state.save_certificate(&der)?;
        drop(state);
        Self::open(directory)
    }

    /// Opens the CA in a directory.
    ///
    /// # Errors
    /// [`AuthorityError`] names the file that is missing or wrong.
    pub fn open(directory: &Path) -> Result<Self, AuthorityError> {
        let ca = Ca::open(State::take(directory)?)?;
        let parts = ca.subtree.split_once('.').and_then(|(prefix, suffix)| {
            let province = format!("{prefix}0000").parse().ok()?;
            Some((province, suffix.parse().ok()?))
        });
        match parts {
            Some((province, suffix)) if !ca.self_signed => Ok(Self { ca, suffix, province }),
            _ => Err(ca.not_a_ca()),
        }
    }

    /// Makes a root's province CA in one step, where both keys are on one machine: for trials.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn create(
        directory: &Path,
        root: &RootAuthority,
        province: AreaCode,
        now: UnixMillis,
    ) -> Result<Self, AuthorityError> {
        let csr = Self::request(directory, province, root.suffix())?;
        Self::install(directory, &root.issue_province(&csr, province, now)?.chain_pem)
    }

    /// The province, as a six-digit code.
    #[must_use]
    pub fn province(&self) -> AreaCode {
        self.province
    }

    /// Certifies a node of this province.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn issue_node(
        &self,
        csr_pem: &str,
        area: AreaCode,
        now: UnixMillis,
    ) -> Result<Issued, AuthorityError> {
        self.issue(csr_pem, &CertificateName::Node(area), None, now)
    }

    /// Certifies an operator of an office of this province.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn issue_operator(
        &self,
        csr_pem: &str,
        name: &OperatorName,
        area: AreaCode,
        role: Role,
        now: UnixMillis,
    ) -> Result<Issued, AuthorityError> {
        let name = CertificateName::Operator { name: name.clone(), area };
        self.issue(csr_pem, &name, Some(role), now)
    }

    fn issue(
        &self,
        csr_pem: &str,
        name: &CertificateName,
        role: Option<Role>,
        now: UnixMillis,
    ) -> Result<Issued, AuthorityError> {
        let area = name.area();
        if area.province() != self.province {
            return Err(AuthorityError::OtherProvince { area, province: self.province });
        }
        let request = read_csr(csr_pem)?;
        let dns = name.to_dns(&self.suffix)?;
        check_name(request.dns.as_deref(), &dns)?;
        let life = if role.is_some() { OPERATOR_LIFETIME } else { NODE_LIFETIME };
        let validity = Validity::new(now, life, Some(self.ca.ends));
        let params = profile::leaf(name, role, &self.suffix, validity)?;
        let (der, record) = self.ca.sign(&params, &request.public_key, dns, now)?;
        let chain_pem = files::pem_block("CERTIFICATE", &der) + &self.certificate_pem();
        Ok(Issued { der, chain_pem, record })
    }
}

fn read_csr(pem: &str) -> Result<certificate::Request, BadRequest> {
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| BadRequest::Malformed)?;
    certificate::read_request(&der)
}

fn check_name(asked: Option<&str>, expected: &str) -> Result<(), AuthorityError> {
    if asked == Some(expected) {
        return Ok(());
    }
    let asked = asked.unwrap_or("no name").to_owned();
    Err(AuthorityError::OtherName { asked, expected: expected.to_owned() })
}

//! Checking a revocation list that came from anywhere: who signed it, and whether that is an
//! authority of this network.
//!
//! A list of a province never met comes together with the certificate of its authority. What is
//! demanded of that certificate is what a chain would demand of it; only its age is judged at the
//! time at which the list was issued.

#[cfg(test)]
mod tests;

use domain::area::AreaCode;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::certificate::X509Certificate;

use super::ChainVerifier;
use crate::{
    certificate::{self, fingerprint, subtree},
    crl::{AuthorityId, RevocationList, VerifiedList, When},
    refused::Refused,
};

impl ChainVerifier {
    /// Reads a list (DER) and finds the authority that signed it: a root, or a province's CA among
    /// `authorities` (certificates in DER, in any order).
    ///
    /// # Errors
    /// [`Refused`]: `RevocationListInvalid` when the list is unreadable, incomplete or signed by
    /// none of them; otherwise what is wrong with the authority: `WrongAuthority`,
    /// `WrongProvince`, `WrongChain`, `WrongUsage`, `WeakKey`, `Malformed`; `Expired` or
    /// `NotYetValid` when the list was issued outside the authority's life, `Revoked` when after
    /// its revocation.
    pub fn verify_list(
        &self,
        list: &[u8],
        authorities: &[impl AsRef<[u8]>],
    ) -> Result<VerifiedList, Refused> {
        let list = RevocationList::from_der(list).map_err(|_| Refused::RevocationListInvalid)?;
        let roots = self.roots().certificates().iter().map(AsRef::as_ref);
        let signers = roots
            .chain(authorities.iter().map(AsRef::as_ref))
            .filter(|authority: &&[u8]| list.check_signer(authority).is_ok());
        let mut refused = Refused::RevocationListInvalid;
        // A CA whose certificate was renewed with its key has signed by both.
        for authority in signers {
            match self.judge_authority(authority, &list) {
                Ok((id, province)) => {
                    return Ok(VerifiedList::new(list, authority.to_vec(), id, province));
                }
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }

    fn judge_authority(
        &self,
        authority: &[u8],
        list: &RevocationList,
    ) -> Result<(AuthorityId, Option<AreaCode>), Refused> {
        let parsed = certificate::parse(authority)?;
        let key = certificate::p256(parsed.public_key()).ok_or(Refused::WeakKey)?;
        let province = match self.is_root(authority) {
            true => None,
            false => Some(self.check_authority(&parsed, list)?),
        };
        Ok((fingerprint(key.as_bytes()), province))
    }

    fn is_root(&self, certificate: &[u8]) -> bool {
        self.roots().certificates().iter().any(|root| root.as_ref() == certificate)
    }

    /// Whether a certificate, whose key signed `list`, is that of a province's CA under a root; and
    /// which province that is.
    fn check_authority(
        &self,
        authority: &X509Certificate<'_>,
        list: &RevocationList,
    ) -> Result<AreaCode, Refused> {
        let root = self.issuer_of(authority).ok_or(Refused::WrongAuthority)?;
        let province = self.suffix().province_of(subtree(authority)?);
        let province = province.ok_or(Refused::WrongProvince)?;
        certificate::check_signs_certificates(authority)?;
        let (issued, (from, until)) = (list.this_update(), certificate::life(authority));
        if issued < from {
            return Err(Refused::NotYetValid);
        }
        if issued > until {
            return Err(Refused::Expired);
        }
        let der = CertificateDer::from(authority.as_raw());
        // Read a second time for what this library is strict about: unknown critical extensions.
        let strict = EndEntityCert::try_from(&der).map_err(|error| Refused::from_path(&error))?;
        let listed = When::AsOf(issued);
        // No list of the root, or one that is too old, is no reason: a node that has none must be
        // able to take them in any order.
        match self.lists().check(root, strict.issuer(), strict.serial(), listed) {
            Err(Refused::Revoked) => Err(Refused::Revoked),
            Ok(_) | Err(_) => Ok(province),
        }
    }

    /// The root (DER) whose key signed a certificate that names it as its issuer.
    fn issuer_of(&self, certificate: &X509Certificate<'_>) -> Option<&[u8]> {
        let signed_by = |root: &&[u8]| {
            certificate::parse(root).is_ok_and(|root| certificate::is_signed_by(certificate, &root))
        };
        self.roots().certificates().iter().map(AsRef::as_ref).find(signed_by)
    }
}

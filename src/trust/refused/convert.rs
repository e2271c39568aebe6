//! Between our reasons and the errors of the TLS and path libraries.

use std::sync::Arc;

use rustls::{AlertDescription, CertRevocationListError, CertificateError, OtherError};

use super::Refused;

impl Refused {
    /// The reason in an error of the TLS library, ours or the other side's.
    #[must_use]
    pub fn from_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::InvalidCertificate(error) => Self::from_certificate_error(error),
            rustls::Error::InvalidCertRevocationList(_) => Self::RevocationListInvalid,
            rustls::Error::AlertReceived(alert) => Self::from_alert(*alert),
            _ => Self::Protocol,
        }
    }

    /// The reason in an error of a socket that carries TLS; `None` when TLS is not to blame.
    #[must_use]
    pub fn from_io(error: &std::io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(Self::from_tls(error))
    }

    /// The reason in the text of an error: the HTTP/2 library keeps no more than the text of an alert that comes
    /// after the handshake, which is when a server refuses its client.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (_, alert) = text.split_once("received fatal alert: ")?;
        let known = [
            ("CertificateExpired", Self::TheyFoundUsExpired),
            ("CertificateRevoked", Self::TheyFoundUsRevoked),
            ("UnknownCA", Self::TheyDoNotKnowOurAuthority),
            ("BadCertificate", Self::TheyRefusedUs),
            ("UnsupportedCertificate", Self::TheyRefusedUs),
            ("CertificateUnknown", Self::TheyRefusedUs),
            ("CertificateRequired", Self::TheyRefusedUs),
            ("AccessDenied", Self::TheyRefusedUs),
            ("DecryptError", Self::TheyRefusedUs),
        ];
        let found = known.into_iter().find(|(name, _)| alert.starts_with(name));
        Some(found.map_or(Self::Protocol, |(_, refused)| refused))
    }

    fn from_certificate_error(error: &CertificateError) -> Self {
        match error {
            CertificateError::Other(OtherError(inner)) => {
                inner.downcast_ref::<Self>().copied().unwrap_or(Self::Malformed)
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::Revoked => Self::Revoked,
            CertificateError::UnknownIssuer => Self::WrongAuthority,
            CertificateError::UnknownRevocationStatus => Self::RevocationListMissing,
            CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => Self::RevocationListTooOld,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongUsage
            }
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::WeakKey
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::BadName
            }
            _ => Self::Malformed,
        }
    }

    fn from_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateExpired => Self::TheyFoundUsExpired,
            AlertDescription::CertificateRevoked => Self::TheyFoundUsRevoked,
            AlertDescription::UnknownCA => Self::TheyDoNotKnowOurAuthority,
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => Self::TheyRefusedUs,
            _ => Self::Protocol,
        }
    }

    /// The reason in an error of the path validation.
    pub(crate) fn from_path(error: &webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::CertExpired { .. } | E::InvalidCertValidity => Self::Expired,
            E::CertNotValidYet { .. } => Self::NotYetValid,
            E::CertRevoked => Self::Revoked,
            E::UnknownRevocationStatus => Self::RevocationListMissing,
            E::CrlExpired { .. } => Self::RevocationListTooOld,
            E::InvalidCrlSignatureForPublicKey
            | E::IssuerNotCrlSigner
            | E::UnsupportedCrlSignatureAlgorithmContext(_)
            | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
                Self::RevocationListInvalid
            }
            E::NameConstraintViolation => Self::WrongProvince,
            E::PathLenConstraintViolated
            | E::CaUsedAsEndEntity
            | E::EndEntityUsedAsCa
            | E::MaximumPathDepthExceeded
            | E::MaximumPathBuildCallsExceeded
            | E::MaximumSignatureChecksExceeded
            | E::MaximumNameConstraintComparisonsExceeded => Self::WrongChain,
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Self::WrongUsage,
            E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::WeakKey,
            E::InvalidSignatureForPublicKey | E::UnknownIssuer => Self::WrongAuthority,
            E::MalformedDnsIdentifier => Self::BadName,
            _ => Self::Malformed,
        }
    }
}

impl From<Refused> for rustls::Error {
    /// Where TLS has an alert of its own for the reason, the other side is told that much.
    fn from(refused: Refused) -> Self {
        let error = match refused {
            Refused::NoCertificate => return Self::NoCertificatesPresented,
            Refused::Expired => CertificateError::Expired,
            Refused::NotYetValid => CertificateError::NotValidYet,
            Refused::Revoked => CertificateError::Revoked,
            Refused::WrongAuthority => CertificateError::UnknownIssuer,
            Refused::RevocationListMissing => CertificateError::UnknownRevocationStatus,
            Refused::RevocationListTooOld => CertificateError::ExpiredRevocationList,
            Refused::WrongUsage => CertificateError::InvalidPurpose,
            Refused::BadSignature => CertificateError::BadSignature,
            Refused::RevocationListInvalid => {
                return Self::InvalidCertRevocationList(CertRevocationListError::BadSignature);
            }
            other => CertificateError::Other(OtherError(Arc::new(other))),
        };
        Self::InvalidCertificate(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_reasons_survive_the_tls_library() {
        for refused in Refused::all("410522".parse().unwrap(), "440305".parse().unwrap()) {
            if !refused.code().starts_with("PEER_") && refused != Refused::Protocol {
                let error = rustls::Error::from(refused);
                assert_eq!(Refused::from_tls(&error), refused);
                let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
                assert_eq!(Refused::from_io(&error), Some(refused));
            }
        }
        assert_eq!(Refused::from_io(&std::io::Error::other("cut")), None);
    }
}

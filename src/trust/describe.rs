//! What a PEM file holds, for people: read without judging, so that a wrong certificate can be looked at too.

use domain::{hex::hex, time::UnixMillis};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATIONAL_UNIT},
    prelude::FromDer as _,
    revocation_list::CertificateRevocationList,
    x509::X509Name,
};

use crate::certificate::{self, BadRequest};

/// One block of a PEM file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Described {
    /// A certificate.
    Certificate(Box<CertificateFacts>),
    /// A request for one.
    Request(Result<RequestFacts, BadRequest>),
    /// A revocation list.
    RevocationList(ListFacts),
    /// A private key; nothing more is said about it.
    PrivateKey,
    /// A block that cannot be read as what its label says, or with another label.
    Unreadable {
        /// The label of the block.
        label: String,
    },
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Common name of the subject.
    pub subject: String,
    /// Common name of the issuer.
    pub issuer: String,
    /// DNS names; a certificate of this network has one.
    pub names: Vec<String>,
    /// Role of an operator.
    pub role: Option<String>,
    /// Whether it is that of a CA.
    pub is_ca: bool,
    /// Subtree a CA may name.
    pub may_name: Option<String>,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// From when it is valid.
    pub not_before: UnixMillis,
    /// Until when it is valid.
    pub not_after: UnixMillis,
    /// SHA-256 of it, lower-case hexadecimal.
    pub fingerprint: String,
    /// Whether it may be shown by a server.
    pub server: bool,
    /// Whether it may be shown by a client.
    pub client: bool,
    /// Whether the key is ECDSA P-256, as the profile demands.
    pub key_fits: bool,
}

/// What a request asks for; its signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// The one DNS name asked for.
    pub name: Option<String>,
}

/// What a revocation list says. Its signature is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFacts {
    /// The CA it says it is from.
    pub issuer: String,
    /// When it was issued.
    pub this_update: UnixMillis,
    /// Until when it is good.
    pub next_update: Option<UnixMillis>,
    /// Serial numbers revoked, and since when.
    pub revoked: Vec<(String, UnixMillis)>,
}

/// Reads every block of a PEM text; empty when there is none.
#[must_use]
pub fn describe(text: &str) -> Vec<Described> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    blocks.iter().map(|block| of_block(block.tag(), block.contents())).collect()
}

fn of_block(label: &str, der: &[u8]) -> Described {
    let unreadable = || Described::Unreadable { label: label.to_owned() };
    match label {
        "CERTIFICATE" => certificate::parse(der).map_or_else(
            |_| unreadable(),
            |parsed| Described::Certificate(Box::new(of_certificate(&parsed, der))),
        ),
        "CERTIFICATE REQUEST" => {
            let request = certificate::read_request(der);
            Described::Request(request.map(|r| RequestFacts { name: r.dns }))
        }
        "X509 CRL" => match CertificateRevocationList::from_der(der) {
            Ok(([], list)) => Described::RevocationList(of_list(&list)),
            _ => unreadable(),
        },
        label if label.ends_with("PRIVATE KEY") => Described::PrivateKey,
        _ => unreadable(),
    }
}

fn of_certificate(parsed: &X509Certificate<'_>, der: &[u8]) -> CertificateFacts {
    let usage = parsed.extended_key_usage().ok().flatten().map(|usage| usage.value);
    let unit = parsed.subject().iter_by_oid(&OID_X509_ORGANIZATIONAL_UNIT).next();
    let role = unit.and_then(|unit| unit.as_str().ok()).map(str::to_owned);
    CertificateFacts {
        subject: common_name(parsed.subject()),
        issuer: common_name(parsed.issuer()),
        names: dns_names(parsed),
        role: role.filter(|_| !parsed.is_ca()),
        is_ca: parsed.is_ca(),
        may_name: certificate::constrained_to(parsed),
        serial: hex(parsed.raw_serial()),
        not_before: certificate::millis(parsed.validity().not_before.timestamp()),
        not_after: certificate::millis(parsed.validity().not_after.timestamp()),
        fingerprint: hex(&certificate::fingerprint(der)),
        server: usage.is_some_and(|usage| usage.server_auth),
        client: usage.is_some_and(|usage| usage.client_auth),
        key_fits: certificate::p256(parsed.public_key()).is_some(),
    }
}

fn dns_names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.into_iter().flat_map(|names| &names.value.general_names);
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}

fn common_name(name: &X509Name<'_>) -> String {
    let common = name.iter_by_oid(&OID_X509_COMMON_NAME).next();
    common.and_then(|name| name.as_str().ok()).map_or_else(|| name.to_string(), str::to_owned)
}

fn of_list(list: &CertificateRevocationList<'_>) -> ListFacts {
    let entries = list.iter_revoked_certificates();
    ListFacts {
        issuer: common_name(list.issuer()),
        this_update: certificate::millis(list.last_update().timestamp()),
        next_update: list.next_update().map(|time| certificate::millis(time.timestamp())),
        revoked: entries
            .map(|e| (hex(e.raw_serial()), certificate::millis(e.revocation_date.timestamp())))
            .collect(),
    }
}

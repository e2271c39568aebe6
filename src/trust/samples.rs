//! A small network for tests: a root, two provinces, nodes, operators, and forgeries of them.

use std::sync::Arc;

use domain::{access::Role, area::AreaCode, time::UnixMillis};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyUsagePurpose, NameConstraints,
    PublicKeyData, SanType,
};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::{
    authority::{ProvinceAuthority, RootAuthority},
    crl::{GRACE_DEFAULT, RevocationLists},
    key::SigningKey,
    leaf::{Identity, request},
    name::{CertificateName, Suffix},
    tls::TlsMaterial,
    verify::{ChainVerifier, Roots},
};

/// 2026-03-01T00:00:00Z.
pub(crate) const NOW: UnixMillis = UnixMillis::new(1_772_323_200_000);
pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

pub(crate) fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

/// `NOW` and that many days.
pub(crate) fn days_later(days: u64) -> UnixMillis {
    UnixMillis::new(NOW.get() + days * DAY_MS)
}

pub(crate) struct Net {
    pub(crate) dir: TempDir,
    pub(crate) root: RootAuthority,
    pub(crate) henan: ProvinceAuthority,
    pub(crate) guangdong: ProvinceAuthority,
}

impl Net {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root =
            RootAuthority::create(&dir.path().join("root"), &Suffix::default(), NOW).unwrap();
        let province = |code: &str| {
            let directory = dir.path().join(code);
            ProvinceAuthority::create(&directory, &root, area(code), NOW).unwrap()
        };
        let (henan, guangdong) = (province("410000"), province("440000"));
        Self { root, henan, guangdong, dir }
    }

    fn authority(&self, area: AreaCode) -> &ProvinceAuthority {
        if area.province() == self.henan.province() { &self.henan } else { &self.guangdong }
    }

    pub(crate) fn node(&self, code: &str) -> Identity {
        let area = area(code);
        let asked = request(&CertificateName::Node(area), &Suffix::default()).unwrap();
        let issued = self.authority(area).issue_node(&asked.csr_pem, area, NOW).unwrap();
        let chain = vec![issued.der.to_vec(), self.authority(area).certificate().to_vec()];
        Identity::new(chain, asked.key, &Suffix::default()).unwrap()
    }

    pub(crate) fn operator(&self, name: &str, code: &str, role: Role) -> Identity {
        let (name, area) = (name.parse().unwrap(), area(code));
        let full = CertificateName::Operator { name, area };
        let asked = request(&full, &Suffix::default()).unwrap();
        let CertificateName::Operator { name, .. } = &full else { unreachable!() };
        let issued =
            self.authority(area).issue_operator(&asked.csr_pem, name, area, role, NOW).unwrap();
        let chain = vec![issued.der.to_vec(), self.authority(area).certificate().to_vec()];
        Identity::new(chain, asked.key, &Suffix::default()).unwrap()
    }

    /// The lists of all three CAs, issued at a time.
    pub(crate) fn lists(&self, at: UnixMillis) -> RevocationLists {
        let lists = vec![
            self.root.revocation_list(at).unwrap(),
            self.henan.revocation_list(at).unwrap(),
            self.guangdong.revocation_list(at).unwrap(),
        ];
        RevocationLists::new(lists, GRACE_DEFAULT)
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::new(vec![self.root.certificate().clone()]).unwrap()
    }

    pub(crate) fn chains(&self, lists: RevocationLists) -> ChainVerifier {
        ChainVerifier::new(self.roots(), Suffix::default(), lists)
    }

    pub(crate) fn material(&self, identity: Identity, lists: RevocationLists) -> TlsMaterial {
        TlsMaterial::new(Arc::new(identity), Arc::new(self.chains(lists)))
    }

    /// The key of a CA, as somebody has it who has broken in.
    pub(crate) fn stolen(&self, ca: &str) -> SigningKey {
        SigningKey::load(&self.dir.path().join(ca).join("ca.key")).unwrap()
    }

    /// Signs anything with the key of a CA.
    pub(crate) fn forge(
        &self,
        ca: &str,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Vec<u8> {
        let certificate = match ca {
            "root" => self.root.certificate(),
            "410000" => self.henan.certificate(),
            _ => self.guangdong.certificate(),
        };
        sign(certificate, &self.stolen(ca), params, key)
    }

    /// A chain with a leaf signed by the CA of Henan, changed before it was signed.
    pub(crate) fn forged_leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<Vec<u8>> {
        let mut params = node_params("410522.41.liangdi.internal");
        change(&mut params);
        let key = SigningKey::generate().unwrap();
        vec![self.forge("410000", &params, &key), self.henan.certificate().to_vec()]
    }

    /// A chain with a CA signed by the root, changed before it was signed, and a good leaf below.
    pub(crate) fn forged_province(
        &self,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<Vec<u8>> {
        let mut params = ca_params("forged", Some("41.liangdi.internal"), 0);
        change(&mut params);
        let key = SigningKey::generate().unwrap();
        let ca = self.forge("root", &params, &key);
        let leaf = node_params("410522.41.liangdi.internal");
        let leaf = sign(&ca.clone().into(), &key, &leaf, &SigningKey::generate().unwrap());
        vec![leaf, ca]
    }
}

pub(crate) fn sign(
    issuer: &CertificateDer<'_>,
    issuer_key: &impl rcgen::SigningKey,
    params: &CertificateParams,
    key: &impl PublicKeyData,
) -> Vec<u8> {
    let issuer = Issuer::from_ca_cert_der(issuer, issuer_key).unwrap();
    let signed: Certificate = params.signed_by(key, &issuer).unwrap();
    signed.der().to_vec()
}

fn at(millis: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(millis / 1000).unwrap()).unwrap()
}

pub(crate) fn dates(params: &mut CertificateParams, from: UnixMillis, until: UnixMillis) {
    (params.not_before, params.not_after) = (at(from.get()), at(until.get()));
}

pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// A good node leaf, written down here a second time so that the profile is checked against it.
pub(crate) fn node_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![dns(name)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    dates(&mut params, NOW, days_later(90));
    params
}

/// A good operator leaf with a role.
pub(crate) fn operator_params(name: &str, roles: &[&str]) -> CertificateParams {
    let mut params = node_params(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name = DistinguishedName::new();
    for role in roles {
        params.distinguished_name.push(DnType::OrganizationalUnitName, *role);
    }
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A CA with a name constraint.
pub(crate) fn ca_params(name: &str, subtree: Option<&str>, path_length: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = subtree.map(constraint);
    dates(&mut params, NOW, days_later(365));
    params
}

pub(crate) fn constraint(subtree: &str) -> NameConstraints {
    NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(subtree.to_owned())],
        excluded_subtrees: Vec::new(),
    }
}

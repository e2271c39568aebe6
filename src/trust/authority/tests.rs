//! Tests of the CAs: what they refuse to sign, what they keep, what a crash leaves.

use std::fs;

use rcgen::{CertificateParams, KeyPair, PublicKeyData};

use super::*;
use crate::{
    leaf::{request, request_for},
    name::NameError,
    samples::{DAY_MS, NOW, Net, area, days_later, dns, node_params},
};

fn csr(code: &str) -> String {
    request(&CertificateName::Node(area(code)), &Suffix::default()).unwrap().csr_pem
}

fn csr_of(params: &CertificateParams, key: &impl rcgen::SigningKey) -> String {
    let csr = params.serialize_request(key).unwrap();
    files::pem_block("CERTIFICATE REQUEST", csr.der())
}

fn asking(names: &[&str]) -> String {
    let mut params = node_params("x");
    params.use_authority_key_identifier_extension = false;
    params.subject_alt_names = names.iter().copied().map(dns).collect();
    csr_of(&params, &SigningKey::generate().unwrap())
}

#[test]
fn certificates_are_what_the_profile_says() {
    let net = Net::new();
    let root = certificate::parse(net.root.certificate()).unwrap();
    let province = certificate::parse(net.henan.certificate()).unwrap();
    let path = |parsed: &x509_parser::certificate::X509Certificate<'_>| {
        parsed.basic_constraints().unwrap().unwrap().value.path_len_constraint
    };
    assert_eq!((path(&root), path(&province)), (Some(1), Some(0)));
    assert!(province.name_constraints().unwrap().unwrap().critical);
    assert_eq!(certificate::constrained_to(&root).as_deref(), Some("liangdi.internal"));
    assert_eq!(certificate::constrained_to(&province).as_deref(), Some("41.liangdi.internal"));

    let node = net.node("410522");
    assert_eq!(node.leaf().not_after, days_later(90));
    assert_eq!(node.leaf().not_before.get(), NOW.get() - 5 * 60 * 1000);
    assert_eq!(node.leaf().serial.len(), 16);
    let alice = net.operator("alice", "410522", Role::Supervisor);
    assert_eq!((alice.role(), alice.leaf().not_after), (Some(Role::Supervisor), days_later(365)));
    assert_ne!(node.leaf().serial, alice.leaf().serial);
}

#[test]
fn a_certificate_never_outlives_its_issuer() {
    let net = Net::new();
    let late = UnixMillis::new(net.henan.ends().get() - DAY_MS);
    let issued = net.henan.issue_node(&csr("410522"), area("410522"), late).unwrap();
    assert_eq!(issued.record.not_after, net.henan.ends());
    let after = UnixMillis::new(net.henan.ends().get() + DAY_MS);
    let refused = net.henan.issue_node(&csr("410522"), area("410522"), after);
    assert!(matches!(refused, Err(AuthorityError::Expired)));
}

#[test]
fn requests_that_ask_for_anything_else_are_refused() {
    let net = Net::new();
    let issue = |csr: &str| net.henan.issue_node(csr, area("410522"), NOW).map(drop);
    let ours = "410522.41.liangdi.internal";
    assert!(issue(&asking(&[ours])).is_ok());
    for names in [&["410523.41.liangdi.internal"][..], &["*.41.liangdi.internal"], &[]] {
        assert!(
            matches!(issue(&asking(names)), Err(AuthorityError::OtherName { .. })),
            "{names:?}"
        );
    }
    let two = issue(&asking(&[ours, "410523.41.liangdi.internal"]));
    assert!(matches!(two, Err(AuthorityError::Request(BadRequest::Names))));
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let weak = issue(&csr_of(&CertificateParams::new(vec![ours.to_owned()]).unwrap(), &p384));
    assert!(matches!(weak, Err(AuthorityError::Request(BadRequest::WeakKey))));
    let garbage =
        issue("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n");
    assert!(matches!(garbage, Err(AuthorityError::Request(BadRequest::Malformed))));
    assert!(matches!(issue(""), Err(AuthorityError::Request(BadRequest::Malformed))));
    assert_eq!(net.henan.issued().unwrap().len(), 1, "only the good one is in the records");
}

/// A key that signs with another: somebody asks for a certificate on a key that is not his.
struct NotMine(SigningKey, SigningKey);

impl PublicKeyData for NotMine {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }
    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for NotMine {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        rcgen::SigningKey::sign(&self.1, message)
    }
}

#[test]
fn possession_of_the_key_must_be_proved() {
    let net = Net::new();
    let key = NotMine(SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let params = CertificateParams::new(vec!["410522.41.liangdi.internal".to_owned()]).unwrap();
    let refused = net.henan.issue_node(&csr_of(&params, &key), area("410522"), NOW);
    assert!(matches!(refused, Err(AuthorityError::Request(BadRequest::NoPossession))));
}

#[test]
fn a_province_issues_for_its_own_areas_only() {
    let net = Net::new();
    let refused = net.henan.issue_node(&csr("440305"), area("440305"), NOW).unwrap_err();
    assert!(matches!(refused, AuthorityError::OtherProvince { .. }), "{refused}");
    let town = net.henan.issue_node(&csr("410522"), area("410522001"), NOW).unwrap_err();
    assert!(matches!(town, AuthorityError::Name(NameError::Area)), "{town}");
    assert!(net.henan.issue_node(&csr("410000"), area("410000"), NOW).is_ok());
    let name = "bob".parse().unwrap();
    let other = net.henan.issue_operator(&csr("410522"), &name, area("410522"), Role::Clerk, NOW);
    assert!(matches!(other, Err(AuthorityError::OtherName { .. })));
}

#[test]
fn a_renewal_may_keep_its_key_and_names_the_same() {
    let net = Net::new();
    let node = net.node("410522");
    let again = request_for(node.key(), node.name(), &Suffix::default()).unwrap();
    let issued = net.henan.issue_node(&again, area("410522"), days_later(60)).unwrap();
    assert_ne!(issued.record.serial, domain::hex::hex(&node.leaf().serial));
    assert_eq!(issued.record.not_after, days_later(150));
}

#[test]
fn a_ca_survives_its_directory_and_holds_it_alone() {
    let net = Net::new();
    let dir = net.dir.path().join("410000");
    let held = ProvinceAuthority::open(&dir).unwrap_err();
    assert!(matches!(held, AuthorityError::InUse { .. }), "{held}");
    net.node("410522");
    let Net { dir: kept, henan, root, .. } = net;
    let (issued, fingerprint) = (henan.issued().unwrap(), henan.fingerprint());
    drop((henan, root));
    let again = ProvinceAuthority::open(&dir).unwrap();
    assert_eq!((again.issued().unwrap(), again.fingerprint()), (issued, fingerprint));
    assert_eq!((again.province(), again.suffix()), (area("410000"), &Suffix::default()));
    assert!(again.issue_node(&csr("410522"), area("410522"), NOW).is_ok());
    // Neither is taken for the other, and nothing is overwritten.
    assert!(matches!(
        RootAuthority::open(&kept.path().join("440000")),
        Err(AuthorityError::InUse { .. })
    ));
    let root = kept.path().join("root");
    assert!(matches!(ProvinceAuthority::open(&root), Err(AuthorityError::NotACa { .. })));
    assert!(RootAuthority::create(&root, &Suffix::default(), NOW).is_err());
    assert!(RootAuthority::open(&root).is_ok());
}

#[test]
fn a_wrong_certificate_does_not_break_a_working_ca() {
    let net = Net::new();
    let other = net.guangdong.certificate_pem();
    let dir = net.dir.path().join("410000");
    drop(net.henan);
    let refused = ProvinceAuthority::install(&dir, &other).unwrap_err();
    assert!(matches!(refused, AuthorityError::NotACa { .. }), "{refused}");
    assert!(ProvinceAuthority::open(&dir).is_ok());
}

#[test]
fn revocations_are_kept_for_ever_and_said_once() {
    let net = Net::new();
    let node = net.node("410522");
    let serial = net.henan.issued().unwrap().remove(0).serial;
    let colons: Vec<&str> = (0..serial.len()).step_by(2).map(|at| &serial[at..at + 2]).collect();
    let reason = RevocationReason::KeyCompromise;
    let first = net.henan.revoke(&colons.join(":").to_uppercase(), reason, NOW).unwrap();
    let again = net.henan.revoke(&serial, RevocationReason::Superseded, days_later(1)).unwrap();
    assert_eq!((first, 1), (again, net.henan.revoked().unwrap().len()));
    let unknown = net.henan.revoke("4242", reason, NOW).unwrap_err();
    assert!(matches!(unknown, AuthorityError::UnknownSerial { .. }), "{unknown}");

    let list = net.henan.revocation_list(days_later(400)).unwrap();
    assert_eq!(list.this_update(), days_later(400));
    assert_eq!(list.next_update(), days_later(407));
    let text = fs::read_to_string(net.dir.path().join("410000/revoked.jsonl")).unwrap();
    assert!(text.contains("key-compromise") && text.ends_with('\n'), "{text}");
    assert_eq!(domain::hex::hex(&node.leaf().serial), serial);
}

#[test]
fn a_torn_last_line_is_taken_away_and_a_broken_one_stops_the_ca() {
    let net = Net::new();
    net.node("410522");
    let path = net.dir.path().join("410000/issued.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{{\"serial\":\"12")).unwrap();
    assert_eq!(net.henan.issued().unwrap().len(), 1);
    net.node("410523");
    assert_eq!(net.henan.issued().unwrap().len(), 2);
    fs::write(&path, format!("nonsense\n{whole}")).unwrap();
    let broken = net.henan.issued().unwrap_err();
    assert!(matches!(broken, AuthorityError::Corrupt { line: 1, .. }), "{broken}");
}

#[test]
fn lists_stay_newer_after_a_restore() {
    let net = Net::new();
    let first = net.henan.revocation_list(NOW).unwrap();
    let second = net.henan.revocation_list(NOW).unwrap();
    // The directory comes back from a backup without the number.
    fs::remove_file(net.dir.path().join("410000/crl-number")).unwrap();
    let third = net.henan.revocation_list(days_later(1)).unwrap();
    let newest = [third.der().to_vec(), first.der().to_vec(), second.der().to_vec()];
    let copies = newest.iter().rev().map(|der| RevocationList::from_der(der).unwrap()).collect();
    let sorted = crate::crl::RevocationLists::new(copies, crate::crl::GRACE_DEFAULT);
    let order: Vec<Vec<u8>> = sorted.iter().map(|list| list.der().to_vec()).collect();
    assert_eq!(order, [third.der(), second.der(), first.der()]);
}

#[test]
fn errors_say_what_to_do() {
    let net = Net::new();
    let error = net.henan.issue_node(&csr("410523"), area("410522"), NOW).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("410523.41") && text.contains("410522.41"), "{text}");
    let none = net.dir.path().join("none");
    let missing = RootAuthority::open(&none).unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");
    assert!(!none.exists(), "looking makes nothing");
    fs::create_dir(&none).unwrap();
    let empty = RootAuthority::open(&none).unwrap_err();
    let source = std::error::Error::source(&empty).map(ToString::to_string).unwrap_or_default();
    assert!(format!("{empty} {source}").contains("ca.key"), "{empty} {source}");
}

//! Tests of revocation lists: their age, their signer, their form.

use super::*;
use crate::samples::{NOW, Net, days_later};

#[test]
fn a_list_grows_old_in_four_steps() {
    let list = Net::new().henan.revocation_list(NOW).unwrap();
    let hours = |hours: u64| UnixMillis::new(NOW.get() + hours * 60 * 60 * 1000);
    for (at, expected) in [
        (UnixMillis::new(0), Freshness::Fresh),
        (NOW, Freshness::Fresh),
        (hours(84), Freshness::Fresh),
        (hours(85), Freshness::HalfSpent),
        (days_later(7), Freshness::HalfSpent),
        (hours(7 * 24 + 1), Freshness::InGrace),
        (days_later(14), Freshness::InGrace),
        (hours(14 * 24 + 1), Freshness::TooOld),
    ] {
        assert_eq!(list.freshness(at, GRACE_DEFAULT), expected, "{at}");
    }
    assert_eq!(list.freshness(hours(7 * 24 + 1), Duration::ZERO), Freshness::TooOld);
}

#[test]
fn only_its_ca_signed_a_list() {
    let net = Net::new();
    let list = net.henan.revocation_list(NOW).unwrap();
    assert_eq!(list.check_signer(net.guangdong.certificate()), Err(BadList::WrongSigner));
    assert_eq!(list.check_signer(&[]), Err(BadList::WrongSigner));
    for _ in 0..2 {
        assert_eq!(list.check_signer(net.henan.certificate()), Ok(()));
    }
    assert_eq!(list.check_signer(net.root.certificate()), Err(BadList::WrongSigner));
    let leaf = net.node("410522");
    assert_eq!(list.check_signer(&leaf.chain()[0]), Err(BadList::WrongSigner));
}

#[test]
fn partial_and_broken_lists_are_refused() {
    let net = Net::new();
    let whole = net.henan.revocation_list(NOW).unwrap();
    let der = whole.der();
    for cut in [0, 1, 20, der.len() - 1] {
        assert!(RevocationList::from_der(&der[..cut]).is_err(), "{cut}");
    }
    let key = net.stolen("410000");
    let issuer = rcgen::Issuer::from_ca_cert_der(net.henan.certificate(), &key).unwrap();
    let partial = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 3, 1),
        next_update: rcgen::date_time_ymd(2026, 3, 8),
        crl_number: 1_u64.into(),
        issuing_distribution_point: Some(rcgen::CrlIssuingDistributionPoint {
            distribution_point: rcgen::CrlDistributionPoint {
                uris: vec!["http://a.example/1".to_owned()],
            },
            scope: Some(rcgen::CrlScope::UserCertsOnly),
        }),
        revoked_certs: vec![],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let partial = partial.signed_by(&issuer).unwrap();
    assert_eq!(RevocationList::from_der(partial.der()).unwrap_err(), BadList::Malformed);
}

#[test]
fn lists_survive_their_file() {
    let net = Net::new();
    let path = net.dir.path().join("lists.pem");
    let pem: String = net.lists(NOW).iter().map(RevocationList::pem).collect();
    std::fs::write(&path, pem).unwrap();
    assert_eq!(RevocationList::load_all(&path).unwrap().len(), 3);
    std::fs::write(&path, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n").unwrap();
    let error = RevocationList::load_all(&path).unwrap_err();
    assert!(error.to_string().contains("lists.pem"), "{error}");
}

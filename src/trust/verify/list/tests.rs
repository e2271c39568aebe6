//! Lists from the directory: whom they may come from, and which of several is in force.

use domain::{hex::hex, time::UnixMillis};
use rcgen::KeyUsagePurpose;

use super::*;
use crate::{
    authority::RevocationReason,
    crl::{Freshness, GRACE_DEFAULT, RevocationLists},
    key::SigningKey,
    name::Suffix,
    samples::*,
    verify::Purpose,
};

const NONE: [&[u8]; 0] = [];

fn bare(net: &Net) -> ChainVerifier {
    net.chains(RevocationLists::new(vec![], GRACE_DEFAULT))
}

/// A list by any key, in the name of the CA whose certificate is given.
fn list_by(ca: &[u8], key: &SigningKey, number: u64) -> Vec<u8> {
    let ca = ca.to_vec().into();
    let issuer = rcgen::Issuer::from_ca_cert_der(&ca, key).unwrap();
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 3, 1),
        next_update: rcgen::date_time_ymd(2026, 3, 8),
        crl_number: number.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).unwrap().der().to_vec()
}

/// A CA made by the root, and a list it signed.
fn ca_with_list(net: &Net, change: impl FnOnce(&mut rcgen::CertificateParams)) -> [Vec<u8>; 2] {
    let mut params = ca_params("some CA", Some("41.liangdi.internal"), 0);
    change(&mut params);
    let key = SigningKey::generate().unwrap();
    let ca = net.forge("root", &params, &key);
    let list = list_by(&ca, &key, 1);
    [ca, list]
}

#[test]
fn a_list_of_a_province_never_met_is_checked_with_the_root_alone() {
    let net = Net::new();
    let chains = bare(&net);
    let list = net.guangdong.revocation_list(NOW).unwrap();
    let authorities = [net.henan.certificate(), net.guangdong.certificate()];
    let verified = chains.verify_list(list.der(), &authorities).unwrap();
    assert_eq!(verified.authority(), net.guangdong.certificate().as_ref());
    assert_eq!(verified.list().der(), list.der());
    assert_eq!(verified.list().number(), list.number());
    assert!(verified.list().issuer_key_id().is_some_and(|id| id.len() == 20));
    let henan = net.henan.revocation_list(NOW).unwrap();
    let henan = chains.verify_list(henan.der(), &authorities).unwrap();
    assert_ne!(henan.authority_id(), verified.authority_id());
    // The root's own list needs no certificate beside it.
    let root = net.root.revocation_list(NOW).unwrap();
    let root = chains.verify_list(root.der(), &NONE).unwrap();
    assert_eq!(root.authority(), net.root.certificate().as_ref());
}

#[test]
fn what_no_authority_of_this_network_signed_is_refused() {
    let (net, other) = (Net::new(), Net::new());
    let chains = bare(&net);
    let henan = net.henan.revocation_list(NOW).unwrap();
    let foreign = other.henan.revocation_list(NOW).unwrap();
    let refused = |list: &[u8], authorities: &[&[u8]]| {
        chains.verify_list(list, authorities).map(drop).unwrap_err()
    };
    let invalid = Refused::RevocationListInvalid;
    assert_eq!(refused(henan.der(), &NONE), invalid, "nobody there who signed it");
    assert_eq!(refused(henan.der(), &[net.guangdong.certificate()]), invalid);
    assert_eq!(refused(&henan.der()[1..], &[net.henan.certificate()]), invalid);
    let trailing = [henan.der(), &[0]].concat();
    assert_eq!(refused(&trailing, &[net.henan.certificate()]), invalid);
    let mut changed = henan.der().to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&changed, &[net.henan.certificate()]), invalid);
    assert_eq!(refused(foreign.der(), &[other.henan.certificate()]), Refused::WrongAuthority);
    let node = net.node("410522");
    let by_a_node = list_by(net.henan.certificate(), node.key(), 1);
    assert_eq!(refused(&by_a_node, &[net.henan.certificate(), &node.chain()[0]]), invalid);
}

#[test]
fn an_authority_is_held_to_the_profile() {
    let net = Net::new();
    let chains = bare(&net);
    let refused = |[ca, list]: [Vec<u8>; 2]| chains.verify_list(&list, &[ca]).map(drop);
    assert_eq!(refused(ca_with_list(&net, |_| {})), Ok(()));
    let constrained = |subtree: Option<&'static str>| {
        refused(ca_with_list(&net, |ca| ca.name_constraints = subtree.map(constraint)))
    };
    for subtree in [None, Some("liangdi.internal"), Some("411.liangdi.internal"), Some("41.else")] {
        assert_eq!(constrained(subtree), Err(Refused::WrongProvince), "{subtree:?}");
    }
    let only_lists = |ca: &mut rcgen::CertificateParams| {
        ca.key_usages = vec![KeyUsagePurpose::CrlSign];
    };
    assert_eq!(refused(ca_with_list(&net, only_lists)), Err(Refused::WrongUsage));
    let over = |ca: &mut rcgen::CertificateParams| {
        dates(ca, UnixMillis::new(NOW.get() - 9 * DAY_MS), UnixMillis::new(NOW.get() - DAY_MS));
    };
    assert_eq!(refused(ca_with_list(&net, over)), Err(Refused::Expired));
    let later = |ca: &mut rcgen::CertificateParams| dates(ca, days_later(1), days_later(9));
    assert_eq!(refused(ca_with_list(&net, later)), Err(Refused::NotYetValid));
}

#[test]
fn a_list_issued_after_its_authority_was_revoked_is_refused() {
    let net = Net::new();
    let before = net.henan.revocation_list(NOW).unwrap();
    let after = net.henan.revocation_list(days_later(2)).unwrap();
    let serial = net.root.issued().unwrap().remove(0).serial;
    net.root.revoke(&serial, RevocationReason::CaCompromise, days_later(1)).unwrap();
    let lists = vec![net.root.revocation_list(days_later(2)).unwrap()];
    let chains = net.chains(RevocationLists::new(lists, GRACE_DEFAULT));
    let judge = |list: &RevocationList| {
        chains.verify_list(list.der(), &[net.henan.certificate()]).map(drop)
    };
    assert_eq!(judge(&before), Ok(()));
    assert_eq!(judge(&after), Err(Refused::Revoked));
}

#[test]
fn the_newest_of_file_and_directory_is_in_force() {
    let net = Net::new();
    let node = net.node("410522");
    let from_files = net.chains(net.lists(NOW));
    assert!(from_files.verify(node.chain(), Purpose::Node, NOW).is_ok());
    let old = net.henan.revocation_list(NOW).unwrap();
    net.henan.revoke(&hex(&node.leaf().serial), RevocationReason::KeyCompromise, NOW).unwrap();
    let new = net.henan.revocation_list(days_later(5)).unwrap();
    let verified = |list: &RevocationList| {
        from_files.verify_list(list.der(), &[net.henan.certificate()]).unwrap()
    };
    let in_force = |verified: &[VerifiedList]| {
        let joined = from_files.lists().joined(verified);
        let by_number = joined.iter().filter(|list| list.issuer() == old.issuer());
        let numbers: Vec<_> = by_number.map(|list| list.number().to_vec()).collect();
        let chains = ChainVerifier::new(net.roots(), Suffix::default(), joined.clone());
        assert_eq!(joined.iter().count(), 3, "one of each authority");
        (numbers, chains.verify(node.chain(), Purpose::Node, days_later(5)).map(drop))
    };
    let revoked = (vec![new.number().to_vec()], Err(Refused::Revoked));
    assert_eq!(in_force(&[verified(&new)]), revoked);
    assert_eq!(in_force(&[verified(&new), verified(&old)]), revoked);
    assert_eq!(in_force(&[verified(&old), verified(&new)]), revoked);
    assert_eq!(in_force(&[]).1, Ok(()));
    assert_eq!(in_force(&[verified(&old)]).1, Ok(()));
    // The list that was replaced is no alarm any more.
    let joined = from_files.lists().joined(&[verified(&new)]);
    let henan = joined.freshness(days_later(5)).find(|(list, _)| list.issuer() == old.issuer());
    assert_eq!(henan.unwrap().1, Freshness::Fresh);
}

#[test]
fn a_forged_list_among_the_files_neither_goes_nor_stays_in_the_way() {
    let net = Net::new();
    let node = net.node("410522");
    let forged = list_by(net.henan.certificate(), &SigningKey::generate().unwrap(), u64::MAX);
    let forged = RevocationList::from_der(&forged).unwrap();
    let chains = net.chains(net.lists(NOW).with(vec![forged]));
    let new = net.henan.revocation_list(days_later(1)).unwrap();
    let new = chains.verify_list(new.der(), &[net.henan.certificate()]).unwrap();
    let root = net.root.revocation_list(days_later(1)).unwrap();
    let root = chains.verify_list(root.der(), &NONE).unwrap();
    let chains = net.chains(chains.lists().joined(&[new, root]));
    let verified = chains.verify(node.chain(), Purpose::Node, days_later(1)).unwrap();
    assert_eq!(verified.lists_good_until, days_later(8));
}

#[test]
fn a_list_takes_the_place_of_one_with_a_lower_number_or_an_earlier_time() {
    let net = Net::new();
    let key = net.stolen("410000");
    let list =
        |number| RevocationList::from_der(&list_by(net.henan.certificate(), &key, number)).unwrap();
    assert!(list(256).is_newer_than(&list(255)), "longer is larger");
    assert!(list(3).is_newer_than(&list(2)) && !list(2).is_newer_than(&list(3)));
    assert!(!list(2).is_newer_than(&list(2)));
    let earlier = net.henan.revocation_list(NOW).unwrap();
    assert!(net.henan.revocation_list(days_later(1)).unwrap().is_newer_than(&earlier));
}

//! Every way a chain can be wrong, and that each is refused for its own reason.

use domain::{access::Role, hex::hex};
use exchange::keys::{
    self, ChainError, ChainVerifier as _, SignContext, Signer as _, Verifier as _,
};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Eku, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType,
};

use super::*;
use crate::{
    authority::RevocationReason,
    crl::{Freshness, GRACE_DEFAULT},
    key::SigningKey,
    samples::*,
};

type Chain = Vec<Vec<u8>>;

const NODE: &str = "410522.41.liangdi.internal";
const ALICE: &str = "alice.operators.410522.41.liangdi.internal";

/// A public RSA key nobody holds the private half of: a certificate needs no more.
struct RsaKey(Vec<u8>);

impl RsaKey {
    fn new() -> Self {
        let mut der = vec![0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
        der.extend([0xc5; 256]);
        der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        Self(der)
    }
}

impl PublicKeyData for RsaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }
    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

fn leaf_on(net: &Net, key: &impl PublicKeyData) -> Chain {
    vec![net.forge("410000", &node_params(NODE), key), net.henan.certificate().to_vec()]
}

fn named(net: &Net, names: &[&str]) -> Chain {
    net.forged_leaf(|params| {
        params.subject_alt_names = names.iter().copied().map(dns).collect();
    })
}

fn used(net: &Net, usages: &[Eku]) -> Chain {
    net.forged_leaf(|params| params.extended_key_usages = usages.to_vec())
}

fn constrained(net: &Net, subtrees: &[&str]) -> Chain {
    net.forged_province(|params| {
        let subtree = |name: &&str| constraint(name).permitted_subtrees.remove(0);
        params.name_constraints = (!subtrees.is_empty()).then(|| rcgen::NameConstraints {
            permitted_subtrees: subtrees.iter().map(subtree).collect(),
            excluded_subtrees: vec![],
        });
    })
}

fn operator(net: &Net, roles: &[&str]) -> Chain {
    net.forged_leaf(|params| *params = operator_params(ALICE, roles))
}

fn yesterday(params: &mut CertificateParams) {
    dates(params, UnixMillis::new(NOW.get() - 2 * DAY_MS), UnixMillis::new(NOW.get() - DAY_MS));
}

fn tomorrow(params: &mut CertificateParams) {
    dates(params, days_later(1), days_later(2));
}

/// A leaf below a CA whose key and parameters are given.
fn below(ca: Vec<u8>, key: &impl rcgen::SigningKey) -> Chain {
    let leaf = node_params(NODE);
    let leaf = sign(&ca.clone().into(), key, &leaf, &SigningKey::generate().unwrap());
    vec![leaf, ca]
}

/// A chain of a network that is not ours; `root` are its root's parameters.
fn foreign(root: &CertificateParams) -> Chain {
    let (root_key, key) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let root = root.self_signed(&root_key).unwrap();
    let ca = ca_params("41.liangdi.internal CA", Some("41.liangdi.internal"), 0);
    let mut chain = below(sign(root.der(), &root_key, &ca, &key), &key);
    chain.push(root.der().to_vec());
    chain
}

/// The parameters of a CA with the subject of another, so that only the key tells them apart.
fn twin_of(certificate: &[u8], subtree: &str) -> CertificateParams {
    let parsed = certificate::parse(certificate).unwrap();
    let mut params = ca_params("", Some(subtree), 1);
    params.distinguished_name = DistinguishedName::new();
    for attribute in parsed.subject().iter_attributes() {
        let kind = DnType::from_oid(&attribute.attr_type().iter().unwrap().collect::<Vec<_>>());
        params.distinguished_name.push(kind, attribute.as_str().unwrap());
    }
    params
}

/// A second CA below the CA of Henan, and a leaf below that.
fn too_long(net: &Net) -> Chain {
    let key = SigningKey::generate().unwrap();
    let ca = ca_params("410500 CA", Some("41.liangdi.internal"), 0);
    let mut chain = below(net.forge("410000", &ca, &key), &key);
    chain.push(net.henan.certificate().to_vec());
    chain
}

fn p384() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()
}

/// Chains that lead nowhere, or by a wrong way.
fn wrong_paths(net: &Net) -> Vec<(&'static str, Chain, Refused)> {
    use Refused::{Malformed, NoCertificate, WrongAuthority, WrongChain};
    let node = net.node("410522").chain().to_vec();
    let leaf = || node[0].clone();
    let henan = || net.henan.certificate().to_vec();
    let guangdong = net.guangdong.certificate().to_vec();
    let mut changed = node.clone();
    *changed[0].last_mut().unwrap() ^= 1;
    let key = SigningKey::generate().unwrap();
    let self_signed = node_params(NODE).self_signed(&key).unwrap().der().to_vec();
    let under_root = net.forge("root", &node_params(NODE), &key);
    let other_root = ca_params("Root", Some("liangdi.internal"), 1);
    let twin = twin_of(net.root.certificate(), "liangdi.internal");
    vec![
        ("no certificate", vec![], NoCertificate),
        ("not a certificate", vec![vec![0x30, 0x00], henan()], Malformed),
        ("empty certificate", vec![vec![]], Malformed),
        ("trailing bytes", vec![[leaf(), vec![0]].concat(), henan()], Malformed),
        ("signature changed", changed, WrongAuthority),
        ("self-signed", vec![self_signed], WrongAuthority),
        ("another root", foreign(&other_root), WrongAuthority),
        ("another root of the same name", foreign(&twin), WrongAuthority),
        ("province's CA left out", vec![leaf()], WrongAuthority),
        ("another province's CA sent along", vec![leaf(), guangdong], WrongAuthority),
        ("directly below the root", vec![under_root], WrongChain),
        ("a CA below the province", too_long(net), WrongChain),
        ("five certificates", vec![leaf(), henan(), henan(), henan(), henan()], WrongChain),
        ("a CA as a leaf", vec![henan()], WrongChain),
    ]
}

/// Good chains but for one thing in the leaf or its CA.
fn wrong_contents(net: &Net) -> Vec<(&'static str, Chain, Refused)> {
    use Refused::*;
    let address = SanType::IpAddress([10, 0, 0, 1].into());
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let weak_ca = ca_params("p384", Some("41.liangdi.internal"), 0);
    let weak_key = p384();
    let weak_province = below(net.forge("root", &weak_ca, &weak_key), &weak_key);
    let also = |params: &mut CertificateParams, name: SanType| params.subject_alt_names.push(name);
    vec![
        ("expired", net.forged_leaf(yesterday), Expired),
        ("not yet valid", net.forged_leaf(tomorrow), NotYetValid),
        ("CA expired", net.forged_province(yesterday), Expired),
        ("CA not yet valid", net.forged_province(tomorrow), NotYetValid),
        ("name of another province", named(net, &["440305.44.liangdi.internal"]), WrongProvince),
        ("CA without a constraint", constrained(net, &[]), WrongProvince),
        ("CA for everything", constrained(net, &["liangdi.internal"]), WrongProvince),
        ("CA of another province", constrained(net, &["44.liangdi.internal"]), WrongProvince),
        (
            "CA of two provinces",
            constrained(net, &["41.liangdi.internal", "44.liangdi.internal"]),
            WrongProvince,
        ),
        ("common name only", named(net, &[]), BadName),
        ("wildcard", named(net, &["*.41.liangdi.internal"]), BadName),
        ("two names", named(net, &[NODE, "410523.41.liangdi.internal"]), BadName),
        ("the same name twice", named(net, &[NODE, NODE]), BadName),
        ("an address too", net.forged_leaf(|params| also(params, address)), BadName),
        ("upper case", named(net, &["410522.41.LIANGDI.internal"]), BadName),
        ("some other name", named(net, &["mail.41.liangdi.internal"]), BadName),
        ("an area not of the province", named(net, &["440305.41.liangdi.internal"]), BadName),
        ("server only", used(net, &[Eku::ServerAuth]), WrongUsage),
        ("client only", used(net, &[Eku::ClientAuth]), WrongUsage),
        ("no extended usage", used(net, &[]), WrongUsage),
        (
            "code signing too",
            used(net, &[Eku::ServerAuth, Eku::ClientAuth, Eku::CodeSigning]),
            WrongUsage,
        ),
        ("any usage", used(net, &[Eku::ServerAuth, Eku::ClientAuth, Eku::Any]), WrongUsage),
        ("no key usage", net.forged_leaf(|params| params.key_usages.clear()), WrongUsage),
        (
            "may sign certificates",
            net.forged_leaf(|params| params.key_usages.push(KeyUsagePurpose::KeyCertSign)),
            WrongUsage,
        ),
        ("P-384 key", leaf_on(net, &p384()), WeakKey),
        ("Ed25519 key", leaf_on(net, &ed25519), WeakKey),
        ("RSA key", leaf_on(net, &RsaKey::new()), WeakKey),
        ("P-384 CA", weak_province, WeakKey),
    ]
}

/// Good chains of the wrong kind.
fn wrong_kinds(net: &Net) -> Vec<(&'static str, Chain, Purpose, Refused)> {
    use Purpose::{Node, NodeAsServer, Operator};
    use Refused::{NodeNotOperator, OperatorNotNode, UnknownRole, WrongUsage};
    let node = net.node("410522").chain().to_vec();
    let alice = net.operator("alice", "410522", Role::Clerk).chain().to_vec();
    let serving = net.forged_leaf(|params| {
        *params = operator_params(ALICE, &["clerk"]);
        params.extended_key_usages.push(Eku::ServerAuth);
    });
    vec![
        ("operator where a node is wanted", alice.clone(), Node, OperatorNotNode),
        ("operator as a server", alice, NodeAsServer, WrongUsage),
        ("node where an operator is wanted", node, Operator, NodeNotOperator),
        ("operator without a role", operator(net, &[]), Operator, UnknownRole),
        ("operator with an unknown role", operator(net, &["king"]), Operator, UnknownRole),
        ("operator that may serve", serving, Operator, WrongUsage),
        ("node that may not serve", used(net, &[Eku::ClientAuth]), NodeAsServer, WrongUsage),
        ("node that may not call", used(net, &[Eku::ServerAuth]), Node, WrongUsage),
    ]
}

#[test]
fn every_wrong_chain_is_refused_for_its_own_reason() {
    let net = Net::new();
    let chains = net.chains(net.lists(NOW));
    let as_node = |(what, chain, refused)| (what, chain, Purpose::Node, refused);
    let mut cases: Vec<_> = wrong_paths(&net).into_iter().map(as_node).collect();
    cases.extend(wrong_contents(&net).into_iter().map(as_node));
    cases.extend(wrong_kinds(&net));
    assert!(cases.len() >= 50);
    for (what, chain, purpose, expected) in cases {
        // Twice: the second answer must not come from a cache of good ones.
        for _ in 0..2 {
            let refused = chains.verify(&chain, purpose, NOW).unwrap_err();
            assert_eq!(refused, expected, "{what}");
        }
    }
    for purpose in [Purpose::Node, Purpose::NodeAsServer] {
        let good = chains.verify(net.node("410522").chain(), purpose, NOW).unwrap();
        assert_eq!(good.identity, PeerIdentity::Node(area("410522")));
    }
}

#[test]
fn the_forgeries_are_good_but_for_what_was_changed() {
    let net = Net::new();
    let chains = net.chains(net.lists(NOW));
    assert!(chains.verify(&net.forged_leaf(|_| {}), Purpose::Node, NOW).is_ok());
    // A CA that the root signed but that has no list of its own.
    let other = net.forged_province(|_| {});
    let refused = chains.verify(&other, Purpose::Node, NOW).unwrap_err();
    assert_eq!(refused, Refused::RevocationListMissing);
    assert!(chains.verify_except_revocation(&other, Purpose::Node, NOW).is_ok());
    // Some CAs write the constraint with a dot in front.
    assert!(
        chains
            .verify_except_revocation(
                &constrained(&net, &[".41.liangdi.internal"]),
                Purpose::Node,
                NOW
            )
            .is_ok()
    );
    let clerk = chains.verify(&operator(&net, &["clerk"]), Purpose::Operator, NOW).unwrap();
    assert_eq!(clerk.leaf.role, Some(Role::Clerk));
    // The root may be sent along.
    let mut with_root = net.node("410522").chain().to_vec();
    with_root.push(net.root.certificate().to_vec());
    assert!(chains.verify(&with_root, Purpose::Node, NOW).is_ok());
}

#[test]
fn an_operator_is_who_the_certificate_says() {
    let net = Net::new();
    let chains = net.chains(net.lists(NOW));
    let alice = net.operator("alice", "410522", Role::Auditor);
    let verified = chains.verify(alice.chain(), Purpose::Operator, NOW).unwrap();
    let identity = PeerIdentity::Operator {
        name: "alice".parse().unwrap(),
        role: Role::Auditor,
        area: area("410522"),
    };
    assert_eq!(verified.identity, identity);
    assert_eq!(caller_from_chain(alice.chain(), &Suffix::default()), Ok(identity));
    let none: [&[u8]; 0] = [];
    assert_eq!(caller_from_chain(&none, &Suffix::default()), Err(Refused::NoCertificate));
}

#[test]
fn whoever_is_revoked_is_refused() {
    let net = Net::new();
    let (node, other) = (net.node("410522"), net.node("410523"));
    net.henan.revoke(&hex(&node.leaf().serial), RevocationReason::KeyCompromise, NOW).unwrap();
    let chains = net.chains(net.lists(NOW));
    assert_eq!(chains.verify(node.chain(), Purpose::Node, NOW).unwrap_err(), Refused::Revoked);
    assert!(chains.verify(other.chain(), Purpose::Node, NOW).is_ok());
    // Revoked is revoked, also when the list is past everything.
    let late = chains.verify(node.chain(), Purpose::Node, days_later(30));
    assert_eq!(late.unwrap_err(), Refused::Revoked);

    let province = net.root.issued().unwrap().remove(0).serial;
    net.root.revoke(&province, RevocationReason::CaCompromise, NOW).unwrap();
    let chains = net.chains(net.lists(NOW));
    assert_eq!(chains.verify(other.chain(), Purpose::Node, NOW).unwrap_err(), Refused::Revoked);
    assert!(chains.verify(net.node("440305").chain(), Purpose::Node, NOW).is_ok());
}

#[test]
fn lists_are_needed_and_age() {
    let net = Net::new();
    let node = net.node("410522");
    let verify = |lists: Vec<RevocationList>, at| {
        let chains = net.chains(RevocationLists::new(lists, GRACE_DEFAULT));
        chains.verify(node.chain(), Purpose::Node, at).map(|verified| verified.lists_good_until)
    };
    let root = |at| net.root.revocation_list(at).unwrap();
    let henan = |at| net.henan.revocation_list(at).unwrap();
    let missing = Err(Refused::RevocationListMissing);
    assert_eq!(verify(vec![], NOW), missing);
    assert_eq!(verify(vec![root(NOW)], NOW), missing);
    assert_eq!(verify(vec![henan(NOW)], NOW), missing);
    assert_eq!(verify(vec![root(NOW), henan(NOW)], NOW), Ok(days_later(7)));
    // In grace: accepted, and the answer says that the list should have been replaced.
    assert_eq!(verify(vec![root(NOW), henan(NOW)], days_later(14)), Ok(days_later(7)));
    let after = UnixMillis::new(days_later(14).get() + 1000);
    let too_old = Err(Refused::RevocationListTooOld);
    assert_eq!(verify(vec![root(NOW), henan(NOW)], after), too_old);
    assert_eq!(verify(vec![root(NOW), henan(days_later(10))], after), too_old);
    let fresh = vec![root(days_later(10)), henan(days_later(10))];
    assert_eq!(verify(fresh, after), Ok(days_later(17)));
}

#[test]
fn a_good_answer_is_not_remembered_beyond_its_grounds() {
    let net = Net::new();
    let node = net.node("410522");
    let chains = net.chains(net.lists(NOW));
    let good = chains.verify(node.chain(), Purpose::Node, NOW).unwrap();
    assert_eq!(good.holds_until, days_later(14));
    let again = chains.verify(node.chain(), Purpose::Node, days_later(13)).unwrap();
    assert!(Arc::ptr_eq(&good, &again), "from the cache");
    let late = chains.verify(node.chain(), Purpose::Node, days_later(15));
    assert_eq!(late.unwrap_err(), Refused::RevocationListTooOld);
    let early = UnixMillis::new(NOW.get() - DAY_MS);
    let early = chains.verify(node.chain(), Purpose::Node, early);
    assert_eq!(early.unwrap_err(), Refused::NotYetValid);
    let other = chains.verify(node.chain(), Purpose::Operator, NOW);
    assert_eq!(other.unwrap_err(), Refused::NodeNotOperator);
}

#[test]
fn a_forged_list_neither_counts_nor_hides_a_good_one() {
    let net = Net::new();
    let node = net.node("410522");
    // A list in the name of Henan's CA, with a higher number, by somebody else's key.
    let issuer = rcgen::Issuer::new(
        twin_of(net.henan.certificate(), "41.liangdi.internal"),
        SigningKey::generate().unwrap(),
    );
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 3, 1),
        next_update: rcgen::date_time_ymd(2036, 3, 1),
        crl_number: u64::MAX.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).unwrap();
    let forged = || RevocationList::from_der(list.der()).unwrap();

    let root = net.root.revocation_list(NOW).unwrap();
    let lists = RevocationLists::new(vec![root, forged()], GRACE_DEFAULT);
    let refused = net.chains(lists).verify(node.chain(), Purpose::Node, NOW).unwrap_err();
    assert_eq!(refused, Refused::RevocationListInvalid);
    let chains = net.chains(net.lists(NOW).with(vec![forged()]));
    let verified = chains.verify(node.chain(), Purpose::Node, NOW).unwrap();
    assert_eq!(verified.lists_good_until, days_later(7));
}

#[test]
fn the_newest_list_decides() {
    let net = Net::new();
    let node = net.node("410522");
    let before = net.henan.revocation_list(NOW).unwrap();
    net.henan.revoke(&hex(&node.leaf().serial), RevocationReason::Superseded, NOW).unwrap();
    let after = net.lists(days_later(1));
    let copy = |list: &RevocationList| RevocationList::from_der(list.der()).unwrap();
    let older_last = after.with(vec![copy(&before)]);
    let older_first =
        RevocationLists::new(vec![before], GRACE_DEFAULT).with(after.iter().map(copy).collect());
    for lists in [older_last, older_first] {
        let refused = net.chains(lists).verify(node.chain(), Purpose::Node, days_later(1));
        assert_eq!(refused.unwrap_err(), Refused::Revoked);
    }
    let freshness: Vec<_> = after.freshness(days_later(1)).map(|(_, fresh)| fresh).collect();
    assert_eq!(freshness, [Freshness::Fresh; 3]);
}

#[test]
fn evidence_is_judged_as_of_its_time() {
    let net = Net::new();
    let node = net.node("410522");
    let chain = node.chain().to_vec();
    let serial = hex(&node.leaf().serial);
    net.henan.revoke(&serial, RevocationReason::KeyCompromise, days_later(30)).unwrap();
    let der = |lists: &RevocationLists| -> Vec<Vec<u8>> {
        lists.iter().map(|list| list.der().to_vec()).collect()
    };
    let later = der(&net.lists(days_later(1000)));
    let bare = net.chains(RevocationLists::new(vec![], GRACE_DEFAULT));
    let judge = |at, lists: &[Vec<u8>]| bare.verify_chain(&chain, at, lists).map(|v| v.area);
    assert_eq!(judge(days_later(29), &later), Ok(area("410522")), "revoked a day later");
    assert_eq!(judge(days_later(30), &later), Err(ChainError::Revoked));
    assert_eq!(judge(days_later(91), &later), Err(ChainError::Expired));
    assert_eq!(judge(UnixMillis::new(NOW.get() - DAY_MS), &later), Err(ChainError::NotYetValid));
    assert_eq!(judge(days_later(29), &[]), Err(ChainError::RevocationUnknown));
    let old = der(&net.lists(NOW));
    assert_eq!(judge(days_later(29), &later[..1]), Err(ChainError::RevocationUnknown));
    assert_eq!(judge(days_later(14), &old), Ok(area("410522")));
    assert!(matches!(judge(NOW, &[vec![1]]), Err(ChainError::Malformed { .. })));
    assert_eq!(bare.verify_chain(&[], NOW, &later), Err(ChainError::Empty));
}

#[test]
fn what_a_node_signs_is_bound_to_its_purpose() {
    let net = Net::new();
    let node = net.node("410522");
    let chains = net.chains(net.lists(NOW));
    let verified: keys::VerifiedChain = chains.verify_chain(node.chain_der(), NOW, &[]).unwrap();
    assert_eq!(verified.fingerprint, node.signer_id());
    let signature = node.sign(SignContext::Parcel, b"manifest").unwrap();
    let verify = |context, bytes: &[u8]| {
        chains.verify_signature(&verified.public_key, context, bytes, &signature).is_ok()
    };
    assert!(verify(SignContext::Parcel, b"manifest"));
    assert!(!verify(SignContext::Receipt, b"manifest"));
    assert!(!verify(SignContext::Parcel, b"manifesto"));
    // The documented rule: ECDSA over SHA-256(context || 0x00 || bytes), hashed once.
    let message = b"liangdi/v1/parcel\0manifest";
    assert_eq!(node.key().public().verify(message, &signature), Ok(()));
    assert!(chains.verify_signature(b"no key", SignContext::Parcel, b"", &signature).is_err());
}

#[test]
fn roots_must_be_roots() {
    let net = Net::new();
    assert!(matches!(Roots::from_pem("nothing"), Err(BadRoots::None)));
    let leaf: CertificateDer<'static> = net.node("410522").chain()[0].clone().into();
    assert!(matches!(Roots::new(vec![leaf]), Err(BadRoots::NotARoot)));
    // While one root replaces the other, both count.
    let both = Net::new().root.certificate_pem() + &net.root.certificate_pem();
    let roots = Roots::from_pem(&both).unwrap();
    assert_eq!(roots.certificates().len(), 2);
    let chains = ChainVerifier::new(roots, Suffix::default(), net.lists(NOW));
    assert!(chains.verify(net.node("410522").chain(), Purpose::Node, NOW).is_ok());
}

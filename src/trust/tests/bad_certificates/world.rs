//! A network with two provinces, and one chain of it at a time with something wrong in it.

use std::time::Duration;

use domain::time::UnixMillis;
use trust::crl::{GRACE_DEFAULT, RevocationList, RevocationLists};
use trust::name::Suffix;
use trust::verify::{ChainVerifier, Roots};

use crate::made::{CLIENT_AUTH, DAY, Key, Made, NOW, SERVER_AUTH, common_name, list, name};

pub const NODE: &str = "410522.41.liangdi.internal";
pub const ALICE: &str = "alice.operators.410522.41.liangdi.internal";
pub const BOTH: [&str; 2] = [SERVER_AUTH, CLIENT_AUTH];

/// A CA with its key.
pub struct Authority {
    pub name: Vec<u8>,
    pub key: Key,
    pub der: Vec<u8>,
}

impl Authority {
    pub fn list(&self) -> Vec<u8> {
        list(&self.name, &self.key, NOW, &[])
    }
}

/// The root and the CAs of two provinces, all good.
pub struct World {
    pub root: Authority,
    pub henan: Authority,
    pub guangdong: Authority,
}

/// What is shown, leaf first, and the key of the leaf.
pub struct Chain {
    pub certificates: Vec<Vec<u8>>,
    pub key: Key,
}

pub fn now() -> UnixMillis {
    UnixMillis::new(u64::try_from(NOW).unwrap() * 1000)
}

/// A root of a network with this subject.
pub fn root(subject: &[u8]) -> Authority {
    let key = Key::new();
    let mut made = Made::ca(subject, subject, "liangdi.internal", 1, &key);
    made.life = (NOW - 300, NOW + 7_000 * DAY);
    Authority { name: subject.to_vec(), der: made.sign(&key), key }
}

/// The CA of a province under a root, changed before it was signed.
pub fn province(root: &Authority, subtree: &str, change: impl FnOnce(&mut Made)) -> Authority {
    let (key, name) = (Key::new(), common_name(&format!("{subtree} CA")));
    let mut made = Made::ca(&root.name, &name, subtree, 0, &key);
    change(&mut made);
    Authority { der: made.sign(&root.key), name: made.subject, key }
}

impl World {
    pub fn new() -> Self {
        let root = root(&common_name("liangdi.internal Root CA"));
        let henan = province(&root, "41.liangdi.internal", |_| {});
        let guangdong = province(&root, "44.liangdi.internal", |ca| ca.serial.push(44));
        Self { root, henan, guangdong }
    }

    /// The chain of a node of Henan, whose leaf was changed before it was signed.
    pub fn node(&self, change: impl FnOnce(&mut Made)) -> Chain {
        node_under(&self.henan, change)
    }

    /// The chain of an operator in Henan with these roles.
    pub fn operator(&self, roles: &[&str], change: impl FnOnce(&mut Made)) -> Chain {
        let key = Key::new();
        let mut made = Made::leaf(&self.henan.name, ALICE, &[CLIENT_AUTH], &key);
        let roles = roles.iter().map(|role| ("2.5.4.11", *role));
        let attributes: Vec<_> = roles.chain([("2.5.4.3", ALICE)]).collect();
        made.subject = name(&attributes);
        change(&mut made);
        let certificates = vec![made.sign(&self.henan.key), self.henan.der.clone()];
        Chain { certificates, key }
    }

    /// A good leaf under a CA of Henan that was changed before the root signed it.
    pub fn under(&self, change: impl FnOnce(&mut Made)) -> Chain {
        node_under(&province(&self.root, "41.liangdi.internal", change), |_| {})
    }

    /// The lists of now.
    pub fn lists(&self) -> Vec<Vec<u8>> {
        [&self.root, &self.henan, &self.guangdong].map(Authority::list).to_vec()
    }

    /// A verifier with this network's root and these lists.
    pub fn verifier(&self, lists: &[Vec<u8>]) -> ChainVerifier {
        let lists = lists.iter().map(|der| RevocationList::from_der(der).unwrap()).collect();
        let grace: Duration = GRACE_DEFAULT;
        let roots = Roots::new(vec![self.root.der.clone().into()]).unwrap();
        ChainVerifier::new(roots, Suffix::default(), RevocationLists::new(lists, grace))
    }
}

/// A leaf under any CA, changed before it was signed.
pub fn node_under(ca: &Authority, change: impl FnOnce(&mut Made)) -> Chain {
    let key = Key::new();
    let mut made = Made::leaf(&ca.name, NODE, &BOTH, &key);
    change(&mut made);
    Chain { certificates: vec![made.sign(&ca.key), ca.der.clone()], key }
}

//! Certificates, written field by field, so that each field can be wrong; and revocation lists.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::der::{bits, integer, octets, oid, sequence, set, time, tlv, utf8, yes};

/// 2026-03-01T00:00:00Z, in seconds since 1970; when everything in this test happens.
pub const NOW: i64 = 1_772_323_200;
pub const DAY: i64 = 24 * 60 * 60;

pub const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub const KEY_USAGE: &str = "2.5.29.15";
pub const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
pub const ALTERNATIVE_NAME: &str = "2.5.29.17";
pub const NAME_CONSTRAINTS: &str = "2.5.29.30";

pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub const ANY_USAGE: &str = "2.5.29.37.0";

pub const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

/// A P-256 key.
pub struct Key {
    pub pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
}

impl Key {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        Self { pkcs8: pkcs8.as_ref().to_vec(), pair }
    }

    /// The uncompressed point.
    pub fn point(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

/// A subject public key on P-256 with any bytes as its point.
pub fn p256(point: &[u8]) -> Vec<u8> {
    public_key(&[&oid("1.2.840.10045.2.1"), &oid("1.2.840.10045.3.1.7")], point)
}

/// A subject public key of any kind.
pub fn public_key(algorithm: &[&[u8]], bytes: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(algorithm), &bits(bytes)])
}

/// A subject or issuer with these attributes.
pub fn name(attributes: &[(&str, &str)]) -> Vec<u8> {
    let attribute = |(kind, text): &(&str, &str)| set(&[&sequence(&[&oid(kind), &utf8(text)])]);
    tlv(0x30, &attributes.iter().map(attribute).collect::<Vec<_>>().concat())
}

pub fn common_name(text: &str) -> Vec<u8> {
    name(&[("2.5.4.3", text)])
}

/// A general name of a kind given by its tag.
pub fn general(tag: u8, bytes: &[u8]) -> Vec<u8> {
    tlv(0x80 | tag, bytes)
}

pub fn dns(text: &str) -> Vec<u8> {
    general(2, text.as_bytes())
}

pub fn usages(kinds: &[&str]) -> Vec<u8> {
    tlv(0x30, &kinds.iter().map(|kind| oid(kind)).collect::<Vec<_>>().concat())
}

/// A name constraint that permits these subtrees (general names).
pub fn permitted(subtrees: &[Vec<u8>]) -> Vec<u8> {
    let subtrees: Vec<_> = subtrees.iter().map(|base| sequence(&[base])).collect();
    sequence(&[&tlv(0xa0, &subtrees.concat())])
}

pub fn algorithm(of: &str) -> Vec<u8> {
    sequence(&[&oid(of)])
}

/// One extension.
#[derive(Clone)]
pub struct Extension {
    pub oid: &'static str,
    /// The encoded BOOLEAN, or nothing where it is left out.
    pub critical: Vec<u8>,
    pub value: Vec<u8>,
}

/// Everything a certificate says.
#[derive(Clone)]
pub struct Made {
    /// Version number less one; left out when none.
    pub version: Option<u8>,
    pub serial: Vec<u8>,
    /// Algorithm inside what is signed, and beside the signature.
    pub algorithms: [Vec<u8>; 2],
    pub issuer: Vec<u8>,
    /// From when until when, in seconds since 1970.
    pub life: (i64, i64),
    pub subject: Vec<u8>,
    pub key: Vec<u8>,
    /// Whatever stands between key and extensions.
    pub between: Vec<u8>,
    pub extensions: Vec<Extension>,
}

impl Made {
    fn new(issuer: &[u8], subject: Vec<u8>, key: &Key) -> Self {
        Self {
            version: Some(2),
            serial: vec![0x40, 1, 2, 3, 4, 5, 6, 7],
            algorithms: [algorithm(ECDSA_SHA256), algorithm(ECDSA_SHA256)],
            issuer: issuer.to_vec(),
            life: (NOW - 300, NOW + 89 * DAY),
            subject,
            key: p256(&key.point()),
            between: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// A good leaf for a name.
    pub fn leaf(issuer: &[u8], dns_name: &str, usage: &[&str], key: &Key) -> Self {
        let mut made = Self::new(issuer, common_name(dns_name), key);
        made.put(BASIC_CONSTRAINTS, true, sequence(&[]));
        made.put(KEY_USAGE, true, tlv(0x03, &[7, 0x80]));
        made.put(EXTENDED_KEY_USAGE, false, usages(usage));
        made.put(ALTERNATIVE_NAME, false, sequence(&[&dns(dns_name)]));
        made
    }

    /// A good CA that may name a subtree.
    pub fn ca(issuer: &[u8], subject: &[u8], subtree: &str, depth: u8, key: &Key) -> Self {
        let mut made = Self::new(issuer, subject.to_vec(), key);
        made.life = (NOW - 300, NOW + 1_000 * DAY);
        made.put(BASIC_CONSTRAINTS, true, sequence(&[&yes(), &integer(&[depth])]));
        made.put(KEY_USAGE, true, tlv(0x03, &[1, 0x06]));
        made.put(NAME_CONSTRAINTS, true, permitted(&[dns(subtree)]));
        made
    }

    /// Puts an extension in the place of the one of its kind, or at the end.
    pub fn put(&mut self, oid: &'static str, critical: bool, value: Vec<u8>) {
        let extension = Extension { oid, critical: if critical { yes() } else { vec![] }, value };
        match self.extensions.iter_mut().find(|known| known.oid == oid) {
            Some(known) => *known = extension,
            None => self.extensions.push(extension),
        }
    }

    pub fn without(&mut self, oid: &str) {
        self.extensions.retain(|extension| extension.oid != oid);
    }

    pub fn names(&mut self, names: &[Vec<u8>]) {
        self.put(ALTERNATIVE_NAME, false, tlv(0x30, &names.concat()));
    }

    pub fn sign(&self, key: &Key) -> Vec<u8> {
        self.sign_with(|signed| key.sign(signed))
    }

    pub fn sign_with(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let version = self.version.map(|version| tlv(0xa0, &integer(&[version])));
        let life = sequence(&[&time(self.life.0), &time(self.life.1)]);
        let extension = |extension: &Extension| {
            let Extension { oid: kind, critical, value } = extension;
            sequence(&[&oid(kind), critical, &octets(value)])
        };
        let extensions: Vec<_> = self.extensions.iter().map(extension).collect();
        let extensions = tlv(0xa3, &tlv(0x30, &extensions.concat()));
        let signed = sequence(&[
            &version.unwrap_or_default(),
            &integer(&self.serial),
            &self.algorithms[0],
            &self.issuer,
            &life,
            &self.subject,
            &self.key,
            &self.between,
            if self.extensions.is_empty() { &[] } else { &extensions },
        ]);
        sequence(&[&signed, &self.algorithms[1], &bits(&sign(&signed))])
    }
}

/// A revocation list of a CA: issued `at`, good for seven days.
pub fn list(issuer: &[u8], key: &Key, at: i64, revoked: &[&[u8]]) -> Vec<u8> {
    let entry = |serial: &&[u8]| sequence(&[&integer(serial), &time(NOW - 200)]);
    let entries = tlv(0x30, &revoked.iter().map(entry).collect::<Vec<_>>().concat());
    let number = integer(&u32::try_from(at).unwrap().to_be_bytes());
    let number = sequence(&[&oid("2.5.29.20"), &octets(&number)]);
    let signed = sequence(&[
        &integer(&[1]),
        &algorithm(ECDSA_SHA256),
        issuer,
        &time(at),
        &time(at + 7 * DAY),
        if revoked.is_empty() { &[] } else { &entries },
        &tlv(0xa0, &sequence(&[&number])),
    ]);
    sequence(&[&signed, &algorithm(ECDSA_SHA256), &bits(&key.sign(&signed))])
}

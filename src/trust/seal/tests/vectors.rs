//! Known answers: the vectors that RFC 9180 publishes for our suite, what another implementation sealed by the text of
//! the RFC and of `docs/protocol.md`, and everything near them that must not open.
//!
//! `testdata/rfc9180.json` is the entry of the published set (github.com/cfrg/draft-irtf-cfrg-hpke, named in
//! Appendix A) for mode 0, KEM 0x0020, KDF 0x0001, AEAD 0x0002: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM,
//! base mode. `testdata/seals.json` was made by `testdata/seals.py`.

use hpke::{Deserializable as _, Kem as _, Serializable as _, aead::AeadTag};
use ring::aead::Aad;
use serde_json::Value;

use super::*;

/// Points of X25519 whose secret is zero with any key: of order 1, 2, 4 and 8, on the curve and its twist, and the same
/// written differently (not reduced, or with the top bit, which is ignored).
const SMALL_ORDER: [&str; 12] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The bytes of a field.
fn bytes(of: &Value, field: &str) -> Vec<u8> {
    hex(of[field].as_str().unwrap())
}

fn array<const N: usize>(of: &Value, field: &str) -> [u8; N] {
    bytes(of, field).try_into().unwrap()
}

fn published() -> Value {
    let vector: Value = serde_json::from_str(include_str!("../../testdata/rfc9180.json")).unwrap();
    for (field, ours) in [("mode", 0), ("kem_id", 0x20), ("kdf_id", 1), ("aead_id", 2)] {
        assert_eq!(vector[field].as_u64(), Some(ours), "{field}");
    }
    vector
}

fn recipient(vector: &Value) -> SealingKeyPair {
    SealingKeyPair::from_private_bytes(&bytes(vector, "skRm")).unwrap()
}

#[test]
fn keys_are_what_rfc_9180_publishes() {
    let vector = published();
    let pair = recipient(&vector);
    assert_eq!(pair.public().as_bytes().as_slice(), bytes(&vector, "pkRm"));
    for (seed, private, public) in [("ikmR", "skRm", "pkRm"), ("ikmE", "skEm", "pkEm")] {
        let (sk, pk) = Kem::derive_keypair(&bytes(&vector, seed));
        assert_eq!(sk.to_bytes().as_slice(), bytes(&vector, private), "{private}");
        assert_eq!(pk.to_bytes().as_slice(), bytes(&vector, public), "{public}");
    }
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&bytes(&vector, "enc")).unwrap();
    assert_eq!(encapsulated.to_bytes().as_slice(), bytes(&vector, "pkEm"));
}

/// The receiving context as [`Opener`] sets it up: encapsulation, key schedule and exporter.
#[test]
fn the_exporter_gives_what_rfc_9180_publishes() {
    let vector = published();
    let pair = recipient(&vector);
    let info = bytes(&vector, "info");
    let context = opener::context(&pair, &array(&vector, "enc"), &info).unwrap();
    let exports = vector["exports"].as_array().unwrap();
    assert_eq!(exports.len(), 3);
    for export in exports {
        let mut ours = vec![0; usize::try_from(export["L"].as_u64().unwrap()).unwrap()];
        context.export(&bytes(export, "exporter_context"), &mut ours).unwrap();
        assert_eq!(ours, bytes(export, "exported_value"));
        let other = opener::context(&pair, &array(&vector, "enc"), INFO).unwrap();
        other.export(&bytes(export, "exporter_context"), &mut ours).unwrap();
        assert_ne!(ours, bytes(export, "exported_value"), "info is in the key schedule");
    }
}

/// The key and the base of the nonces of that context, by what they open.
#[test]
fn the_key_schedule_opens_what_rfc_9180_publishes() {
    let vector = published();
    let info = bytes(&vector, "info");
    let mut context = opener::context(&recipient(&vector), &array(&vector, "enc"), &info).unwrap();
    for sealed in vector["encryptions"].as_array().unwrap() {
        let mut body = bytes(sealed, "ct");
        let tag = body.split_off(body.len() - TAG_BYTES);
        let tag = AeadTag::<Aead>::from_bytes(&tag).unwrap();
        context.open_in_place_detached(&mut body, &bytes(sealed, "aad"), &tag).unwrap();
        assert_eq!(body, bytes(sealed, "pt"));
    }
}

/// An opener that has derived the key and the base of the nonces that the RFC publishes, and the seal header for the
/// published message of a sequence number.
fn opener_of(vector: &Value) -> (Opener, impl Fn(u64) -> SealHeader + use<>) {
    let pair = recipient(vector);
    let (id, encapsulated_key) = (pair.id(), array(vector, "enc"));
    let secret = Secret::new(&array(vector, "key"), array(vector, "base_nonce")).unwrap();
    let opener = Opener::new(vec![pair]);
    opener.remember(id, encapsulated_key, secret);
    let seal = move |counter| SealHeader {
        profile: AlgorithmProfile::International,
        recipient_key_id: id,
        encapsulated_key,
        counter,
    };
    (opener, seal)
}

/// Our nonces, our associated data and our cipher, on the way that every envelope takes.
#[test]
fn the_opener_opens_every_published_message_and_nothing_beside_it() {
    let vector = published();
    let (opener, seal) = opener_of(&vector);
    let encryptions = vector["encryptions"].as_array().unwrap();
    assert_eq!(encryptions.len(), 257);
    let broken = Err(OpenError::Broken);
    // From the last to the first: an envelope opens by itself.
    for (counter, published) in encryptions.iter().enumerate().rev() {
        let counter = u64::try_from(counter).unwrap();
        let (aad, sealed) = (bytes(published, "aad"), bytes(published, "ct"));
        let nonce = Secret::new(&array(&vector, "key"), array(&vector, "base_nonce"))
            .map(|secret| *secret.nonce(counter).as_ref());
        assert_eq!(nonce, Some(array(published, "nonce")));
        assert_eq!(opener.open(&seal(counter), &aad, &sealed), Ok(bytes(published, "pt")));
        assert_eq!(opener.open(&seal(counter + 1), &aad, &sealed), broken);
        assert_eq!(opener.open(&seal(counter), &[aad.as_slice(), b"0"].concat(), &sealed), broken);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << (at % 8);
            assert_eq!(opener.open(&seal(counter), &aad, &changed), broken, "byte {at}");
        }
    }
}

/// The same key and nonces seal what the RFC publishes.
#[test]
fn the_cipher_seals_every_published_message() {
    let vector = published();
    let secret = Secret::new(&array(&vector, "key"), array(&vector, "base_nonce")).unwrap();
    for (counter, published) in (0..).zip(vector["encryptions"].as_array().unwrap()) {
        let (mut body, aad) = (bytes(published, "pt"), bytes(published, "aad"));
        let nonce = secret.nonce(counter);
        secret.key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut body).unwrap();
        assert_eq!(body, bytes(published, "ct"));
    }
}

/// An envelope as another implementation sealed it: what its header says of the seal, then header, body, sealed body.
type SealedElsewhere = (SealHeader, [Vec<u8>; 3]);

/// A key whose envelopes another implementation sealed, and those envelopes.
fn sealed_elsewhere() -> (Opener, Vec<SealedElsewhere>) {
    let golden: Value = serde_json::from_str(include_str!("../../testdata/seals.json")).unwrap();
    let pair = SealingKeyPair::from_private_bytes(&bytes(&golden, "recipient")).unwrap();
    assert_eq!(pair.id().as_slice(), bytes(&golden, "recipient_key_id"));
    let envelope = |of: &Value| {
        let seal = SealHeader {
            profile: AlgorithmProfile::International,
            recipient_key_id: pair.id(),
            encapsulated_key: array(&golden, "encapsulated_key"),
            counter: of["counter"].as_u64().unwrap(),
        };
        (seal, [bytes(of, "header"), bytes(of, "body"), bytes(of, "sealed")])
    };
    let envelopes = golden["envelopes"].as_array().unwrap().iter().map(envelope).collect();
    (Opener::new(vec![pair]), envelopes)
}

#[test]
fn opens_what_another_implementation_sealed() {
    let (opener, envelopes) = sealed_elsewhere();
    assert_eq!(envelopes.len(), 10);
    for (seal, [header, body, sealed]) in envelopes {
        assert!(seal.counter < COUNTER_MAX);
        assert_eq!(opener.open(&seal, &header, &sealed), Ok(body), "counter {}", seal.counter);
    }
    assert_eq!(opener.secrets(), 1);
}

/// Randomness that was published.
struct Published(Vec<u8>);

impl rand::RngCore for Published {
    fn next_u32(&mut self) -> u32 {
        unreachable!("keys are made of whole bytes")
    }
    fn next_u64(&mut self) -> u64 {
        unreachable!("keys are made of whole bytes")
    }
    fn fill_bytes(&mut self, to: &mut [u8]) {
        to.copy_from_slice(&self.0);
    }
}

impl rand::CryptoRng for Published {}

/// The sending end, with the ephemeral key of the RFC: the encapsulated key it publishes, and the very bytes of the
/// other implementation.
#[test]
fn a_sealer_with_the_published_randomness_seals_the_same_bytes() {
    let vector = published();
    let (_, envelopes) = sealed_elsewhere();
    let mut randomness = Published(bytes(&vector, "ikmE"));
    let recipient = recipient(&vector);
    let sealer = Sealer::new(recipient.public(), &mut randomness, UnixMillis::new(0)).unwrap();
    assert_eq!(sealer.encapsulated_key().as_slice(), bytes(&vector, "enc"));
    for (seal, [header, body, sealed]) in envelopes {
        assert_eq!(sealer.seal(seal.counter, &header, body), Ok(sealed), "{}", seal.counter);
    }
}

#[test]
fn opens_nothing_of_it_that_was_changed() {
    let (opener, envelopes) = sealed_elsewhere();
    let broken = Err(OpenError::Broken);
    let others: Vec<_> = envelopes.iter().map(|(seal, _)| seal.counter).collect();
    for (seal, [header, _, sealed]) in envelopes {
        // Each bit of the encapsulated key but the last, which X25519 ignores.
        for bit in 0..255 {
            let mut seal = seal;
            seal.encapsulated_key[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opener.open(&seal, &header, &sealed), broken, "bit {bit}");
        }
        for counter in others.iter().filter(|counter| **counter != seal.counter) {
            let seal = SealHeader { counter: *counter, ..seal };
            assert_eq!(opener.open(&seal, &header, &sealed), broken);
        }
        for cut in 0..sealed.len() {
            assert_eq!(opener.open(&seal, &header, &sealed[..cut]), broken);
        }
        assert_eq!(opener.open(&seal, &header, &[sealed.as_slice(), &[0]].concat()), broken);
        assert_eq!(opener.open(&seal, &[header.as_slice(), &[0]].concat(), &sealed), broken);
        for tag in 1..=TAG_BYTES {
            let mut changed = sealed.clone();
            let at = changed.len() - tag;
            changed[at] ^= 0x80;
            assert_eq!(opener.open(&seal, &header, &changed), broken);
        }
    }
}

/// The last bit of an encapsulated key is ignored by X25519, but it is in the key schedule: the same point written
/// differently opens nothing.
#[test]
fn another_spelling_of_the_encapsulated_key_is_another_key() {
    let (opener, envelopes) = sealed_elsewhere();
    let (mut seal, [header, _, sealed]) = envelopes.into_iter().next().unwrap();
    seal.encapsulated_key[31] ^= 0x80;
    assert_eq!(opener.open(&seal, &header, &sealed), Err(OpenError::Broken));
}

#[test]
fn points_of_small_order_are_refused_as_keys_and_as_encapsulated_keys() {
    let (opener, envelopes) = sealed_elsewhere();
    let (seal, [header, _, sealed]) = envelopes.into_iter().next().unwrap();
    for point in SMALL_ORDER {
        let key = SealingPublicKey::from_bytes(&hex(point)).unwrap();
        let made = Sealer::new(&key, &mut StdRng::seed_from_u64(1), UnixMillis::new(0));
        assert_eq!(made.unwrap_err(), UnusableKey, "{point}");
        let seal = SealHeader { encapsulated_key: hex(point).try_into().unwrap(), ..seal };
        assert_eq!(opener.open(&seal, &header, &sealed), Err(OpenError::Broken), "{point}");
        assert!(opener::context(&pair(1), &seal.encapsulated_key, INFO).is_err(), "{point}");
    }
    assert_eq!(opener.secrets(), 0, "what did not open is not kept");
    assert_eq!(SealingPublicKey::from_bytes(&[1; 31]).unwrap_err(), UnusableKey);
    assert_eq!(SealingPublicKey::from_bytes(&[1; 33]).unwrap_err(), UnusableKey);
}

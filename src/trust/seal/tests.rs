//! Tests of the seal: published vectors, round trips, and everything that must not open.

use domain::time::UnixMillis;
use exchange::{
    envelope::{AlgorithmProfile, SealHeader},
    keys::{OpenError, Opener as _, SealError, Sealer as _},
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use ring::aead::Aad;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn pair(seed: u64) -> SealingKeyPair {
    SealingKeyPair::generate(&mut StdRng::seed_from_u64(seed))
}

fn sealer(pair: &SealingKeyPair) -> Sealer {
    Sealer::new(pair.public(), &mut StdRng::seed_from_u64(99), UnixMillis::new(0)).unwrap()
}

/// Test vectors that RFC 9180 links (mode 0, KEM 0x0020, KDF 0x0001, AEAD 0x0002: DHKEM(X25519,
/// HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode): the exporter.
#[test]
fn exports_what_rfc_9180_publishes() {
    let pair = SealingKeyPair::from_private_bytes(&hex(
        "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
    ))
    .unwrap();
    assert_eq!(
        pair.public().as_bytes().as_slice(),
        hex("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c")
    );
    let encapsulated: [u8; 32] =
        hex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256").try_into().unwrap();
    let info = hex("4f6465206f6e2061204772656369616e2055726e");
    let context = opener::context(&pair, &encapsulated, &info).unwrap();
    for (of, exported) in [
        ("", "ded6cffafaea6b812cbf3e241e88332adbc077aca81512914213810ee291770a"),
        ("00", "04d3cb6cc116b28ffd22ad5bc276c60d31fec71ceb87ae24db811c64b7507339"),
        (
            "54657374436f6e74657874",
            "7c5ded445732c14fe09727d29b4251c0fd38455fe8440571e687f0886aac94d2",
        ),
    ] {
        let mut ours = [0; 32];
        context.export(&hex(of), &mut ours).unwrap();
        assert_eq!(ours.as_slice(), hex(exported), "exporter context {of:?}");
    }
}

/// The same vectors: our nonces and our cipher, given their key and nonce base.
#[test]
fn seals_what_rfc_9180_publishes() {
    let key = hex("f50b0609186798729ed0564b36ef2ef8044f1f9d05636874d1f46c819c7a669f");
    let base = hex("151d9929e2449747889bc923");
    let secret = Secret::new(&key.try_into().unwrap(), base.try_into().unwrap()).unwrap();
    let plain = b"Beauty is truth, truth beauty";
    for (counter, sealed) in VECTORS {
        let aad = format!("Count-{counter}");
        let mut body = plain.to_vec();
        secret
            .key
            .seal_in_place_append_tag(secret.nonce(counter), Aad::from(aad.as_bytes()), &mut body)
            .unwrap();
        assert_eq!(body, hex(sealed), "{aad}");
    }
}

const VECTORS: [(u64, &str); 6] = [
    (
        0,
        "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a",
    ),
    (
        1,
        "2c43aff25343fdbff864506f0818b9d87df84ea01b1a2144d23b4d40c26bf655fdf197fe40297a8aebeed5cc2d",
    ),
    (
        2,
        "e0a8f2cf92ff61215edbb8c55dc31fe9e2eb42a5685867bb6854211542099f9e940c4b41c192bc390835b1a5f7",
    ),
    (
        4,
        "448a8892f261cbb6bf5b7b64a4fae8a2c86492494b069c10525895d871c27c2f12cd17e0588fedaba9f7b0cd4c",
    ),
    (
        255,
        "f6ad1823eb0b932d04b6e23010eea64f1fe5edd0583dae5ba27ca6363f4ea104bd217331460ef4208040423641",
    ),
    (
        256,
        "53624f4f9f173453b14e633b45390ff54cacaa4428d44baee1bff8133fab1ab3afe60f88e4634b525c54e92eda",
    ),
];

/// Golden bytes, computed with Python's `cryptography` and HMAC from the text of the RFC and of
/// `docs/protocol.md` alone.
#[test]
fn opens_what_another_implementation_sealed() {
    let pair = SealingKeyPair::from_private_bytes(&hex(
        "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
    ))
    .unwrap();
    assert_eq!(pair.id().as_slice(), hex("69df8d73e7407153"));
    let encapsulated = hex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256");
    let seal = SealHeader {
        profile: AlgorithmProfile::International,
        recipient_key_id: pair.id(),
        encapsulated_key: encapsulated.try_into().unwrap(),
        counter: 258,
    };
    let sealed = hex("f98cb649fa7757d7ec9bfc5faa73051925d37ea2");
    assert_eq!(Opener::new(vec![pair]).open(&seal, b"header", &sealed), Ok(b"body".to_vec()));
}

#[test]
fn each_envelope_opens_by_itself_in_any_order() {
    let pair = pair(1);
    let sealer = sealer(&pair);
    let opener = Opener::new(vec![self::pair(2), pair]);
    let mut sealed: Vec<_> = (0..50_u8)
        .map(|n| {
            let seal = sealer.next_seal().unwrap();
            assert_eq!(seal.counter, u64::from(n));
            (seal, n, sealer.seal(seal.counter, &[n], vec![n; 512]).unwrap())
        })
        .collect();
    sealed.reverse();
    for (seal, n, body) in sealed {
        assert_eq!(body.len(), 512 + TAG_BYTES);
        assert_eq!(opener.open(&seal, &[n], &body), Ok(vec![n; 512]));
    }
    assert_eq!(opener.secrets(), 1);
}

#[test]
fn nothing_that_was_changed_opens() {
    let pair = pair(1);
    let sealer = sealer(&pair);
    let other = self::pair(3);
    let other_id = other.id();
    let opener = Opener::new(vec![pair, other]);
    let seal = sealer.next_seal().unwrap();
    let sealed = sealer.seal(seal.counter, b"header", b"body".to_vec()).unwrap();
    let mut changed = sealed.clone();
    changed[0] ^= 1;
    let with = |change: fn(&mut SealHeader)| {
        let mut seal = seal;
        change(&mut seal);
        opener.open(&seal, b"header", &sealed)
    };

    let broken = Err(OpenError::Broken);
    assert_eq!(opener.open(&seal, b"header", &changed), broken);
    assert_eq!(opener.open(&seal, b"Header", &sealed), broken);
    assert_eq!(opener.open(&seal, b"header", &sealed[..15]), broken);
    assert_eq!(opener.open(&seal, b"header", b""), broken);
    assert_eq!(with(|seal| seal.counter += 1), broken);
    assert_eq!(with(|seal| seal.encapsulated_key[5] ^= 1), broken);
    assert_eq!(with(|seal| seal.recipient_key_id = [0; 8]), Err(OpenError::OtherKey));
    let profile = |seal: &mut SealHeader| seal.profile = AlgorithmProfile::Shangmi;
    assert_eq!(with(profile), Err(OpenError::ProfileUnsupported));
    let elsewhere = SealHeader { recipient_key_id: other_id, ..seal };
    assert_eq!(opener.open(&elsewhere, b"header", &sealed), broken);
    assert_eq!(opener.secrets(), 0, "what did not open is not kept");
    assert!(opener.open(&seal, b"header", &sealed).is_ok());
}

#[test]
fn keys_of_small_order_are_refused() {
    let zero = SealingPublicKey::from_bytes(&[0; 32]).unwrap();
    let made = Sealer::new(&zero, &mut StdRng::seed_from_u64(1), UnixMillis::new(0));
    assert_eq!(made.unwrap_err(), UnusableKey);
    assert_eq!(SealingPublicKey::from_bytes(&[1; 31]).unwrap_err(), UnusableKey);

    let pair = pair(1);
    let seal = SealHeader { encapsulated_key: [0; 32], ..sealer(&pair).next_seal().unwrap() };
    assert_eq!(Opener::new(vec![pair]).open(&seal, b"", &[0; 64]), Err(OpenError::Broken));
}

#[test]
fn the_counter_ends() {
    let sealer = sealer(&pair(1));
    sealer.exhaust();
    assert_eq!(sealer.next_seal(), Err(SealError::CounterExhausted));
}

#[test]
fn two_sealers_never_share_a_secret() {
    let pair = pair(1);
    let mut rng = StdRng::seed_from_u64(5);
    let one = Sealer::new(pair.public(), &mut rng, UnixMillis::new(0)).unwrap();
    let two = Sealer::new(pair.public(), &mut rng, UnixMillis::new(0)).unwrap();
    assert_ne!(one.encapsulated_key(), two.encapsulated_key());
    let (one, two) = (one.seal(0, b"", vec![7; 9]).unwrap(), two.seal(0, b"", vec![7; 9]).unwrap());
    assert_ne!(one, two);
}

#[test]
fn threads_never_get_the_same_number() {
    let sealer = sealer(&pair(1));
    let mut numbers: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| (0..500).map(|_| sealer.next_seal().unwrap().counter).collect())
            })
            .collect();
        threads.into_iter().flat_map(|thread| -> Vec<u64> { thread.join().unwrap() }).collect()
    });
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 2_000);
}

#[test]
fn a_sealer_is_stale_after_a_day_and_when_the_clock_goes_back() {
    let made = UnixMillis::new(1_800_000_000_000);
    let sealer = Sealer::new(pair(1).public(), &mut StdRng::seed_from_u64(1), made).unwrap();
    let day_ms = 24 * 60 * 60 * 1000;
    assert!(!sealer.is_stale(made));
    assert!(!sealer.is_stale(UnixMillis::new(made.get() + day_ms - 1)));
    assert!(sealer.is_stale(UnixMillis::new(made.get() + day_ms)));
    assert!(sealer.is_stale(UnixMillis::new(made.get() - 1)));
}

#[test]
fn private_keys_are_never_printed() {
    let pair = pair(1);
    let secret: String = pair.private_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let again = SealingKeyPair::from_private_bytes(pair.private_bytes().as_slice()).unwrap();
    assert_eq!(again.public(), pair.public());
    let printed = format!("{pair:?} {:?} {:?}", sealer(&pair), Opener::new(vec![again]));
    assert!(!printed.contains(&secret[..8]), "{printed}");
    assert!(printed.contains("private .."), "{printed}");
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        header in proptest::collection::vec(any::<u8>(), 0..200),
        body in proptest::collection::vec(any::<u8>(), 0..3_000),
        counter in 0..COUNTER_MAX,
    ) {
        let pair = pair(1);
        let sealer = sealer(&pair);
        let seal = SealHeader { counter, ..sealer.next_seal().unwrap() };
        let sealed = sealer.seal(counter, &header, body.clone()).unwrap();
        prop_assert_eq!(sealed.len(), body.len() + TAG_BYTES);
        prop_assert_eq!(Opener::new(vec![pair]).open(&seal, &header, &sealed), Ok(body));
    }

    #[test]
    fn no_two_numbers_give_one_nonce(base in any::<[u8; 12]>(), a in any::<u64>(), b in any::<u64>()) {
        let secret = Secret::new(&[0; AEAD_KEY_BYTES], base).unwrap();
        let (one, two) = (secret.nonce(a), secret.nonce(b));
        prop_assert_eq!(one.as_ref() == two.as_ref(), a == b);
    }
}

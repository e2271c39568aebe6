//! Tests of the seal: published vectors, round trips, and everything that must not open.

mod vectors;

use domain::time::UnixMillis;
use exchange::{
    envelope::{AlgorithmProfile, SealHeader},
    keys::{OpenError, Opener as _, SealError, Sealer as _},
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

use super::*;

fn pair(seed: u64) -> SealingKeyPair {
    SealingKeyPair::generate(&mut StdRng::seed_from_u64(seed))
}

fn sealer(pair: &SealingKeyPair) -> Sealer {
    Sealer::new(pair.public(), &mut StdRng::seed_from_u64(99), UnixMillis::new(0)).unwrap()
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

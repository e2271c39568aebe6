//! Our sealing keys: the newest is the one to seal with, the others open what is still under way.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::card::{CARD_KEYS_MAX, SealingKey};
use exchange::envelope::{AlgorithmProfile, SealHeader};
use exchange::keys::OpenError;
use store::messages::SealingKeyRow;
use store::tables::SEALING_KEY;
use store::{Store, Unit};
use trust::seal::{Opener, SealingKeyPair};
use zeroize::Zeroizing;

use crate::app::{AppError, Refusal};

/// How long senders may use a key after the card that named it was signed: longer than a card is used for sealing, so
/// that it is the card's end that decides.
const KEY_USE: Duration = Duration::from_secs(90 * 86_400);
/// How long a key still opens after another took its place. A card may seal for 60 days after it was signed, and what
/// was sealed with it may be under way for 90 more; then there is a month to spare.
pub const KEY_KEPT: Duration = Duration::from_secs(180 * 86_400);

/// Our sealing keys.
#[derive(Debug)]
pub struct SealingKeys {
    store: Store,
    // Swapped whole when a key comes or goes.
    held: ArcSwap<Held>,
}

#[derive(Debug)]
struct Held {
    opener: Opener,
    /// When each was made, newest first, in the order of the opener's keys.
    created: Vec<UnixMillis>,
}

impl Held {
    fn of(rows: &[(u64, SealingKeyRow)]) -> Result<Self, AppError> {
        let newest_first = || rows.iter().rev();
        let pairs = newest_first().map(|(_, row)| SealingKeyPair::from_private_bytes(&row.private));
        let pairs: Result<Vec<_>, _> = pairs.collect();
        let pairs = pairs.map_err(|_| AppError::Internal("a sealing key is unusable"))?;
        let created = newest_first().map(|(created, _)| UnixMillis::new(*created)).collect();
        Ok(Self { opener: Opener::new(pairs), created })
    }
}

impl SealingKeys {
    /// Takes up the keys that are kept; the first start makes one, and those that nothing under way can be sealed with
    /// any more are destroyed.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn open(store: &Store, now: UnixMillis) -> Result<Self, AppError> {
        let rows = store.commit_blocking(move |unit| {
            let mut rows = let_go(unit, now)?;
            if rows.is_empty() {
                rows.push(add(unit, now)?);
            }
            Ok::<_, AppError>(rows)
        });
        let held = Held::of(&rows.map_err(AppError::from)?)?;
        Ok(Self { store: store.clone(), held: ArcSwap::from_pointee(held) })
    }

    /// Makes a new key, which is the one to seal with from the next card on; destroys those that are not needed any
    /// more.
    ///
    /// # Errors
    /// `STATE_FORBIDS` while so many keys are still needed that there is no room for another; when the store fails.
    pub async fn rotate(&self, now: UnixMillis) -> Result<(), AppError> {
        let rows = self.store.commit(move |unit| {
            let mut rows = let_go(unit, now)?;
            if rows.len() >= CARD_KEYS_MAX {
                let free = rows.get(1).map(|(created, _)| UnixMillis::new(*created));
                let free = free.map_or(now, |superseded| superseded.saturating_add(KEY_KEPT));
                let text = format!(
                    "all {CARD_KEYS_MAX} keys are still needed; the oldest is let go on {}",
                    free.date()
                );
                return Err(Refusal::new(Reason::StateForbids).detail(text).into());
            }
            // Also when the clock was set back: the newest is the last.
            let newest = rows.last().map_or(0, |(created, _)| *created);
            rows.push(add(unit, now.max(UnixMillis::new(newest.saturating_add(1))))?);
            Ok::<_, AppError>(rows)
        });
        let held = Held::of(&rows.await.map_err(AppError::from)?)?;
        self.held.store(Arc::new(held));
        Ok(())
    }

    /// When the key was made that is to be sealed with.
    #[must_use]
    pub fn newest(&self) -> UnixMillis {
        self.held.load().created.first().copied().unwrap_or(UnixMillis::new(0))
    }

    /// The keys as a card signed now names them.
    #[must_use]
    pub fn for_card(&self, now: UnixMillis) -> Vec<SealingKey> {
        let held = self.held.load();
        let keys = held.opener.keys().iter().zip(&held.created).enumerate();
        let key = |(index, (pair, _)): (usize, (&SealingKeyPair, _))| {
            // An older one has been out of use since the next was made.
            let newer = index.checked_sub(1).and_then(|before| held.created.get(before));
            SealingKey {
                profile: AlgorithmProfile::International,
                public_key: *pair.public().as_bytes(),
                use_until: newer.copied().unwrap_or(now).saturating_add(KEY_USE),
            }
        };
        keys.map(key).collect()
    }
}

impl exchange::keys::Opener for SealingKeys {
    fn open(&self, seal: &SealHeader, header: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        self.held.load().opener.open(seal, header, sealed)
    }

    fn reveal(&self, seal: &SealHeader) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.held.load().opener.reveal(seal)
    }
}

/// Destroys the keys that nothing under way can be sealed with any more, and gives the others, oldest first.
fn let_go(unit: &mut Unit<'_>, now: UnixMillis) -> Result<Vec<(u64, SealingKeyRow)>, AppError> {
    let mut rows = unit.scan(&SEALING_KEY, .., usize::MAX)?;
    // The second one was made when the first was superseded.
    while let Some((superseded, _)) = rows.get(1)
        && now.since(UnixMillis::new(*superseded)) >= KEY_KEPT
    {
        let (oldest, _) = rows.remove(0);
        unit.delete(&SEALING_KEY, &oldest);
    }
    Ok(rows)
}

fn add(unit: &mut Unit<'_>, created: UnixMillis) -> Result<(u64, SealingKeyRow), AppError> {
    let pair = SealingKeyPair::generate(&mut rand::rng());
    let row = SealingKeyRow { private: *pair.private_bytes(), created };
    unit.put(&SEALING_KEY, &created.get(), &row)?;
    Ok((created.get(), row))
}

#[cfg(test)]
mod tests {
    use exchange::keys::{Opener as _, Sealer as _};
    use store::{DataKey, Options};
    use trust::seal::{Sealer, SealingPublicKey};

    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_794_326_400_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn store() -> (Store, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let key = DataKey::create(&dir.path().join("key")).unwrap();
        let options = Options::new("410522", key, NOW);
        (Store::open(&dir.path().join("store"), options).unwrap().0, dir)
    }

    fn sealed_for(key: &SealingKey) -> (SealHeader, Vec<u8>) {
        let public = SealingPublicKey::from_bytes(&key.public_key).unwrap();
        let sealer = Sealer::new(&public, &mut rand::rng(), NOW).unwrap();
        let seal = sealer.next_seal().unwrap();
        let sealed = sealer.seal(seal.counter, b"header", b"body".to_vec()).unwrap();
        (seal, sealed)
    }

    #[tokio::test]
    async fn what_was_sealed_to_an_old_key_opens_until_none_can_be_under_way() {
        let (store, _dir) = store();
        let keys = SealingKeys::open(&store, NOW).unwrap();
        let first = keys.for_card(NOW)[0];
        let (seal, sealed) = sealed_for(&first);
        keys.rotate(NOW.saturating_add(60 * DAY)).await.unwrap();
        let card = keys.for_card(NOW.saturating_add(61 * DAY));
        assert_ne!(card[0].public_key, first.public_key);
        assert_eq!(card[1].public_key, first.public_key);
        assert_eq!(card[0].use_until, NOW.saturating_add(151 * DAY));
        assert_eq!(card[1].use_until, NOW.saturating_add(150 * DAY));
        assert_eq!(keys.open(&seal, b"header", &sealed), Ok(b"body".to_vec()));
        // It is there after a restart, and for 180 days after the rotation.
        let last = NOW.saturating_add(240 * DAY).saturating_sub(Duration::from_millis(1));
        let keys = SealingKeys::open(&store, last).unwrap();
        assert_eq!(keys.open(&seal, b"header", &sealed), Ok(b"body".to_vec()));
        let keys = SealingKeys::open(&store, NOW.saturating_add(240 * DAY)).unwrap();
        assert_eq!(keys.open(&seal, b"header", &sealed), Err(OpenError::OtherKey));
        assert_eq!(keys.for_card(NOW).len(), 1);
    }

    #[tokio::test]
    async fn no_key_is_pushed_out_while_it_is_needed() {
        let (store, _dir) = store();
        let keys = SealingKeys::open(&store, NOW).unwrap();
        let first = keys.for_card(NOW)[0];
        let (seal, sealed) = sealed_for(&first);
        for _ in 1..CARD_KEYS_MAX {
            // The clock stands still, and even so each key is newer than the one before.
            keys.rotate(NOW).await.unwrap();
        }
        assert_eq!(keys.newest().get(), NOW.get() + 7);
        let refused = keys.rotate(NOW).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::StateForbids);
        let text = refused.refusal().unwrap().detail.clone().unwrap();
        assert!(text.ends_with("let go on 2027-05-10"), "{text}");
        assert_eq!(keys.open(&seal, b"header", &sealed), Ok(b"body".to_vec()));
        keys.rotate(NOW.saturating_add(181 * DAY)).await.unwrap();
        assert_eq!(keys.for_card(NOW).len(), 2);
    }
}

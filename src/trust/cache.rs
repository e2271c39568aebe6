//! A bounded map that forgets what has not been asked for lately.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{PoisonError, RwLock},
};

/// Two generations of entries, each at most half the bound.
///
/// When the young generation is full it becomes the old one and the old one is dropped; what is
/// asked for moves to the young one. This keeps what is used, as an LRU list would, while a hit
/// among the young takes only a read lock: the readers of a busy node do not queue behind each
/// other.
pub(crate) struct Cache<K, V> {
    half: usize,
    generations: RwLock<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// A cache of at most `entries_max` entries (at least two).
    pub(crate) fn new(entries_max: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new() };
        Self { half: (entries_max / 2).max(1), generations: RwLock::new(generations) }
    }

    /// The value under a key; counts as use.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        {
            let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = generations.young.get(key) {
                return Some(value.clone());
            }
            if !generations.old.contains_key(key) {
                return None;
            }
        }
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        // Between the two locks another thread may have moved or dropped it.
        let Some((key, value)) = generations.old.remove_entry(key) else {
            return generations.young.get(key).cloned();
        };
        generations.insert(self.half, key, value.clone());
        Some(value)
    }

    /// Puts a value under a key; may drop the generation not used lately.
    pub(crate) fn insert(&self, key: K, value: V) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        generations.insert(self.half, key, value);
    }

    /// Number of entries kept.
    pub(crate) fn len(&self) -> usize {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        generations.young.len() + generations.old.len()
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn insert(&mut self, half: usize, key: K, value: V) {
        if self.young.len() >= half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }
}

impl<K: Eq + Hash, V: Clone> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret; the count is all that is said.
        f.debug_struct("Cache").field("entries", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn never_holds_more_than_its_bound() {
        let cache = Cache::new(16);
        for n in 0..1_000_u32 {
            cache.insert(n, n);
            assert!(cache.len() <= 16);
        }
        assert_eq!(cache.get(&999), Some(999));
        assert_eq!(cache.get(&0), None);
    }

    #[test]
    fn what_is_used_stays() {
        let cache = Cache::new(16);
        cache.insert(u32::MAX, 7);
        for n in 0..1_000_u32 {
            cache.insert(n, n);
            assert_eq!(cache.get(&u32::MAX), Some(7));
        }
    }

    #[test]
    fn a_key_has_one_value() {
        let cache = Cache::new(4);
        for n in 0..100_u32 {
            cache.insert(n % 3, n);
            assert_eq!(cache.get(&(n % 3)), Some(n));
        }
        assert!(cache.len() <= 3);
    }
}

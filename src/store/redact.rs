//! Replacing an entry of a journal: what a person has taken back is taken out of the page it was packed in.

use crate::core::slices;
use crate::engine::Bytes;
use crate::error::StoreError;
use crate::journal::{Journal, Tail, pages_until};
use crate::key::Key;
use crate::unit::Unit;

impl Unit<'_> {
    /// Puts another entry, no longer than the one that was there, at a position of a journal that is
    /// [`Journal::redactable`]. Says whether there was one. Also for what this very group has appended.
    ///
    /// # Errors
    /// [`StoreError::Permanent`] for a journal whose entries never change; [`StoreError::TooLarge`] for one that is longer;
    /// else when its page cannot be read.
    pub fn redact<K: Key>(
        &mut self,
        journal: &Journal<K>,
        key: &K,
        position: u64,
        entry: &[u8],
    ) -> Result<bool, StoreError> {
        if !journal.is_redactable() {
            return Err(StoreError::Permanent(journal.name()));
        }
        let Some(before) = self.read(journal, key, position)? else { return Ok(false) };
        if entry.len() > before.len() {
            let (bytes, limit) = (entry.len(), before.len());
            return Err(StoreError::TooLarge { table: journal.name(), bytes, limit });
        }
        let head = journal.head(key);
        if self.redact_tail(&head, position, entry) {
            return Ok(true);
        }
        let range = pages_until(head.as_slice(), position);
        let found = self.core().engine.range(slices(&range)).next_back().transpose()?;
        let Some((page_key, on_disk)) = found else { return Ok(false) };
        // An entry beside it may have been replaced in this very group.
        let value = self.bytes(&page_key)?.unwrap_or(on_disk);
        let page = journal.kind().page(&self.core().keys, &page_key, &value)?;
        let mut again = Tail::new(journal.kind(), page.first());
        for at in page.first()..page.next() {
            again.push(if at == position { entry } else { page.entry(at).unwrap_or_default() });
        }
        let (mut rows, mut scratch) = (Vec::new(), Vec::new());
        again.pages(&self.core().keys, head.as_slice(), &mut scratch, |key, value| {
            rows.push((Bytes::from(key), Bytes::from(value)));
        })?;
        for (key, value) in rows {
            self.scrub_row(key.clone());
            self.write(key, Some(value));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use crate::tables::{ACCESS, ENVELOPE};
    use crate::{DataKey, Options, Store};

    const LANE: ([u8; 7], u64) = ([1; 7], 9);

    fn entries(store: &Store, count: u64) -> Vec<Vec<u8>> {
        (1..=count).map(|at| store.read(&ENVELOPE, &LANE, at).unwrap().unwrap()).collect()
    }

    #[test]
    fn an_entry_is_gone_from_its_page_and_its_neighbours_stay() {
        let dir = tempfile::tempdir().unwrap();
        let now = domain::time::UnixMillis::new(1_772_323_200_000);
        let options = || Options::new("410522", DataKey::from_bytes([7; 32]), now);
        let (store, _) = Store::open(dir.path(), options()).unwrap();
        let wrote = store.commit_blocking(|unit| {
            (0..5_u8).try_for_each(|byte| unit.append(&ENVELOPE, &LANE, &[byte; 100]).map(drop))
        });
        wrote.unwrap();
        let redacted = store.commit_blocking(|unit| {
            // One that is on disk, its neighbour, and one of this group.
            assert!(unit.redact(&ENVELOPE, &LANE, 2, b"two")?);
            assert!(unit.redact(&ENVELOPE, &LANE, 3, b"three")?);
            unit.append(&ENVELOPE, &LANE, &[9; 100])?;
            assert!(unit.redact(&ENVELOPE, &LANE, 6, b"six")?);
            assert_eq!(unit.read(&ENVELOPE, &LANE, 6)?.unwrap(), b"six");
            assert!(!unit.redact(&ENVELOPE, &LANE, 7, b"none")?);
            unit.append(&ENVELOPE, &LANE, &[10; 10]).map(drop)
        });
        redacted.unwrap();
        let expected: Vec<&[u8]> =
            vec![&[0; 100], b"two", b"three", &[3; 100], &[4; 100], b"six", &[10; 10]];
        assert_eq!(entries(&store, 7), expected);
        // What a unit that fails has taken out is back.
        let failed = store.commit_blocking(|unit| {
            unit.redact(&ENVELOPE, &LANE, 1, b"one")?;
            unit.append(&ENVELOPE, &LANE, &[7; 20])?;
            unit.redact(&ENVELOPE, &LANE, 8, b"eight")?;
            unit.redact(&ACCESS, &(), 1, b"")?;
            Ok::<_, crate::StoreError>(())
        });
        assert!(failed.is_err(), "a log is never changed");
        assert_eq!(entries(&store, 7), expected);
        let longer = store.commit_blocking(|unit| unit.redact(&ENVELOPE, &LANE, 2, b"longer"));
        assert!(longer.is_err());
        drop(store);
        let (store, _) = Store::open(dir.path(), options()).unwrap();
        assert_eq!(entries(&store, 7), expected, "after a restart");
    }
}

//! A unit of work on a simulated disk: reads and writes that become visible together or not at all.

use std::ops::RangeInclusive;

use super::rows::{Key, Row};
use super::{Rows, Writes};

/// A unit under way. It sees what is on disk, what the units before it in the group wrote, and its own writes.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    rows: &'a Rows,
    group: &'a mut Writes,
    /// What the group had under each key that this unit has written, in order.
    undo: Vec<(Key, Option<Option<Row>>)>,
}

impl<'a> Unit<'a> {
    pub(crate) const fn new(rows: &'a Rows, group: &'a mut Writes) -> Self {
        Self { rows, group, undo: Vec::new() }
    }

    /// A row.
    pub(crate) fn get(&self, key: &Key) -> Option<&Row> {
        match self.group.get(key) {
            Some(pending) => pending.as_ref(),
            None => self.rows.get(key),
        }
    }

    /// Whether there is a row.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    /// Writes a row.
    pub(crate) fn put(&mut self, key: Key, row: impl Into<Row>) {
        self.write(key, Some(row.into()));
    }

    /// Deletes a row, if there is one.
    pub(crate) fn delete(&mut self, key: Key) {
        if self.contains(&key) {
            self.write(key, None);
        }
    }

    fn write(&mut self, key: Key, row: Option<Row>) {
        let before = self.group.insert(key, row);
        self.undo.push((key, before));
    }

    /// Rows of a range, in the order of their keys.
    pub(crate) fn scan(&self, range: RangeInclusive<Key>) -> Vec<(Key, Row)> {
        let mut found: Rows =
            self.rows.range(range.clone()).map(|(key, row)| (*key, row.clone())).collect();
        for (key, pending) in self.group.range(range) {
            match pending {
                Some(row) => drop(found.insert(*key, row.clone())),
                None => drop(found.remove(key)),
            }
        }
        found.into_iter().collect()
    }

    /// The last key of a range.
    pub(crate) fn last(&self, range: RangeInclusive<Key>) -> Option<Key> {
        let pending = self.group.range(range.clone()).rev();
        let pending = pending.filter(|(_, row)| row.is_some()).map(|(key, _)| *key).next();
        let on_disk = self.rows.range(range).rev().map(|(key, _)| *key);
        let on_disk = on_disk.into_iter().find(|key| self.contains(key));
        pending.max(on_disk)
    }

    /// Takes every write of this unit back.
    pub(super) fn roll_back(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(pending) => drop(self.group.insert(key, pending)),
                None => drop(self.group.remove(&key)),
            }
        }
    }
}

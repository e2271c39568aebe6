//! A table read from its beginning to its end, a page at a time: whatever its size it takes little memory, and rows may come
//! and go meanwhile. What is there all the time is met once.

use std::ops::{Bound, RangeBounds};

use crate::error::StoreError;
use crate::key::Key;
use crate::store::Store;
use crate::table::{Direct, Table};
use crate::value::Value;

/// Pages of a table that are still to come; see [`Store::pages`].
#[derive(Debug)]
pub struct Pages<'a, K, V, P> {
    store: &'a Store,
    table: Table<K, V, P>,
    rest: (Bound<K>, Bound<K>),
    rows: usize,
}

impl Store {
    /// Rows of a range in the order of their keys, `rows` at a time. No page is empty.
    pub fn pages<K: Key + Clone, V: Value, P: Direct>(
        &self,
        table: &Table<K, V, P>,
        range: impl RangeBounds<K>,
        rows: usize,
    ) -> Pages<'_, K, V, P> {
        let rest = (range.start_bound().cloned(), range.end_bound().cloned());
        Pages { store: self, table: *table, rest, rows }
    }
}

impl<K: Key + Clone, V: Value, P: Direct> Iterator for Pages<'_, K, V, P> {
    type Item = Result<Vec<(K, V)>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.store.scan(&self.table, self.rest.clone(), self.rows) {
            Ok(page) => {
                let (last, _) = page.last()?;
                self.rest.0 = Bound::Excluded(last.clone());
                Some(Ok(page))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

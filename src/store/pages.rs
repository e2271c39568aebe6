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
    back: bool,
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
        Pages { store: self, table: *table, rest, rows, back: false }
    }

    /// The same from the end of the range: the last row first.
    pub fn pages_back<K: Key + Clone, V: Value, P: Direct>(
        &self,
        table: &Table<K, V, P>,
        range: impl RangeBounds<K>,
        rows: usize,
    ) -> Pages<'_, K, V, P> {
        Pages { back: true, ..self.pages(table, range, rows) }
    }
}

impl<K: Key + Clone, V: Value, P: Direct> Iterator for Pages<'_, K, V, P> {
    type Item = Result<Vec<(K, V)>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.clone();
        let page = match self.back {
            true => self.store.scan_back(&self.table, rest, self.rows),
            false => self.store.scan(&self.table, rest, self.rows),
        };
        let page = match page {
            Ok(page) => page,
            Err(error) => return Some(Err(error)),
        };
        let last = Bound::Excluded(page.last()?.0.clone());
        if self.back {
            self.rest.1 = last;
        } else {
            self.rest.0 = last;
        }
        Some(Ok(page))
    }
}

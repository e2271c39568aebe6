//! Pages: what goes in comes out, in order, within the limits.

use proptest::prelude::*;

use super::*;
use crate::limits::{JOURNAL_ENTRY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::seal::DataKey;

fn keys() -> Keys {
    Keys::new(DataKey::from_bytes([7; 32]))
}

fn pages(tail: &Tail, head: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = vec![];
    let mut scratch = vec![];
    tail.pages(&keys(), head, &mut scratch, |key, value| rows.push((key.to_vec(), value.to_vec())))
        .unwrap();
    rows
}

proptest! {
    #[test]
    fn entries_come_back_in_order(
        entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6000), 1..40),
        sealed: bool,
        first in 0_u64..1_000_000,
    ) {
        let journal = Journal::<u8>::new("j-1", 3);
        let kind = if sealed { journal.sealed().kind() } else { journal.kind() };
        let mut tail = Tail::new(kind, first);
        entries.iter().for_each(|entry| {
        tail.push(entry);
    });
        prop_assert_eq!(tail.entries().collect::<Vec<_>>(), entries.clone());
        let mut next = first;
        for (key, value) in pages(&tail, &[3, 9]) {
            prop_assert!(value.len() <= JOURNAL_PAGE_BYTES + 64);
            let page = kind.page(&keys(), &key, &value).unwrap();
            prop_assert_eq!(page.first(), next);
            while next < page.next() {
                let index = usize::try_from(next - first).unwrap();
                prop_assert_eq!(page.entry(next), Some(entries[index].as_slice()));
                prop_assert_eq!(tail.entry(next), Some(entries[index].as_slice()));
                next += 1;
            }
            prop_assert_eq!(page.entry(next), None);
        }
        prop_assert_eq!(next, tail.next());
    }

    #[test]
    fn no_page_makes_it_panic(value: Vec<u8>, position: u64) {
        let kind = Journal::<u8>::new("j-1", 3).kind();
        let key = page_key(&[3, 9], 5);
        if let Ok(page) = kind.page(&keys(), key.as_slice(), &value) {
            drop(page.entry(position).map(<[u8]>::to_vec));
        }
        let mut clear = vec![CLEAR];
        clear.extend_from_slice(&value);
        if let Ok(page) = kind.page(&keys(), key.as_slice(), &clear) {
            drop(page.entry(5).map(<[u8]>::to_vec));
        }
    }
}

#[test]
fn a_large_entry_has_a_page_of_its_own() {
    let mut tail = Tail::new(Journal::<u8>::new("j-1", 3).kind(), 1);
    tail.push(&[1; 10]);
    tail.push(&[2; JOURNAL_ENTRY_BYTES_MAX]);
    tail.push(&[3; 10]);
    let rows = pages(&tail, &[3, 9]);
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|(_, value)| value.len() < VALUE_BYTES_MAX));
}

#[test]
fn what_is_taken_back_leaves_no_trace() {
    let mut tail = Tail::new(Journal::<u8>::new("j-1", 3).kind(), 1);
    tail.push(b"kept");
    tail.push(b"gone");
    tail.pop();
    tail.push(b"new");
    assert_eq!(tail.entries().collect::<Vec<_>>(), [b"kept".as_slice(), b"new"]);
    tail.pop();
    tail.pop();
    assert!(tail.is_empty());
}

#[test]
fn the_layout_is_frozen() {
    let mut tail = Tail::new(Journal::<u8>::new("j-1", 3).kind(), 258);
    tail.push(b"ab");
    tail.push(b"c");
    let rows = pages(&tail, &[3, 9]);
    assert_eq!(rows[0].0, [3, 9, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(rows[0].1, [1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, b'a', b'b', b'c']);
}

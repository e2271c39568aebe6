//! The digest of a pair: of its entries, of nothing else, in whatever order they came.

use proptest::prelude::*;

use super::*;
use crate::samples::area;
use crate::samples::message_id;

/// Both ways between two counties of either side.
fn pair(number: u64) -> Pair {
    let here = if number & 1 == 0 { area("410522") } else { area("410524") };
    let there = if number & 2 == 0 { area("440305") } else { area("440307") };
    if number & 4 == 0 { (here, there) } else { (there, here) }
}

fn entry((number, seal, state): (u64, u8, usize)) -> Entry {
    let (from, to) = pair(number);
    let digest = Digest::of(&[seal]);
    Entry { id: message_id(number), digest, from, to, state: EntryState::ALL[state % 3] }
}

fn set(entries: &[Entry]) -> EntrySet {
    let mut set = EntrySet::new();
    entries.iter().for_each(|entry| set.say(*entry));
    set
}

#[test]
fn a_digest_has_the_bytes_the_protocol_describes() {
    let (one, other) = (entry((0, 1, 1)), entry((8, 2, 2)));
    assert_eq!((one.from, one.to), (other.from, other.to));
    let mut by_hand = b"liangdi/v1/statement entries\x00410522440305".to_vec();
    by_hand.extend(pack_entry(&one));
    by_hand.extend(pack_entry(&other));
    let held = Held::of(&set(&[other, one]));
    assert_eq!(held.digests.0, [(pair(0), Digest::of(&by_hand))].into());
    let counts = Counts { stored: 1, refused: 1, waiting: 0 };
    assert_eq!(held.totals.0, [(pair(0), counts)].into());
}

proptest! {
    #[test]
    fn any_change_of_one_entry_changes_the_digest_of_its_pair_and_of_no_other(
        words in proptest::collection::btree_map(0..400_u64, (0..4_u8, 0..3_usize), 1..120),
        seed in any::<u64>(),
        at in any::<prop::sample::Index>(),
        change in 0..4_u8,
    ) {
        let mut entries: Vec<_> =
            words.into_iter().map(|(n, (seal, state))| entry((n, seal, state))).collect();
        let held = Held::of(&set(&entries));
        prop_assert!(held.totals.0.keys().eq(held.digests.0.keys()));

        // The same in another order, some of it said twice.
        let mut shuffled = entries.clone();
        shuffled.sort_by_key(|it| Digest::of_parts(&[&seed.to_be_bytes(), it.id.as_bytes()]));
        let again: Vec<_> = shuffled.iter().chain(entries.iter().take(7)).copied().collect();
        prop_assert_eq!(&Held::of(&set(&again)), &held);

        // In portions, days after days.
        let index = at.index(entries.len());
        let mut holding = Holding::default();
        entries.sort_by_key(|it| it.id);
        let (first, last) = entries.split_at(index);
        [first, last].into_iter().for_each(|part| holding.take(&set(part)));
        prop_assert_eq!(&holding.end(), &held);

        let before = entries[index];
        match change {
            0 => entries[index].digest = Digest::of(b"another envelope"),
            1 => entries[index].state = EntryState::ALL[usize::from(before.state.byte()) % 3],
            2 => entries[index].id = message_id(1_000),
            _ => drop(entries.remove(index)),
        }
        let now = Held::of(&set(&entries));
        let of = (before.from, before.to);
        for pair in held.digests.0.keys() {
            let same = held.digests.0.get(pair) == now.digests.0.get(pair);
            prop_assert_eq!(same, *pair != of, "{:?}", pair);
        }

        // With the word of before instead of the present one it is what it was.
        let mut words = BTreeMap::from([(before.id, Some(before))]);
        if change == 2 {
            words.insert(message_id(1_000), None);
        }
        prop_assert_eq!(Held::with(&set(&entries), &words), held);
    }
}

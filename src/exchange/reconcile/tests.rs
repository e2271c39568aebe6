//! Any two sets decode to exactly what they differ in; whatever else is said ends in a named error.

mod histories;

use proptest::prelude::*;

use super::decoder::Decoder;
use super::difference::Difference;
use super::difference::DifferenceName;
use super::key::NONCE_BYTES;
use super::key::SessionKey;
use super::packed;
use super::session::Answer;
use super::session::Answerer;
use super::session::Ask;
use super::session::Asker;
use super::session::Follows;
use super::session::Lacks;
use super::session::Measured;
use super::session::SessionError;
use super::session::UNMATCHED_MAX;
use super::set::EntrySet;
use super::set::Scope;
use super::symbol::Encoder;
use super::symbol::Symbol;
use super::*;
use crate::ledger::Direction;
use crate::samples::NOW;
use crate::samples::area;
use crate::samples::message_id;

mod lying;
mod portions;

const NONCES: [[u8; NONCE_BYTES]; 2] = [[1; 16], [2; 16]];

fn key() -> SessionKey {
    SessionKey::of(&NONCES[0], &NONCES[1])
}

/// A message from 410522 to 440305, or back when `number` is odd.
fn entry(number: u64, state: EntryState) -> Entry {
    let (from, to) = (area("410522"), area("440305"));
    let (from, to) = if number.is_multiple_of(2) { (from, to) } else { (to, from) };
    let id = message_id(number);
    Entry { id, digest: Digest::of(id.as_bytes()), from, to, state }
}

fn scope() -> Scope {
    Scope {
        asker: area("410000"),
        answerer: area("440000"),
        first: NOW.date().plus_days(-1),
        last: NOW.date().plus_days(1),
        until: NOW.saturating_add(std::time::Duration::from_secs(1)),
    }
}

fn set(entries: impl IntoIterator<Item = Entry>) -> EntrySet {
    let mut set = EntrySet::new();
    entries.into_iter().for_each(|entry| set.say(entry));
    set
}

/// All symbols that may come.
fn symbols(answerer: &mut Answerer) -> Vec<Answer> {
    std::iter::from_fn(|| answerer.next_symbols()).collect()
}

/// A whole conversation. Also gives all bytes of the answers that carry sets.
fn talk(ours: EntrySet, theirs: EntrySet) -> Result<(Asker, Answerer), SessionError> {
    talk_lacking(ours, theirs, [Lacks::default(), Lacks::default()])
}

/// The same, while both sides do not know everything of their counties.
fn talk_lacking(
    ours: EntrySet,
    theirs: EntrySet,
    [ours_lack, theirs_lack]: [Lacks; 2],
) -> Result<(Asker, Answerer), SessionError> {
    let (mut asker, open) = Asker::new(scope(), ours, NONCES[0], Vec::new(), UNMATCHED_MAX)?;
    let (mut answerer, answers) =
        Answerer::open(open, theirs, NONCES[1], theirs_lack, UNMATCHED_MAX)?;
    let mut answers: std::collections::VecDeque<_> = answers.into();
    answers.extend(symbols(&mut answerer));
    let mut told = false;
    while !asker.is_done() {
        if asker.is_known() && !told {
            told = true;
            let differences = asker.differences(&ours_lack);
            for ask in asker.tell(&differences) {
                answers.extend(answerer.step(ask)?);
            }
            continue;
        }
        let answer = answers.pop_front().expect("somebody has to speak");
        for ask in asker.step(answer)? {
            answers.extend(answerer.step(ask)?);
            answers.extend(symbols(&mut answerer));
        }
    }
    assert!(answerer.is_done());
    Ok((asker, answerer))
}

fn items(numbers: impl IntoIterator<Item = u64>) -> Vec<Item> {
    numbers.into_iter().map(|number| entry(number, EntryState::Stored).item(&key())).collect()
}

#[test]
fn a_symbol_has_the_bytes_the_protocol_describes() {
    let [first, second] = [entry(1, EntryState::Stored), entry(2, EntryState::Refused)];
    for entry in [&first, &second] {
        let mut bytes = vec![entry.state.byte()];
        bytes.extend_from_slice(entry.id.as_bytes());
        bytes.extend_from_slice(entry.digest.as_bytes());
        bytes.extend_from_slice(entry.from.as_str().as_bytes());
        bytes.extend_from_slice(entry.to.as_str().as_bytes());
        assert_eq!(entry.item(&key())[..16], entry.id.as_bytes()[..]);
        assert_eq!(entry.item(&key())[16..], key().hash(&bytes).to_le_bytes());
    }
    let [one, two] = [first.item(&key()), second.item(&key())];
    let mut encoder = Encoder::new(key(), vec![one, two]);
    let symbols = encoder.next(1);
    let bytes = packed::pack(&symbols, 0, 2);
    let xor: Vec<u8> = one.iter().zip(two).map(|(a, b)| a ^ b).collect();
    assert_eq!(bytes[..24], xor[..]);
    let check = key().hash(&one) ^ key().hash(&two);
    assert_eq!(bytes[24..30], check.to_be_bytes()[2..]);
    // Two of two are in symbol 0, as expected.
    assert_eq!(bytes[30..], [0]);
    assert_eq!(packed::unpack(&bytes, 0, 2).unwrap(), symbols);
}

#[test]
fn a_thousand_differences_in_a_hundred_thousand_cost_about_their_weight() {
    let (common, d) = (100_000, 1_000);
    let ours = items(0..common + d / 2);
    let theirs = items((0..common).chain(common + d / 2..common + d));
    let mut decoder = Decoder::new(key(), Encoder::new(key(), ours));
    let mut encoder = Encoder::new(key(), theirs);
    let mut bytes = 0;
    loop {
        let from = encoder.taken();
        let symbols = encoder.next((from / 24).max(16));
        bytes += packed::pack(&symbols, from, common + d / 2).len();
        if decoder.take(&symbols).unwrap() {
            break;
        }
    }
    let (mine, other) = decoder.differences();
    assert_eq!((mine.len(), other.len()), (500, 500));
    assert!(decoder.taken() < 1_600, "{} symbols", decoder.taken());
    assert!(bytes < 50_000, "{bytes} bytes");
}

#[test]
fn differences_are_known_after_one_question() {
    // Of other weights, so that more than one estimate is looked at.
    for (common, d) in [(50_000_u64, 10_u64), (50_000, 300), (50_000, 1_000), (200_000, 6_000)] {
        let numbers = |range: std::ops::Range<u64>| range.map(|n| entry(n, EntryState::Stored));
        let ours = set(numbers(0..common + d / 2));
        let theirs = set(numbers(0..common).chain(numbers(common + d / 2..common + d)));
        let (asker, answerer) = talk(ours, theirs).unwrap();
        let measured = asker.measured();
        assert_eq!(measured.rounds, 1, "{d} differences: {measured:?}");
        let most = 1_000 + d * 64;
        assert!(measured.bytes < most, "{d} differences: {measured:?}");
        assert_eq!(u64::try_from(answerer.into_found().len()).unwrap(), d);
    }
}

#[test]
fn a_county_and_its_province_compare_what_their_two_offices_wrote_to_each_other() {
    let (county, province) = (area("440305"), area("440000"));
    for (asker, answerer) in [(county, province), (province, county)] {
        let scope = Scope { asker, answerer, ..scope() };
        assert!(scope.is_between_two());
        let id = message_id(1);
        assert!(scope.holds(id, county, province) && scope.holds(id, province, county));
        for other in ["440306", "410522"].map(area) {
            let others = [(county, other), (other, county), (province, other), (other, province)];
            assert!(others.iter().all(|(from, to)| !scope.holds(id, *from, *to)), "{other}");
        }
        for party in [county, province] {
            assert_eq!(scope.side_of(party, party), Direction::Sent);
            let other = if party == county { province } else { county };
            assert_eq!(scope.side_of(party, other), Direction::Received);
        }
    }
    let same = Scope { asker: county, answerer: county, ..scope() };
    assert!(!same.is_between_two());
    // With another province the province stands for its counties as before.
    assert!(scope().stands_for(province, county) && scope().stands_for(province, province));
}

#[test]
fn equal_sets_end_after_one_question() {
    let all = || set((0..1_000).map(|n| entry(n, EntryState::Stored)));
    let (asker, answerer) = talk(all(), all()).unwrap();
    assert_eq!((asker.measured().rounds, asker.measured().bytes), (1, 0));
    assert_eq!(answerer.into_found(), []);
}

#[test]
fn when_one_side_has_nothing_the_list_is_sent_once() {
    let all = || set((0..20_000).map(|n| entry(n, EntryState::Stored)));
    let (asker, answerer) = talk(EntrySet::new(), all()).unwrap();
    assert!(asker.measured().listed);
    assert_eq!(asker.measured().bytes, 20_000 * 24);
    assert_eq!(answerer.into_found().len(), 20_000);
    let (asker, answerer) = talk(all(), EntrySet::new()).unwrap();
    assert_eq!(asker.measured().bytes, 0);
    assert_eq!(answerer.into_found().len(), 20_000);
}

/// Bytes of the list, and of as many symbols as these differences need: 1.35 each, of about 40 bytes.
fn cheapest(theirs: u64, differences: u64) -> u64 {
    (theirs * 24).min(differences * 27 / 20 * 40)
}

/// Compares two sets with this many in common, and so many on either side alone.
fn compare(common: u64, ours: u64, theirs: u64) -> Measured {
    let numbers = |range: std::ops::Range<u64>| range.map(|n| entry(n, EntryState::Stored));
    let left = set(numbers(0..common).chain(numbers(common..common + ours)));
    let right = set(numbers(0..common).chain(numbers(common + ours..common + ours + theirs)));
    let (asker, answerer) = talk(left, right).unwrap();
    assert_eq!(u64::try_from(answerer.into_found().len()).unwrap(), ours + theirs);
    *asker.measured()
}

#[test]
fn where_nearly_everything_differs_little_comes_in_vain() {
    for (common, ours, theirs) in [
        (40_000, 20_000, 20_000),
        (40_000, 35_000, 35_000),
        (100_000, 50_000, 50_000),
        (10_000, 50_000, 50_000),
        (100_000, 0, 60_000),
        (100_000, 60_000, 0),
        (0, 30_000, 30_000),
        (300_000, 20_000, 20_000),
    ] {
        let measured = compare(common, ours, theirs);
        let most = cheapest(common + theirs, ours + theirs) * 5 / 4;
        println!("{common} in common, {ours} and {theirs} alone: {measured:?}, at most {most}");
        assert!(measured.bytes <= most, "{measured:?}");
    }
}

#[test]
fn each_difference_has_its_name() {
    use DifferenceName::{
        ContentDiffers, MissingAtRecipient, MissingAtSender, ReceiptMissing, StateDiffers,
    };
    use EntryState::{Refused, Stored, Waiting};
    let other = |number| Entry { digest: Digest::of(b"other"), ..entry(number, Stored) };
    let mut ours = set([
        entry(2, Stored),
        entry(4, Waiting),
        entry(6, Stored),
        entry(8, Stored),
        entry(10, Refused),
        entry(11, Stored),
        other(14),
        entry(16, Stored),
    ]);
    // Sealed anew since.
    ours.say(Entry { digest: Digest::of(b"anew"), ..entry(16, Stored) });
    let theirs = set([
        entry(2, Stored),
        entry(4, Stored),
        entry(8, Refused),
        entry(10, Refused),
        entry(12, Stored),
        entry(13, Stored),
        entry(14, Stored),
        entry(16, Stored),
    ]);
    let (_, answerer) = talk(ours, theirs).unwrap();
    let found: Vec<_> = answerer.into_found().iter().map(|d| (d.id().unwrap(), d.name)).collect();
    let expected = [
        (4, ReceiptMissing),
        (6, MissingAtRecipient),
        (8, StateDiffers),
        (11, MissingAtSender),
        (12, MissingAtSender),
        (13, MissingAtRecipient),
        (14, ContentDiffers),
        (16, StateDiffers),
    ];
    assert_eq!(found, expected.map(|(number, name)| (message_id(number), name)));
}

#[test]
fn what_a_county_has_not_reported_is_not_missing() {
    let day = message_id(2).timestamp().date();
    let ours = set([entry(2, EntryState::Stored), entry(4, EntryState::Stored)]);
    let (mut asker, open) =
        Asker::new(scope(), ours, NONCES[0], Vec::new(), UNMATCHED_MAX).unwrap();
    let lacks = Lacks { incomplete: vec![(area("440305"), day)], ..Lacks::default() };
    let (mut answerer, mut answers) =
        Answerer::open(open, EntrySet::new(), NONCES[1], lacks, UNMATCHED_MAX).unwrap();
    answers.extend(symbols(&mut answerer));
    for answer in answers {
        asker.step(answer).unwrap();
    }
    let differences = asker.differences(&Lacks::default());
    assert_eq!(differences.len(), 2);
    assert!(differences.iter().all(|d| d.name == DifferenceName::NotReported));
    assert_eq!(differences[0].cured_by(), Some(area("440305")));
}

#[test]
fn what_a_silent_county_may_have_sealed_anew_is_for_nobody_to_decide_yet() {
    let anew = Entry { digest: Digest::of(b"anew"), ..entry(2, EntryState::Stored) };
    let named = |silent| {
        let ours = set([entry(2, EntryState::Stored)]);
        let (mut asker, open) =
            Asker::new(scope(), ours, NONCES[0], Vec::new(), UNMATCHED_MAX).unwrap();
        let theirs = set([anew]);
        let (mut answerer, answers) =
            Answerer::open(open, theirs, NONCES[1], Lacks::default(), UNMATCHED_MAX).unwrap();
        let mut answers = std::collections::VecDeque::from(answers);
        answers.extend(symbols(&mut answerer));
        while !asker.is_known() {
            for ask in asker.step(answers.pop_front().unwrap()).unwrap() {
                answers.extend(answerer.step(ask).unwrap());
                answers.extend(symbols(&mut answerer));
            }
        }
        let found = asker.differences(&Lacks { silent, ..Lacks::default() });
        assert_eq!(found.len(), 1);
        (found[0].name, found[0].cured_by())
    };
    assert_eq!(named(vec![]), (DifferenceName::ContentDiffers, None));
    let sender = area("410522");
    assert_eq!(named(vec![sender]), (DifferenceName::NotReported, Some(sender)));
    assert_eq!(named(vec![area("440305")]), (DifferenceName::ContentDiffers, None));
}

#[test]
fn an_answerer_that_lies_is_named() {
    let ours = || set((0..50).map(|n| entry(n, EntryState::Stored)));
    let (mut asker, open) =
        Asker::new(scope(), ours(), NONCES[0], Vec::new(), UNMATCHED_MAX).unwrap();
    let theirs = set((0..60).map(|n| entry(n, EntryState::Stored)));
    let (mut answerer, mut answers) =
        Answerer::open(open, theirs, NONCES[1], Lacks::default(), UNMATCHED_MAX).unwrap();
    answers.extend(symbols(&mut answerer));
    let mut enough = Vec::new();
    for answer in answers {
        enough.extend(asker.step(answer).unwrap());
    }
    let [ask @ Ask::Enough { .. }] = &enough[..] else { panic!("{enough:?}") };
    let answers = answerer.step(ask.clone()).unwrap();
    let [Answer::Entries { told }] = &answers[..] else { panic!("{answers:?}") };
    let mut told = told.clone();
    told[0].entry.digest = Digest::of(b"lie");
    let lied = asker.step(Answer::Entries { told });
    assert_eq!(lied, Err(SessionError::Inconsistent));
}

#[test]
fn symbols_of_no_set_end_in_the_list_and_its_lie_in_an_error() {
    let ours = set((0..500).map(|n| entry(n, EntryState::Stored)));
    let theirs = set((2..502).map(|n| entry(n, EntryState::Stored)));
    let (mut asker, open) =
        Asker::new(scope(), ours, NONCES[0], Vec::new(), UNMATCHED_MAX).unwrap();
    let (_, answers) =
        Answerer::open(open, theirs, NONCES[1], Lacks::default(), UNMATCHED_MAX).unwrap();
    let Answer::Opened { follows: Follows::Symbols(mut through), .. } = answers[0] else {
        panic!("{answers:?}")
    };
    asker.step(answers[0].clone()).unwrap();
    // Every symbol claims to hold one other item alone.
    let mut asked = 0;
    let mut listed = false;
    while !listed {
        let count = u8::try_from((through - asked).min(16)).unwrap();
        let garbage = (0..count).map(|n| {
            let mut items = [n; ITEM_BYTES];
            items[0] = u8::try_from(asked % 251).unwrap();
            Symbol { items, check: super::key::check_of(key().hash(&items)), count: 1 }
        });
        let garbage: Vec<_> = garbage.collect();
        let packed = packed::pack(&garbage, asked, 500);
        asked += u32::from(count);
        let asks = asker.step(Answer::Symbols { packed }).unwrap();
        listed = asks.contains(&Ask::List);
        if let Some(Ask::More { through: more }) = asks.first() {
            through = *more;
        }
        assert!(asked < 10_000, "garbage is not listened to for ever");
    }
    let lie = Answer::Items { packed: packed::pack_items(&items([7])), last: true };
    assert_eq!(asker.step(lie), Err(SessionError::Inconsistent));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_set_holds_the_last_word_about_each_message_in_whatever_order_they_come(
        words in proptest::collection::vec((0..60_u64, 0..3_usize), 0..200),
        settled in any::<bool>(),
    ) {
        let mut set = EntrySet::new();
        let mut last = std::collections::BTreeMap::new();
        for (number, state) in words {
            let word = entry(number * 7 % 61, EntryState::ALL[state]);
            set.say(word);
            last.insert(word.id, word);
        }
        if settled {
            set.settle();
            let items: Vec<_> = last.values().map(|entry| entry.item(&key())).collect();
            prop_assert_eq!(set.items(&key()), items);
        }
        prop_assert_eq!(set.len(), last.len());
        let mut all: Vec<_> = set.iter().collect();
        all.sort();
        prop_assert_eq!(all, last.values().copied().collect::<Vec<_>>());
        for number in 0..61 {
            let id = message_id(number);
            prop_assert_eq!(set.get(id), last.get(&id).copied());
        }
    }

    #[test]
    fn any_two_sets_decode_to_exactly_what_they_differ_in(
        common in 0..400_u64,
        ours in 0..200_u64,
        theirs in 0..200_u64,
        changed in 0..40_u64,
    ) {
        let shared = (0..common).map(|n| entry(n, EntryState::Stored));
        let only = |from: u64, count: u64| (from..from + count).map(|n| entry(n, EntryState::Stored));
        let with = |state| (20_000..20_000 + changed).map(move |n| entry(n * 2, state));
        let left = shared.clone().chain(only(1_000, ours)).chain(with(EntryState::Waiting));
        let right = shared.chain(only(5_000, theirs)).chain(with(EntryState::Stored));
        let (asker, answerer) = talk(set(left), set(right)).unwrap();
        let found = answerer.into_found();
        let count = |name| found.iter().filter(|d| d.name == name).count();
        prop_assert_eq!(found.len(), usize::try_from(ours + theirs + changed).unwrap());
        prop_assert_eq!(count(DifferenceName::ReceiptMissing), usize::try_from(changed).unwrap());
        let in_list = u64::from(asker.measured().symbols) * 40 + (common + theirs + changed) * 24;
        prop_assert!(asker.measured().bytes <= in_list);
    }

    #[test]
    fn a_comparison_costs_at_most_about_twice_the_cheaper_of_list_and_symbols(
        common in 0..30_000_u64,
        ours in 0..12_000_u64,
        theirs in 0..12_000_u64,
    ) {
        let measured = compare(common, ours, theirs);
        // Where both cost the same, the one may turn out to be too little just before its end.
        let most = cheapest(common + theirs, ours + theirs) * 9 / 4 + 2_000;
        prop_assert!(measured.bytes <= most, "{:?}, at most {}", measured, most);
    }

    #[test]
    fn no_bytes_make_symbols_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        count in any::<u64>(),
    ) {
        let mut decoder = Decoder::new(key(), Encoder::new(key(), items(0..20)));
        if let Ok(symbols) = packed::unpack(&bytes, 0, count) {
            // Either outcome; never more found than was sent.
            let _outcome = decoder.take(&symbols).is_ok();
            let (ours, theirs) = decoder.differences();
            prop_assert!(ours.len() + theirs.len() <= symbols.len());
        }
    }

    #[test]
    fn what_was_packed_is_read_again(
        counts in proptest::collection::vec(any::<i64>(), 0..40),
        from in 0..1_000_000_u32,
        count in any::<u64>(),
    ) {
        let symbols = counts.into_iter().map(|count| Symbol { items: [9; ITEM_BYTES], check: 5, count });
        let symbols: Vec<_> = symbols.collect();
        let packed = packed::pack(&symbols, from, count);
        prop_assert_eq!(packed::unpack(&packed, from, count).unwrap(), symbols);
    }
}

//! Whatever the other side says of itself: what one side does and keeps follows from its own set.

use super::*;

fn numbers(range: std::ops::Range<u64>) -> EntrySet {
    set(range.map(|n| entry(n, EntryState::Stored)))
}

/// An [`Ask::Open`] of somebody who says that he has so many entries, and nothing true of what they are.
fn claims(count: u64) -> Ask {
    let (_, open) =
        Asker::new(scope(), numbers(0..1), NONCES[0], Vec::new(), UNMATCHED_MAX).unwrap();
    let Ask::Open { scope, nonce, mut sample, incomplete } = open else { panic!("{open:?}") };
    sample.hint.count = count;
    Ask::Open { scope, nonce, sample, incomplete }
}

fn opened(own: EntrySet, count: u64) -> Result<Answerer, SessionError> {
    let opened = Answerer::open(claims(count), own, NONCES[1], Lacks::default(), UNMATCHED_MAX);
    opened.map(|(answerer, _)| answerer)
}

fn is_symbols_of(answer: &Answer, from: u32, count: u64) -> u32 {
    let Answer::Symbols { packed } = answer else { panic!("{answer:?}") };
    u32::try_from(packed::unpack(packed, from, count).unwrap().len()).unwrap()
}

#[test]
fn an_answerer_sends_what_its_own_set_is_worth_whatever_the_asker_says_it_has() {
    for claimed in [11, 1_000_000] {
        let mut answerer = opened(numbers(0..10), claimed).unwrap();
        let mut made = 0;
        answerer.step(Ask::More { through: 1_034 }).unwrap();
        while let Some(answer) = answerer.next_symbols() {
            made += is_symbols_of(&answer, made, 10);
        }
        assert_eq!(made, 1_034);
        let more = answerer.step(Ask::More { through: 1_035 });
        assert_eq!(more, Err(SessionError::TooMany));
    }
    assert!(opened(numbers(0..10), 1_000_040).is_ok());
    let beyond = opened(numbers(0..10), 1_000_041);
    let (entries, most) = (1_000_041, 1_000_040);
    assert_eq!(beyond.err(), Some(SessionError::TooLarge { entries, most }));
}

#[test]
fn symbols_are_made_when_the_message_before_them_was_taken() {
    let mut answerer = opened(numbers(0..20_000), 20_000).unwrap();
    assert_eq!(answerer.step(Ask::More { through: 20_000 }).unwrap(), []);
    let mut made = 0;
    let mut sizes = Vec::new();
    while let Some(answer) = answerer.next_symbols() {
        let size = is_symbols_of(&answer, made, 20_000);
        made += size;
        sizes.push(size);
    }
    assert_eq!(made, 20_000);
    assert!(sizes.iter().all(|size| *size <= packed::SYMBOLS_AT_ONCE), "{sizes:?}");
}

#[test]
fn the_list_is_sent_once() {
    let mut answerer = opened(numbers(0..10_000), 20_000).unwrap();
    if !matches!(answerer.step(Ask::NextPage), Ok(answers) if answers.len() == 1) {
        // It was not sent unasked.
        assert_eq!(answerer.step(Ask::List).unwrap().len(), 1);
        assert_eq!(answerer.step(Ask::NextPage).unwrap().len(), 1);
    }
    assert_eq!(answerer.step(Ask::NextPage), Err(SessionError::OutOfTurn));
    assert_eq!(answerer.step(Ask::List), Err(SessionError::OutOfTurn));
}

#[test]
fn an_asker_that_invents_differences_is_named() {
    let invented = |n| Difference {
        name: DifferenceName::MissingAtRecipient,
        sender: Some(entry(n, EntryState::Stored)),
        recipient: None,
    };
    let page = |from: u64, count: u64| Ask::Found {
        // Sent by the asker's side, and none of ours.
        differences: (from..from + count).map(|n| invented(1_000 + n * 2)).collect(),
        before: from,
        last: false,
    };
    // As many symbols were sent as `open` tells; no more than these show.
    let theirs = || set((0..500).map(|n| entry(n, EntryState::Stored)));
    let few = || {
        let (_, open) =
            Asker::new(scope(), numbers(0..490), NONCES[0], Vec::new(), UNMATCHED_MAX).unwrap();
        let (mut answerer, _) =
            Answerer::open(open, theirs(), NONCES[1], Lacks::default(), UNMATCHED_MAX).unwrap();
        let mut made = 0;
        while let Some(answer) = answerer.next_symbols() {
            made += is_symbols_of(&answer, made, 500);
        }
        (answerer, u64::from(made))
    };
    let (mut answerer, made) = few();
    assert!((24..200).contains(&made), "{made}");
    assert_eq!(answerer.step(page(0, made)), Ok(Vec::new()));
    assert_eq!(answerer.step(page(made, 1)), Err(SessionError::TooMany));
    // The list shows everything, and what the asker says it has.
    let (mut answerer, made) = few();
    answerer.step(Ask::List).unwrap();
    assert_eq!(answerer.step(page(0, made + 1)), Ok(Vec::new()));
    assert_eq!(answerer.step(page(made + 1, 990 - made)), Err(SessionError::TooMany));
    // None is told twice.
    let (mut answerer, _) = few();
    assert_eq!(answerer.step(page(0, 5)), Ok(Vec::new()));
    let again = Ask::Found { differences: vec![invented(1_000)], before: 5, last: true };
    assert_eq!(answerer.step(again), Err(SessionError::Inconsistent));
}

#[test]
fn nobody_wants_more_entries_than_there_are() {
    let mut answerer = opened(numbers(0..10), 10).unwrap();
    let wanted: Vec<_> = (0..10).map(message_id).collect();
    assert!(answerer.step(Ask::Enough { wanted }).is_ok());
    let again = Ask::Enough { wanted: vec![message_id(1)] };
    assert_eq!(answerer.step(again), Err(SessionError::TooMany));
}

#[test]
fn an_asker_listens_to_nobody_who_says_that_he_has_far_more() {
    let opened = |count| Answer::Opened {
        nonce: NONCES[1],
        sum: super::super::key::Sum { count, digest: 1 },
        follows: Follows::List,
        lacks: Lacks::default(),
    };
    for (count, is_heard) in [(1_000_040, true), (1_000_041, false)] {
        let (mut asker, _) =
            Asker::new(scope(), numbers(0..10), NONCES[0], Vec::new(), UNMATCHED_MAX).unwrap();
        assert_eq!(asker.step(opened(count)).is_ok(), is_heard, "{count}");
    }
}

/// How many messages were told to differ, and how many symbols it took.
fn compared(ours: EntrySet, theirs: EntrySet, lulled: bool) -> (usize, u64) {
    let (mut asker, open) =
        Asker::new(scope(), ours, NONCES[0], Vec::new(), UNMATCHED_MAX).unwrap();
    let Ask::Open { scope: days, nonce, mut sample, incomplete } = open else { panic!() };
    if lulled {
        // The samples tell that hardly anything differs, as they may by chance.
        let (_, other) =
            Asker::new(scope(), theirs.clone(), nonce, Vec::new(), UNMATCHED_MAX).unwrap();
        let Ask::Open { sample: other, .. } = other else { panic!() };
        (sample.sketch, sample.hint.count) = (other.sketch, other.hint.count);
    }
    let open = Ask::Open { scope: days, nonce, sample, incomplete };
    let (mut answerer, answers) =
        Answerer::open(open, theirs, NONCES[1], Lacks::default(), UNMATCHED_MAX).unwrap();
    let mut answers = std::collections::VecDeque::from(answers);
    while !asker.is_known() {
        let answer = answers.pop_front().or_else(|| answerer.next_symbols()).unwrap();
        for ask in asker.step(answer).unwrap() {
            answers.extend(answerer.step(ask).unwrap());
        }
    }
    let differences = asker.differences(&Lacks::default());
    if !lulled {
        for ask in asker.tell(&differences) {
            answerer.step(ask).unwrap();
        }
        assert!(answerer.is_done());
    }
    (differences.len(), asker.measured().symbols.into())
}

#[test]
fn an_honest_asker_stays_within_what_the_answerers_set_is_worth() {
    let all = 6_000_u64;
    for percent in [0, 1, 10, 30, 45, 50, 54, 56, 60, 75, 99, 100] {
        let only = all * percent / 200;
        for lulled in [false, true] {
            let ours = numbers(0..all - only);
            let theirs = set((0..all - 2 * only)
                .chain(10_000..10_000 + only)
                .map(|n| entry(n, EntryState::Stored)));
            let count = u64::try_from(theirs.len()).unwrap();
            let (found, symbols) = compared(ours, theirs, lulled);
            assert_eq!(found, usize::try_from(2 * only).unwrap(), "{percent}% {lulled}");
            assert!(symbols <= count + 1_024, "{percent}% {lulled}: {symbols}");
        }
    }
    // One side has hardly anything, or nothing.
    for few in [0, 1, 30, 400] {
        for lulled in [false, true] {
            let (found, ..) = compared(numbers(0..all), numbers(0..few), lulled);
            assert_eq!(u64::try_from(found).unwrap(), all - few, "{few} there");
            let (found, ..) = compared(numbers(0..few), numbers(0..all), lulled);
            assert_eq!(u64::try_from(found).unwrap(), all - few, "{few} here");
        }
    }
}

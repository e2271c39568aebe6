//! Which statements close their days, and which are true for the other side.

use proptest::prelude::*;

use super::super::difference::Known;
use super::super::difference::name;
use super::super::set::Told;
use super::*;

pub(in crate::reconcile) fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

pub(in crate::reconcile) fn date(day: &str) -> Date {
    day.parse().unwrap()
}

const HERE: &str = "410000";
const THERE: &str = "440000";

pub(in crate::reconcile) fn statement(first: &str, last: &str) -> Statement {
    let (first, last) = (date(first), date(last));
    let (asker, answerer) = (area(HERE), area(THERE));
    Statement {
        id: [1; 16],
        scope: Scope { asker, answerer, first, last, until: last.ends() },
        made: last.ends(),
        totals: Totals::default(),
        digests: Digests::default(),
        found: [0; 6],
        cured: [0; 6],
        left: Vec::new(),
        left_more: Vec::new(),
        left_rest: LeftRest::default(),
        lost: Vec::new(),
        corrections: Vec::new(),
        incomplete: Vec::new(),
    }
}

#[test]
fn only_whole_months_and_quarters_that_are_over_and_reported_are_closed() {
    for (first, last, closes) in [
        ("2026-10-01", "2026-10-31", true),
        ("2026-10-01", "2026-12-31", true),
        ("2028-02-01", "2028-02-29", true),
        ("2026-10-20", "2026-10-21", false),
        ("2026-10-01", "2026-10-30", false),
        ("2026-10-02", "2026-10-31", false),
        ("2026-10-01", "2026-11-30", false),
        ("2026-11-01", "2027-01-31", false),
        ("2026-01-01", "2026-12-31", false),
        ("2028-02-01", "2028-02-28", false),
    ] {
        assert_eq!(statement(first, last).closes(), closes, "{first} {last}");
    }
    let whole = statement("2026-10-01", "2026-10-31");
    let mut early = whole.clone();
    early.scope.until = UnixMillis::new(whole.scope.until.get() - 1);
    assert!(!early.closes(), "a millisecond of it is to come");
    let incomplete = vec![(area("440305"), date("2026-10-10"))];
    assert!(!Statement { incomplete, ..whole }.closes());
}

fn entry(number: u8, state: EntryState) -> Entry {
    let made = UnixMillis::new(date("2026-10-10").begins().get() + 1_000);
    let id = MessageId::new(made, [number; 10]);
    let digest = Digest::of(&[number]);
    Entry { id, digest, from: area("410522"), to: area("440305"), state }
}

fn set(entries: &[Entry]) -> EntrySet {
    let mut set = EntrySet::new();
    entries.iter().for_each(|entry| set.say(*entry));
    set
}

/// What the asker makes of its entries and of what is left.
fn of_asker(asker: &EntrySet, left: Left) -> Statement {
    let held = Held::of(asker);
    let mut statement = statement("2026-10-01", "2026-10-31");
    (statement.totals, statement.left) = (held.totals, left.named);
    (statement.left_more, statement.left_rest) = (left.more, left.rest);
    statement.attesting(held.digests)
}

#[test]
fn what_is_left_has_to_be_what_the_other_side_says_itself() {
    use DifferenceName as N;
    let stored = |number| entry(number, EntryState::Stored);
    let other = Entry { digest: Digest::of(b"other"), ..stored(2) };
    let waiting = entry(3, EntryState::Waiting);
    // Of 1 both say the same; of 2 something else; 3 is missing at the recipient.
    let (asker, answerer) = (set(&[stored(1), stored(2), waiting]), set(&[stored(1), other]));
    let left = |name, sender, recipient| Difference { name, sender, recipient };
    let both = left(N::ContentDiffers, Some(stored(2)), Some(other));
    let gone = left(N::MissingAtRecipient, Some(waiting), None);
    let named = vec![both.clone(), gone.clone()];
    let honest = of_asker(&asker, Left { named, ..Left::default() });
    let holds = |statement: &Statement| statement.is_true_for(area(THERE), &answerer, &[]);
    assert!(holds(&honest));

    // Lies that leave the totals as they are, and more.
    let unknown = left(N::ContentDiffers, Some(stored(9)), Some(stored(9)));
    let same = left(N::ContentDiffers, Some(stored(1)), Some(stored(1)));
    let invented = Entry { digest: Digest::of(b"invented"), ..stored(1) };
    let accused = left(N::ContentDiffers, Some(stored(1)), Some(invented));
    let states = left(N::StateDiffers, Some(stored(1)), Some(stored(1)));
    let misnamed = left(N::MissingAtSender, Some(waiting), None);
    let elsewhere = Entry { from: area("510104"), ..stored(9) };
    let others = left(N::MissingAtRecipient, Some(elsewhere), None);
    let nothing = left(N::NotReported, None, None);
    for lie in [unknown, same, accused, states, misnamed, others, nothing, both.clone()] {
        let mut lying = honest.clone();
        lying.left.push(lie.clone());
        assert!(!holds(&lying), "{lie:?}");
    }
    assert!(!holds(&Statement { left: vec![both], ..honest.clone() }), "the totals differ");

    // Every county of its own that is incomplete, and no other; of the asker's it knows nothing.
    let since = date("2026-10-05");
    let (mine, theirs) = ((area("440305"), since), (area("410522"), since));
    let says = |incomplete: Vec<Incomplete>, finds: &[Incomplete]| {
        let statement = Statement { incomplete, ..honest.clone() };
        statement.is_true_for(area(THERE), &answerer, finds)
    };
    assert!(says(vec![theirs, mine], &[mine]) && says(vec![theirs], &[]));
    assert!(!says(vec![theirs], &[mine]) && !says(vec![mine], &[]));
    assert!(!says(vec![(mine.0, date("2026-10-06"))], &[mine]));
}

#[test]
fn however_much_is_left_there_is_a_statement_that_tells_all_of_it() {
    use DifferenceName as N;
    let made = UnixMillis::new(date("2026-10-10").begins().get() + 1_000);
    let of = |number: u64| {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        let (from, to) = (area("410522"), area("440305"));
        let (from, to) = if number.is_multiple_of(2) { (from, to) } else { (to, from) };
        let digest = Digest::of(&number.to_be_bytes());
        Entry { id: MessageId::new(made, random), digest, from, to, state: EntryState::Stored }
    };
    // Of 2,500 messages each side lacks what it has received; of one the other says something else, and one is lost.
    let sends_here = |entry: &Entry| area(HERE).contains(&entry.from);
    let (mut asker, mut answerer, mut left) = (EntrySet::new(), EntrySet::new(), Vec::new());
    for entry in (0..2_500).map(of) {
        let side = if sends_here(&entry) { &mut asker } else { &mut answerer };
        side.say(entry);
        left.push(Difference { name: N::MissingAtRecipient, sender: Some(entry), recipient: None });
    }
    let other = Entry { digest: Digest::of(b"other"), ..of(2_500) };
    asker.say(of(2_500));
    answerer.say(other);
    left.push(Difference {
        name: N::ContentDiffers,
        sender: Some(of(2_500)),
        recipient: Some(other),
    });
    let lost = of(2_499).id;
    let scope = statement("2026-10-01", "2026-10-31").scope;
    let left = Left::of(left, &BTreeSet::from([lost]), &scope);
    assert_eq!(left.named.len(), LEFT_MAX);
    let is_for_people = |it: &Difference| it.name == N::ContentDiffers;
    assert!(left.named.iter().any(is_for_people), "what a person decides is named");
    let mut honest = of_asker(&asker, left);
    honest.lost = vec![lost];
    assert_eq!(honest.digests, Digests::default(), "of no pair can the other side tell");
    assert_eq!(honest.left_count(), 2_501);
    assert_eq!(honest.left_more.len(), 2, "one kind each way");
    let holds = |statement: &Statement| statement.is_true_for(area(THERE), &answerer, &[]);
    assert!(holds(&honest));

    let lies: [fn(&mut Statement); 11] = [
        |it| it.left_more.clear(),
        |it| it.left_more[0].count += 1,
        |it| it.left_more[1].count = 0,
        |it| it.left_more.reverse(),
        |it| it.left_more[0].what.pair.0 = area("510104"),
        |it| it.left_more[0].what.name = N::StateDiffers,
        |it| it.lost[0] = MessageId::from_bytes([9; 16]),
        // What nobody can check is not signed.
        |it| it.digests.0.extend([(it.left_more[0].what.pair, Digest::of(b"unseen"))]),
        // Kinds that mirror each other leave the totals as they are, and are more than there is.
        |it| it.left_more = mirrored(it, 3_000),
        |it| it.left_rest.count = 1,
        |it| {
            let refused = Counts { refused: 5, ..Counts::default() };
            let words = Words { asker: refused, answerer: refused };
            it.left_rest =
                LeftRest { count: 5, pairs: [(it.left_more[0].what.pair, words)].into() };
        },
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let mut lying = honest.clone();
        lie(&mut lying);
        assert!(!holds(&lying), "lie {number}");
    }
    // Nothing is counted that could be named.
    let mut hiding = honest.clone();
    let hidden = hiding.left.remove(0);
    hiding.lost.clear();
    let kind = LeftKind::of(&hidden).unwrap();
    let same = hiding.left_more.iter_mut().find(|it| it.what == kind);
    same.unwrap().count += 1;
    assert_eq!(hiding.answerers_totals().unwrap(), Held::of(&answerer).totals);
    assert!(!holds(&hiding));
}

/// Two kinds that cancel each other out, so many of each, and those that are there.
fn mirrored(statement: &Statement, count: u32) -> Vec<LeftMore> {
    let what = LeftKind { name: DifferenceName::StateDiffers, ..statement.left_more[0].what };
    let says =
        |sender, recipient| LeftKind { sender: Some(sender), recipient: Some(recipient), ..what };
    let (stored, refused) = (EntryState::Stored, EntryState::Refused);
    let kinds = [says(stored, refused), says(refused, stored)];
    let more = kinds.map(|what| LeftMore { what, count });
    let mut all: Vec<_> = statement.left_more.iter().copied().chain(more).collect();
    all.sort_unstable();
    all
}

#[test]
fn what_has_no_kind_or_too_many_is_counted_by_pair() {
    use DifferenceName as N;
    let scope = statement("2026-10-01", "2026-10-31").scope;
    // Of each message the sides name other counties.
    let (mut asker, mut answerer, mut left) = (EntrySet::new(), EntrySet::new(), Vec::new());
    for number in 0..1_500_u64 {
        let made = UnixMillis::new(date("2026-10-10").begins().get() + number);
        let id = MessageId::new(made, [3; 10]);
        let sent = Entry { id, ..entry(1, EntryState::Stored) };
        let got = Entry { to: area("440307"), state: EntryState::Refused, ..sent };
        asker.say(sent);
        answerer.say(got);
        left.push(Difference { name: N::ContentDiffers, sender: Some(sent), recipient: Some(got) });
    }
    let left = Left::of(left, &BTreeSet::new(), &scope);
    assert_eq!((left.named.len(), left.more.len(), left.rest.count), (1_000, 0, 500));
    let honest = of_asker(&asker, left);
    assert_eq!((honest.left_count(), honest.digests.0.len()), (1_500, 0));
    let holds = |statement: &Statement| statement.is_true_for(area(THERE), &answerer, &[]);
    assert!(holds(&honest));
    let lies: [fn(&mut Statement); 5] = [
        |it| it.left_rest.count += 501,
        |it| it.left_rest.count -= 1,
        |it| it.left_rest = LeftRest::default(),
        |it| it.left_rest.pairs.first_entry().unwrap().get_mut().asker.stored -= 1,
        |it| it.left_rest.pairs.extend([((area("440305"), area("510104")), Words::default())]),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let mut lying = honest.clone();
        lie(&mut lying);
        assert!(!holds(&lying), "lie {number}");
    }

    // More kinds than a statement has room for: of each pair one.
    let counties = |province: u32| {
        (101..=999).filter_map(move |n| format!("{}", province + n).parse::<AreaCode>().ok())
    };
    let pairs = counties(410_000).flat_map(|from| counties(440_000).map(move |to| (from, to)));
    let made = UnixMillis::new(date("2026-10-10").begins().get());
    let missing = |(number, (from, to)): (u64, Pair)| {
        let id = MessageId::new(UnixMillis::new(made.get() + number), [3; 10]);
        let sender = Some(Entry { id, from, to, ..entry(1, EntryState::Waiting) });
        Difference { name: N::MissingAtRecipient, sender, recipient: None }
    };
    let many: Vec<_> = (0..).zip(pairs).map(missing).take(LEFT_MAX + LEFT_MORE_MAX + 7).collect();
    assert_eq!(many.len(), LEFT_MAX + LEFT_MORE_MAX + 7, "counties enough");
    let asker = set(&many.iter().filter_map(|it| it.sender).collect::<Vec<_>>());
    let left = Left::of(many, &BTreeSet::new(), &scope);
    assert_eq!((left.more.len(), left.rest.count), (LEFT_MORE_MAX, 7));
    let all = of_asker(&asker, left);
    assert!(all.is_true_for(area(THERE), &EntrySet::new(), &[]));
    assert!(all.is_true_for(area(HERE), &asker, &[]), "and for the asker");
    let nothing = of_asker(&EntrySet::new(), Left::default());
    assert!(!nothing.is_true_for(area(HERE), &asker, &[]));
}

/// What each side says of some messages; a state beyond the third says nothing.
type Said = (usize, usize, u8);

fn sides(said: &[Said]) -> (EntrySet, EntrySet, Vec<Difference>) {
    let (mut asker, mut answerer, mut left) = (EntrySet::new(), EntrySet::new(), Vec::new());
    for (number, (ours, theirs, seal)) in (0_u8..).zip(said) {
        let (from, to) =
            (area("410522"), area(if number.is_multiple_of(2) { "440305" } else { "440307" }));
        let (from, to) = if number % 3 == 0 { (to, from) } else { (from, to) };
        let of = |state: usize, seal: u8| {
            let state = EntryState::ALL.get(state).copied()?;
            Some(Entry { digest: Digest::of(&[seal]), from, to, ..entry(number, state) })
        };
        let (ours, theirs) = (of(*ours, 0), of(*theirs, *seal));
        ours.iter().for_each(|entry| asker.say(*entry));
        theirs.iter().for_each(|entry| answerer.say(*entry));
        let sends = area(HERE).contains(&from);
        let (sender, recipient) = if sends { (ours, theirs) } else { (theirs, ours) };
        let told = |entry: Option<Entry>| entry.map(|entry| Told { entry, earlier: Vec::new() });
        let known = Known { is_complete: &|_, _| true, is_fresh: &|_| true };
        let name = name(told(sender).as_ref(), told(recipient).as_ref(), &known);
        left.extend(name.map(|name| Difference { name, sender, recipient }));
    }
    (asker, answerer, left)
}

proptest! {
    #[test]
    fn whatever_is_left_both_sides_find_the_statement_true_and_no_other_entry_in_it(
        said in proptest::collection::vec((0..4_usize, 0..4_usize, 0..2_u8), 1..60),
        at in any::<prop::sample::Index>(),
    ) {
        let (asker, answerer, left) = sides(&said);
        let honest = of_asker(&asker, Left { named: left.clone(), ..Left::default() });
        prop_assert!(honest.is_true_for(area(THERE), &answerer, &[]));
        prop_assert!(honest.is_true_for(area(HERE), &asker, &[]));
        prop_assert_eq!(honest.answerers_totals().unwrap(), Held::of(&answerer).totals);
        // Later, when nothing has changed, both find that.
        prop_assert_eq!(honest.held_now(area(HERE), &asker), Held::of(&asker));
        prop_assert_eq!(honest.held_now(area(THERE), &answerer), Held::of(&asker));
        // The former form, and one that leaves a pair out, are not signed.
        if let Some(pair) = honest.digests.0.keys().next().copied() {
            let mut less = honest.clone();
            less.digests.0.remove(&pair);
            prop_assert!(!less.is_true_for(area(THERE), &answerer, &[]));
        }
        // An asker that holds another envelope of one message than it has told: the numbers are the same.
        let agreed: Vec<_> = asker
            .iter()
            .filter(|it| left.iter().all(|left| left.id() != Some(it.id)))
            .collect();
        if !agreed.is_empty() {
            let one = agreed[at.index(agreed.len())];
            let mut other = asker.clone();
            other.say(Entry { digest: Digest::of(b"another"), ..one });
            let lying = of_asker(&other, Left { named: left, ..Left::default() });
            prop_assert_eq!(&lying.totals, &honest.totals);
            prop_assert!(!lying.is_true_for(area(THERE), &answerer, &[]));
        }
    }
}

#[test]
fn what_may_still_be_cured_keeps_the_days_open_however_much_else_is_left() {
    use DifferenceName as N;
    let month = || statement("2026-10-01", "2026-10-31");
    let gone = |number: u16| {
        let made = UnixMillis::new(date("2026-10-10").begins().get() + 1_000);
        let mut random = [0; 10];
        random[8..].copy_from_slice(&number.to_be_bytes());
        let id = MessageId::new(made, random);
        let sender = Some(Entry { id, ..entry(1, EntryState::Waiting) });
        Difference { name: N::MissingAtRecipient, sender, recipient: None }
    };
    let all: Vec<_> = (0..3_000).map(gone).collect();
    let mut lost: BTreeSet<_> = all.iter().filter_map(Difference::id).collect();
    let of = |lost: &BTreeSet<MessageId>| {
        let Left { named: left, more: left_more, rest: left_rest } =
            Left::of(all.clone(), lost, &month().scope);
        let named: BTreeSet<_> = left.iter().filter_map(Difference::id).collect();
        let lost = lost.intersection(&named).copied().collect();
        Statement { left, left_more, left_rest, lost, ..month() }
    };
    assert!(of(&lost).closes(), "what nobody has any more keeps nothing open");
    // The last of three thousand may still come.
    lost.pop_last();
    assert!(of(&lost).leaves_work() && !of(&lost).closes());
}

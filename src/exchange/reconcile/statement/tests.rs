//! Which statements close their days, and which are true for the other side.

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
        found: [0; 6],
        cured: [0; 6],
        left: Vec::new(),
        left_more: Vec::new(),
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
    let mut honest = statement("2026-10-01", "2026-10-31");
    (honest.totals, honest.left) = (Totals::of(&asker), vec![both.clone(), gone.clone()]);
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
    let (left, left_more) = name_left(left, &BTreeSet::from([lost]));
    assert_eq!(left.len(), LEFT_MAX);
    assert!(left.iter().any(|it| it.name == N::ContentDiffers), "what a person decides is named");
    let mut honest = statement("2026-10-01", "2026-10-31");
    honest.totals = Totals::of(&asker);
    (honest.left, honest.left_more, honest.lost) = (left, left_more, vec![lost]);
    assert_eq!(honest.left_count(), 2_501);
    assert_eq!(honest.left_more.len(), 2, "one kind each way");
    let holds = |statement: &Statement| statement.is_true_for(area(THERE), &answerer, &[]);
    assert!(holds(&honest));

    let lies: [fn(&mut Statement); 7] = [
        |it| it.left_more.clear(),
        |it| it.left_more[0].count += 1,
        |it| it.left_more[1].count = 0,
        |it| it.left_more.reverse(),
        |it| it.left_more[0].what.pair.0 = area("510104"),
        |it| it.left_more[0].what.name = N::StateDiffers,
        |it| it.lost[0] = MessageId::from_bytes([9; 16]),
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
    assert!(hiding.agrees_with(&Totals::of(&answerer)) && !holds(&hiding));
}

//! Accounts: closed days stay closed and what changes in them later is a correction, figures, proofs of growth.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::ledger::{Direction, LedgerHead, SeenHead};
use exchange::reconcile::calls::{Signature, SignedStatement};
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::{Correction, LeftRest, Statement};
use exchange::reconcile::totals::{Counts, Digests, Held};
use exchange::reconcile::{Entry, EntryState};
use exchange::tree;
use store::messages::peer_key;
use store::network::PeerHeadRow;
use store::reconcile::Change;
use store::tables::{NOTICE, PEER_HEAD};
use wire::reconcile::encode_statement;

use super::{HERE, NOW, ORIGIN, Office, refused};
use crate::app::AppError;
use crate::app::ledger::growth::{self, Answer};
use crate::app::reconcile::corrections::{self, Seen};
use crate::app::reconcile::{books, figures, statements};
use crate::config::{Every, ReconcileSettings};

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn date(day: &str) -> Date {
    day.parse().unwrap()
}

/// A message from here, made on a day of January.
fn entry(number: u8, day: &str) -> Entry {
    let made = UnixMillis::new(date(day).begins().get() + 3_600_000);
    let id = MessageId::new(made, [number; 10]);
    let digest = Digest::of(&[number]);
    Entry { id, digest, from: area(HERE), to: area(ORIGIN), state: EntryState::Stored }
}

async fn note(office: &Office, entry: Entry) {
    let change = Change::Word(Direction::Sent, entry);
    let write = move |unit: &mut store::Unit<'_>| books::note(unit, &change);
    office.store.commit(write).await.unwrap();
    books::advance(&office.store, office.area).await.unwrap();
}

fn scope(first: &str, last: &str) -> Scope {
    let (first, last) = (date(first), date(last));
    Scope { asker: area(HERE), answerer: area(ORIGIN), first, last, until: NOW }
}

/// What has changed in closed days; the same when it is looked for a second time.
fn corrected(office: &Office, scope: Scope) -> Vec<Correction> {
    let seen = Seen::default();
    let find = || corrections::corrected(&office.store, office.area, &scope, &seen).unwrap();
    let found = find();
    assert_eq!(find(), found);
    found
}

/// A statement over what the books say, as both have signed it.
async fn close(office: &Office, scope: Scope) -> statements::Kept {
    let held = Held::of(&books::load(&office.store, office.area, &scope).unwrap());
    let statement = Statement {
        id: [7; 16],
        scope,
        made: NOW,
        totals: held.totals,
        digests: Digests::default(),
        found: [0; 6],
        cured: [0; 6],
        left: Vec::new(),
        corrections: corrected(office, scope),
        left_more: Vec::new(),
        left_rest: LeftRest::default(),
        lost: Vec::new(),
        incomplete: Vec::new(),
    }
    .attesting(held.digests);
    let signature = || Signature { signature: vec![1], chain: vec![vec![2]] };
    let signed = SignedStatement {
        statement: encode_statement(&statement),
        asker: signature(),
        answerer: signature(),
    };
    statements::keep(&office.store, office.area, signed, NOW).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_in_closed_days_is_a_correction_in_the_next_statement() {
    let office = Office::here();
    note(&office, entry(1, "2026-01-10")).await;
    let january = scope("2026-01-01", "2026-01-31");
    let closed = close(&office, january).await;
    assert!(closed.row.closes && closed.statement.corrections.is_empty());

    // The days are closed for every scope that has one of them.
    for days in [("2026-01-01", "2026-01-31"), ("2026-01-31", "2026-02-10")] {
        let open = statements::must_be_open(&office.store, office.area, &scope(days.0, days.1));
        assert_eq!(refused(open).0, Reason::StateForbids);
    }
    let february = scope("2026-02-01", "2026-02-28");
    statements::must_be_open(&office.store, office.area, &february).unwrap();

    note(&office, entry(2, "2026-01-20")).await;
    note(&office, entry(3, "2026-02-03")).await;
    // Looking at closed days without closing any is no harm, and tells the same.
    let look = close(&office, scope("2026-01-02", "2026-02-10")).await;
    assert!(!look.row.closes && look.statement.corrections.len() == 1);
    let next = close(&office, february).await;
    let [correction] = next.statement.corrections.as_slice() else {
        panic!("{:?}", next.statement.corrections)
    };
    assert_eq!(correction.statement, closed.row.digest, "it names the statement of then");
    let stored = |stored| Counts { stored, ..Counts::default() };
    assert_eq!((correction.before.counts, correction.now.counts), (stored(1), stored(2)));
    assert_eq!(next.statement.totals.0.values().collect::<Vec<_>>(), [&stored(1)]);

    // What is told once is not told again.
    let march = scope("2026-03-01", "2026-03-31");
    assert_eq!(corrected(&office, march), []);
    note(&office, entry(4, "2026-01-21")).await;
    let again = corrected(&office, march);
    assert_eq!(
        again.iter().map(|it| (it.before.counts, it.now.counts)).collect::<Vec<_>>(),
        [(stored(2), stored(3))]
    );

    let settings = ReconcileSettings {
        report_every: std::time::Duration::from_secs(300),
        with: vec![area(ORIGIN)],
        every: Every::Month,
        on_day: 5,
        retry_after: std::time::Duration::from_secs(3_600),
        unmatched_max: 1_000_000,
        patience: std::time::Duration::from_secs(900),
    };
    let told = |now| figures::figures(&office.store, &settings, now).unwrap();
    assert_eq!(told(NOW).closed[&area(ORIGIN)].0, date("2026-02-28"));
    // On the eighth of April nobody has signed March, which was due on the fifth.
    assert_eq!(told(date("2026-04-08").begins()).overdue, [area(ORIGIN)]);
    assert_eq!(told(date("2026-04-07").begins()).overdue, []);
    assert_eq!(told(date("2026-03-20").begins()).overdue, []);
    assert_eq!((told(NOW).set_back, told(NOW).decisions, told(NOW).lost), (Vec::new(), 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_messages_that_swap_their_states_are_a_correction_though_the_totals_stay() {
    let office = Office::here();
    let refused = |number, day| Entry { state: EntryState::Refused, ..entry(number, day) };
    note(&office, entry(1, "2026-01-10")).await;
    note(&office, refused(2, "2026-01-11")).await;
    let closed = close(&office, scope("2026-01-01", "2026-01-31")).await;
    let february = scope("2026-02-01", "2026-02-28");
    let seen = Seen::default();
    let found = || corrections::corrected(&office.store, office.area, &february, &seen).unwrap();
    assert_eq!(found(), []);
    note(&office, refused(1, "2026-01-10")).await;
    note(&office, entry(2, "2026-01-11")).await;
    assert_eq!(found().len(), 1, "the books were written since");
    let next = close(&office, february).await;
    let [correction] = next.statement.corrections.as_slice() else {
        panic!("{:?}", next.statement.corrections)
    };
    assert!(correction.keeps_totals());
    assert_eq!(correction.statement, closed.row.digest);
    let pair = (area(HERE), area(ORIGIN));
    assert_eq!(correction.before.digest, closed.statement.digests.0.get(&pair).copied());
    assert_ne!(correction.now.digest, correction.before.digest);
    let march = scope("2026-03-01", "2026-03-31");
    assert_eq!(corrected(&office, march), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_cannot_prove_that_its_ledger_grew_is_named_with_both_heads() {
    let office = Office::here();
    let peer = area(ORIGIN);
    let leaves: Vec<_> = (0..9_u8).map(|n| tree::leaf_hash(&[n])).collect();
    let head = |n: usize| LedgerHead::of(&leaves[..n].iter().copied().collect());
    let seen = |head, at| SeenHead { head, signed: UnixMillis::new(at) };
    let signs = async |seen| {
        let write = move |unit: &mut store::Unit<'_>| {
            Ok::<_, AppError>(unit.put(&PEER_HEAD, &peer_key(peer), &PeerHeadRow { seen })?)
        };
        office.store.commit(write).await.unwrap();
    };
    let proof = |from: usize, to: usize| {
        Answer::Proof(
            head(to),
            tree::consistency_proof(&leaves[..to], u64::try_from(from).unwrap()).unwrap(),
        )
    };
    // The first head is taken as it is; nothing is asked while there is no other.
    signs(seen(head(4), 100)).await;
    for _ in 0..2 {
        assert_eq!(growth::question(&office.store, peer).await.unwrap(), None);
    }
    signs(seen(head(7), 200)).await;
    let question = growth::question(&office.store, peer).await.unwrap().unwrap();
    assert!(growth::answered(&office.store, peer, question, &proof(4, 7), NOW).await.unwrap());
    assert_eq!(growth::broken(&office.store, peer).unwrap(), None);

    // It has grown, but by the proof not from what it had signed.
    let other = LedgerHead { size: 9, root: Digest::of(b"another history") };
    for wrong in [proof(7, 9), Answer::Denied, Answer::Proof(other, Vec::new())] {
        signs(seen(other, 300)).await;
        let known = seen(head(7), 200);
        let question = growth::Question { known, seen: seen(other, 300) };
        let holds = growth::answered(&office.store, peer, question, &wrong, NOW).await.unwrap();
        assert!(!holds, "{wrong:?}");
        let broken = growth::broken(&office.store, peer).unwrap();
        assert_eq!(broken, Some((known, seen(other, 300))));
    }
    assert!(!office.store.scan(&NOTICE, .., 10).unwrap().is_empty(), "the office is told");
    assert_eq!(growth::in_question(&office.store).unwrap(), (vec![peer], Vec::new()));
}

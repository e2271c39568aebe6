//! Heads of a peer's ledger that come other ways than with receipts: in its card, with its report; and proofs that it owes.

use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::card::{NodeCard, SealingKey};
use exchange::digest::Digest;
use exchange::envelope::AlgorithmProfile;
use exchange::ledger::{LedgerHead, SeenHead};
use exchange::tree;
use store::letters::NoticeKind;
use store::messages::{Blob, Signed, peer_key};
use store::network::{CardRow, PeerHeadRow};
use store::tables::{HEAD_CARD, NOTICE, PEER_HEAD};
use wire::encode_card;

use super::{NOW, ORIGIN, Office};
use crate::app::AppError;
use crate::app::ledger::growth::{self, Answer, Question};
use crate::app::ledger::{self, HeadSigned, Shows};

fn peer() -> AreaCode {
    ORIGIN.parse().unwrap()
}

fn at(hours: u32) -> UnixMillis {
    NOW.saturating_add(Duration::from_secs(3_600) * hours)
}

/// A history of so many entries; those of two histories differ from the fourth on.
fn leaves(history: u8, count: u64) -> Vec<Digest> {
    let leaf = |n: u64| if n < 3 { vec![0, 0] } else { vec![history, u8::try_from(n).unwrap()] };
    (0..count).map(|n| tree::leaf_hash(&leaf(n))).collect()
}

fn seen(history: u8, count: u64, hours: u32) -> SeenHead {
    let head = LedgerHead::of(&leaves(history, count).into_iter().collect());
    SeenHead { head, signed: at(hours) }
}

fn card(head: SeenHead) -> CardRow {
    let card = NodeCard {
        area: peer(),
        name: "office".to_owned(),
        endpoints: vec!["node.example:7443".parse().unwrap()],
        sealing_keys: vec![SealingKey {
            profile: AlgorithmProfile::International,
            public_key: [1; 32],
            use_until: at(999),
        }],
        version: head.signed.get(),
        valid_from: head.signed,
        valid_until: at(999),
        maintenance: Vec::new(),
        area_changes: Vec::new(),
        collects: false,
        retired: None,
        ledger_head: Some(head),
    };
    let signed = Signed { manifest: Blob(encode_card(&card)), signature: Blob(vec![9]) };
    let chain = vec![Blob(vec![8])];
    CardRow { card: signed, chain, version: card.version, logged: 1, received: NOW }
}

struct Watcher(Office);

impl Watcher {
    /// Somebody who has a receipt of the peer with this head.
    async fn who_knows(head: SeenHead) -> Self {
        let this = Self(Office::here());
        this.write(move |unit| {
            Ok(unit.put(&PEER_HEAD, &peer_key(peer()), &PeerHeadRow { seen: head })?)
        })
        .await;
        assert_eq!(this.question().await, None, "the first head is taken as it is");
        this
    }

    async fn write(
        &self,
        work: impl FnOnce(&mut store::Unit<'_>) -> Result<(), AppError> + Send + 'static,
    ) {
        self.0.store.commit(work).await.map_err(AppError::from).unwrap();
    }

    async fn sees_card(&self, head: SeenHead) {
        self.write(move |unit| growth::in_card(unit, peer(), head, &card(head), NOW)).await;
    }

    async fn question(&self) -> Option<Question> {
        growth::question(&self.0.store, peer()).await.unwrap()
    }

    async fn hears(&self, answer: Answer) -> bool {
        let question = self.question().await.unwrap();
        growth::answered(&self.0.store, peer(), question, &answer, NOW).await.unwrap()
    }

    fn notices(&self) -> Vec<NoticeKind> {
        let rows = self.0.store.scan(&NOTICE, .., 99).unwrap().into_iter();
        rows.filter(|(_, row)| row.done.is_none()).map(|(_, row)| row.what).collect()
    }

    fn cards(&self) -> usize {
        self.0.store.scan(&HEAD_CARD, .., 99).unwrap().len()
    }
}

fn proof(from: u64, to: SeenHead, history: u8) -> Answer {
    let leaves = leaves(history, to.head.size);
    Answer::Proof(to.head, tree::consistency_proof(&leaves, from).unwrap())
}

#[tokio::test]
async fn a_history_that_others_were_shown_is_found_by_the_head_in_the_card() {
    let watcher = Watcher::who_knows(seen(1, 5, 1)).await;
    // An honest one grows, and its card is of no interest any more.
    watcher.sees_card(seen(1, 7, 2)).await;
    assert_eq!(watcher.cards(), 1);
    assert!(watcher.hears(proof(5, seen(1, 7, 2), 1)).await);
    assert_eq!((watcher.cards(), watcher.notices()), (0, vec![]));
    // It shows others another history; what it can prove is not from what it has shown here.
    watcher.sees_card(seen(1, 8, 3)).await;
    assert!(watcher.hears(proof(7, seen(1, 8, 3), 1)).await);
    watcher.sees_card(seen(1, 9, 4)).await;
    assert!(watcher.hears(proof(8, seen(1, 9, 4), 1)).await);
    watcher.sees_card(seen(2, 12, 5)).await;
    assert!(!watcher.hears(proof(9, seen(2, 12, 5), 2)).await);
    let (before, after) = (seen(1, 9, 4).head, seen(2, 12, 5).head);
    assert_eq!(watcher.notices(), [NoticeKind::RolledBack { peer: peer(), before, after }]);
}

#[tokio::test]
async fn two_cards_with_two_roots_of_one_size_are_the_proof() {
    let watcher = Watcher::who_knows(seen(1, 5, 1)).await;
    watcher.sees_card(seen(1, 6, 2)).await;
    watcher.sees_card(seen(2, 6, 3)).await;
    assert_eq!(watcher.notices().len(), 1, "nobody has to be asked");
    let found = ledger::two_heads(&watcher.0.store, peer(), at(4)).unwrap().unwrap();
    assert_eq!(found.shows, Shows::Rewritten);
    for (found, head) in [(found.before, seen(1, 6, 2)), (found.after, seen(2, 6, 3))] {
        let row = card(head);
        let chain = vec![vec![8]];
        assert_eq!(found, HeadSigned { seen: head, in_card: true, signed: row.card, chain });
    }
}

#[tokio::test]
async fn a_card_of_somebody_without_receipts_and_one_that_is_late_say_nothing() {
    let office = Watcher(Office::here());
    office.sees_card(seen(1, 6, 2)).await;
    assert_eq!((office.cards(), office.question().await), (0, None));
    let watcher = Watcher::who_knows(seen(1, 9, 5)).await;
    watcher.sees_card(seen(1, 6, 2)).await;
    assert_eq!((watcher.cards(), watcher.question().await, watcher.notices()), (0, None, vec![]));
}

#[tokio::test]
async fn what_a_county_reports_is_asked_about_and_accuses_nobody() {
    let watcher = Watcher::who_knows(seen(1, 9, 1)).await;
    watcher.write(|unit| growth::reported(unit, peer(), seen(1, 7, 2))).await;
    assert_eq!(watcher.notices(), []);
    let question = watcher.question().await.unwrap();
    assert_eq!((question.known.head.size, question.seen.head.size), (7, 9));
    assert!(watcher.hears(proof(7, seen(1, 9, 1), 1)).await, "its report was late");
    watcher.write(|unit| growth::reported(unit, peer(), seen(2, 9, 3))).await;
    assert_eq!(watcher.notices(), []);
    assert!(!watcher.hears(Answer::Denied).await);
    assert_eq!(watcher.notices().len(), 1);
}

#[tokio::test]
async fn who_owes_a_proof_for_a_week_is_named_until_it_comes() {
    let watcher = Watcher::who_knows(seen(1, 5, 1)).await;
    watcher.write(|unit| growth::reported(unit, peer(), seen(1, 7, 2))).await;
    let store = &watcher.0.store;
    for (day, named) in [(0, false), (3, false), (6, false), (7, true), (8, true)] {
        growth::unanswered(store, peer(), at(24 * day)).await.unwrap();
        assert_eq!(!watcher.notices().is_empty(), named, "day {day}");
    }
    let owes = NoticeKind::GrowthUnproven { peer: peer(), since: at(0) };
    assert_eq!(watcher.notices(), [owes]);
    assert!(watcher.hears(proof(5, seen(1, 7, 2), 1)).await);
    assert_eq!(watcher.notices(), []);
}

#[tokio::test]
async fn a_doubt_is_shown_with_both_heads_until_it_is_answered_and_accuses_nobody_before() {
    let watcher = Watcher::who_knows(seen(1, 5, 1)).await;
    let store = &watcher.0.store;
    watcher.sees_card(seen(1, 9, 2)).await;
    watcher.sees_card(seen(1, 7, 3)).await;
    let shown = |at: UnixMillis| ledger::two_heads(store, peer(), at).unwrap();
    let doubt = growth::owed(store, peer(), at(4)).unwrap();
    assert_eq!(doubt, Some((seen(1, 9, 2), seen(1, 7, 3))));
    let found = shown(at(4)).unwrap();
    let heads = (found.before.seen, found.after.seen);
    assert_eq!((found.shows, heads), (Shows::Owes, (seen(1, 9, 2), seen(1, 7, 3))));
    assert_eq!(watcher.notices(), []);
    assert!(watcher.hears(proof(7, seen(1, 9, 2), 1)).await, "it came late");
    assert_eq!((shown(at(5)), watcher.notices()), (None, vec![]));
}

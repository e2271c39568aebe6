//! A recipient that has lost its memory, as after a restore from a backup: we notice, go on in a new lane, and lose nothing
//! that it has not signed for.

use std::time::Duration;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::courier::{Answer, CourierSettings};
use exchange::digest::Digest;
use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::ledger::{LedgerHead, SeenHead};
use exchange::parcel::ParcelId;
use exchange::receipt::{Disposition, Outcome, Receipt};
use exchange::tree;
use store::letters::{DeadReason, NoticeKind};
use store::messages::{Side, Signed, peer_key};
use store::tables::{DEAD_LETTER, LANE_EPOCH, NOTICE, PEER_HEAD};
use wire::encode_disposition;

use super::mail::{Post, content, row, send};
use super::{NOW, ORIGIN, Office};
use crate::app::AppError;
use crate::app::ledger::growth::{self, Answer as Proof, Question};
use crate::app::messages::heal::{Healed, Healing};
use crate::app::messages::send::{Accepted, Outlet as _};
use crate::app::messages::settle::{self, Answered};

fn at(seconds: u64) -> UnixMillis {
    NOW.saturating_add(Duration::from_secs(seconds))
}

/// An office that sends to another one which is not there: its answers are made up.
struct Sender {
    office: Office,
    post: Post,
}

/// What the other office says about one message.
#[derive(Clone, Copy)]
enum Says {
    Stored,
    Deferred(Reason),
    Refused(Reason),
}

impl Sender {
    fn new() -> Self {
        Self { office: Office::here(), post: Post::new() }
    }

    fn peer() -> AreaCode {
        ORIGIN.parse().unwrap()
    }

    async fn send(&self, seed: u64) -> Accepted {
        let content = content(seed, Kind::DepartureNotice);
        send(&self.office, &self.office.clerk(), &self.post, content).await
    }

    fn healing(&self, new_epoch: u64, may_open: bool, now: UnixMillis) -> Healing {
        let sealer = self.post.sealer(Self::peer()).ok();
        let new_epoch = LaneEpoch::new(new_epoch);
        Healing { own: self.office.area, sealer, new_epoch, may_open, now }
    }

    /// A receipt for these messages, each in its present place, with the head of the other office's ledger.
    async fn hears(
        &self,
        said: &[(Accepted, Says)],
        head: (u64, u64),
        healing: Healing,
    ) -> Option<Healed> {
        let now = healing.now;
        let dispositions: Vec<_> =
            said.iter().map(|(of, says)| self.disposition(*of, *says, now)).collect();
        let serialised = dispositions.iter().map(|d| Bytes::from(encode_disposition(d))).collect();
        let answered = Answered {
            peer: Self::peer(),
            epoch: said[0].0.epoch,
            parcel_id: ParcelId::from_bytes(crate::time::random()),
            parcel: Signed { manifest: Default::default(), signature: Default::default() },
            parcel_signer: Digest::new([1; 32]),
            parcel_chain: Vec::new(),
            sequences: said.iter().map(|(of, _)| of.sequence).collect(),
            receipt: Receipt {
                manifest_bytes: Bytes::new(),
                signature: Bytes::new(),
                dispositions: serialised,
                chain: Vec::new(),
            },
            receipt_signer: Digest::new([2; 32]),
            head: seen(head.0, head.1),
            said: dispositions,
        };
        let settings = CourierSettings::default();
        let marks = said.iter().zip(&answered.said).map(|((of, _), said)| {
            match Answer::from(&said.outcome) {
                Answer::Final => Mark::Settled(of.sequence),
                Answer::Deferred { until, .. } => {
                    Mark::Deferred(of.sequence, settings.defer_until(now, until))
                }
            }
        });
        let marks: Vec<_> = marks.collect();
        let kept = self
            .office
            .store
            .commit(move |unit| settle::keep(unit, &answered, &marks, &healing, now))
            .await;
        kept.map_err(AppError::from).unwrap()
    }

    fn disposition(&self, of: Accepted, says: Says, now: UnixMillis) -> Disposition {
        let outcome = match says {
            Says::Stored => Outcome::Stored,
            Says::Deferred(reason) => {
                Outcome::Deferred { reason, until: now.saturating_add(Duration::from_secs(5)) }
            }
            Says::Refused(reason) => Outcome::Refused { reason, field: None },
        };
        let digest = row(&self.office.store, of.id, Side::Sent).digest;
        Disposition { message_id: of.id, digest, outcome, duplicate: false, decided: now }
    }

    fn epoch(&self) -> LaneEpoch {
        let epoch = self.office.store.get(&LANE_EPOCH, &peer_key(Self::peer())).unwrap();
        LaneEpoch::new(epoch.unwrap())
    }

    fn place(&self, of: Accepted) -> (LaneEpoch, LaneSeq) {
        let row = row(&self.office.store, of.id, Side::Sent);
        (row.epoch, row.sequence)
    }

    fn is_settled(&self, epoch: LaneEpoch, sequence: LaneSeq) -> bool {
        let lane = settle::lane_in_epoch(&self.office.store, Self::peer(), epoch).unwrap();
        lane.is_settled(sequence)
    }

    fn notices(&self) -> Vec<NoticeKind> {
        let rows = self.office.store.scan(&NOTICE, .., 99).unwrap();
        rows.into_iter().map(|(_, row)| row.what).collect()
    }

    async fn question(&self) -> Option<Question> {
        growth::question(&self.office.store, Self::peer()).await.unwrap()
    }

    async fn answers(&self, question: Question, answer: Proof) -> bool {
        let (store, peer) = (&self.office.store, Self::peer());
        growth::answered(store, peer, question, &answer, NOW).await.unwrap()
    }

    fn known_head(&self) -> SeenHead {
        self.office.store.get(&PEER_HEAD, &peer_key(Self::peer())).unwrap().unwrap().seen
    }
}

fn leaves(size: u64) -> Vec<Digest> {
    (0..size).map(|n| tree::leaf_hash(&n.to_be_bytes())).collect()
}

fn head(size: u64) -> LedgerHead {
    LedgerHead::of(&leaves(size).into_iter().collect())
}

/// A head of so many entries that was signed so many seconds after the beginning.
fn seen(size: u64, signed: u64) -> SeenHead {
    SeenHead { head: head(size), signed: at(signed) }
}

fn rolled_back(before: u64, after: u64) -> NoticeKind {
    NoticeKind::RolledBack { peer: Sender::peer(), before: head(before), after: head(after) }
}

#[tokio::test]
async fn a_ledger_that_was_set_back_opens_a_new_lane_and_is_told() {
    let sender = Sender::new();
    let [first, second, third, fourth] =
        [sender.send(1).await, sender.send(2).await, sender.send(3).await, sender.send(4).await];
    let healing = |now| sender.healing(77, true, now);
    assert!(sender.hears(&[(first, Says::Stored)], (100, 10), healing(at(11))).await.is_none());
    // A receipt that was signed earlier and comes later says nothing.
    assert!(sender.hears(&[(second, Says::Stored)], (99, 9), healing(at(12))).await.is_none());
    assert_eq!((sender.known_head(), sender.notices()), (seen(100, 10), vec![]));

    let healed = sender.hears(&[(third, Says::Stored)], (60, 20), healing(at(21))).await.unwrap();
    assert_eq!((healed.epoch, healed.opened), (LaneEpoch::new(77), true));
    assert!(healed.messages.is_empty() && healed.settled.is_empty());
    assert_eq!(sender.known_head(), seen(60, 20));
    // That is no accusation yet: the clock of the other node may have been ahead when it signed.
    assert_eq!(sender.notices(), []);
    let question = sender.question().await.unwrap();
    assert_eq!((question.known, question.seen), (seen(60, 20), seen(100, 10)));
    assert!(!sender.answers(question, Proof::Denied).await);
    assert_eq!(sender.notices(), [rolled_back(100, 60)]);
    // What waits goes on in its lane; what is new goes into the new one.
    let older = settle::older_lanes(&sender.office.store).unwrap();
    assert_eq!(older, [(Sender::peer(), fourth.epoch)]);
    let fifth = sender.send(5).await;
    assert_eq!((fifth.epoch, fifth.sequence), (LaneEpoch::new(77), LaneSeq::FIRST));
    // From here on it grows, whichever lane the receipt is for.
    assert!(sender.hears(&[(fourth, Says::Stored)], (61, 30), healing(at(31))).await.is_none());
    assert!(sender.hears(&[(fifth, Says::Stored)], (62, 40), healing(at(41))).await.is_none());
    assert_eq!(sender.epoch(), LaneEpoch::new(77));
}

#[tokio::test]
async fn a_loss_is_not_forgotten_while_no_lane_may_be_opened() {
    let sender = Sender::new();
    let [first, second, third] = [sender.send(1).await, sender.send(2).await, sender.send(3).await];
    sender.hears(&[(first, Says::Stored)], (100, 10), sender.healing(7, true, at(10))).await;
    let healing = sender.healing(8, false, at(20));
    assert!(sender.hears(&[(second, Says::Stored)], (60, 20), healing).await.is_none());
    // The office is told all the same, once the other node could not prove that it only grew.
    let question = sender.question().await.unwrap();
    assert!(!sender.answers(question, Proof::Denied).await);
    assert_eq!((sender.epoch(), sender.notices()), (first.epoch, vec![rolled_back(100, 60)]));
    assert_eq!(sender.known_head(), seen(100, 10));
    let healing = sender.healing(9, true, at(30));
    assert!(sender.hears(&[(third, Says::Stored)], (61, 30), healing).await.unwrap().opened);
    assert_eq!((sender.epoch(), sender.known_head()), (LaneEpoch::new(9), seen(61, 30)));
}

#[tokio::test]
async fn a_clock_that_was_ahead_accuses_nobody() {
    let sender = Sender::new();
    let [first, second, third, fourth] =
        [sender.send(1).await, sender.send(2).await, sender.send(3).await, sender.send(4).await];
    let healing = |epoch, now| sender.healing(epoch, true, now);
    // Its clock was an hour ahead when it signed ten entries; the receipt for twelve came first.
    sender.hears(&[(first, Says::Stored)], (12, 300), healing(7, at(301))).await;
    sender.hears(&[(second, Says::Stored)], (10, 3_600), healing(7, at(310))).await;
    assert_eq!(sender.notices(), []);
    let question = sender.question().await.unwrap();
    assert_eq!((question.known.head, question.seen.head), (head(10), head(12)));
    let proof = tree::consistency_proof(&leaves(12), 10).unwrap();
    assert!(sender.answers(question, Proof::Proof(head(12), proof)).await);
    assert_eq!((sender.notices(), sender.known_head().head), (vec![], head(12)));
    assert_eq!(sender.question().await, None);
    // Of the same hour is what comes late then: nothing is opened for it.
    let epoch = sender.epoch();
    assert!(
        sender.hears(&[(third, Says::Stored)], (11, 3_590), healing(8, at(320))).await.is_none()
    );
    assert_eq!((sender.epoch(), sender.known_head().head), (epoch, head(12)));
    // And from then on it grows as ever.
    sender.hears(&[(fourth, Says::Stored)], (13, 3_700), healing(9, at(3_701))).await;
    assert_eq!((sender.epoch(), sender.known_head()), (epoch, seen(13, 3_700)));
    assert_eq!(sender.notices(), []);
}

#[tokio::test]
async fn a_peer_that_cannot_be_asked_gets_a_new_lane_after_each_restore() {
    let sender = Sender::new();
    let [first, second, third, fourth] =
        [sender.send(1).await, sender.send(2).await, sender.send(3).await, sender.send(4).await];
    let healing = |epoch, now| sender.healing(epoch, true, now);
    sender.hears(&[(first, Says::Stored)], (100, 10), healing(7, at(10))).await;
    assert!(sender.hears(&[(second, Says::Stored)], (60, 20), healing(7, at(20))).await.is_some());
    assert!(sender.hears(&[(third, Says::Stored)], (70, 30), healing(8, at(30))).await.is_none());
    assert!(sender.hears(&[(fourth, Says::Stored)], (60, 40), healing(9, at(40))).await.is_some());
    assert_eq!((sender.epoch(), sender.known_head()), (LaneEpoch::new(9), seen(60, 40)));
    assert_eq!(sender.notices(), [], "nobody has said anything for certain");
}

#[tokio::test]
async fn a_doubt_that_comes_while_an_answer_is_on_its_way_stays_one() {
    let sender = Sender::new();
    let [first, second, third] = [sender.send(1).await, sender.send(2).await, sender.send(3).await];
    let healing = |now| sender.healing(7, true, now);
    sender.hears(&[(first, Says::Stored)], (80, 10), healing(at(10))).await;
    assert_eq!(sender.question().await, None, "the first head is taken as it is");
    sender.hears(&[(second, Says::Stored)], (100, 20), healing(at(20))).await;
    let asked = sender.question().await.unwrap();
    sender.hears(&[(third, Says::Stored)], (51, 30), healing(at(30))).await;
    let proof = tree::consistency_proof(&leaves(100), 80).unwrap();
    assert!(sender.answers(asked, Proof::Proof(head(100), proof)).await);
    assert_eq!(sender.known_head(), seen(51, 30), "that is what it has now");
    let doubt = sender.question().await.unwrap();
    assert_eq!((doubt.known, doubt.seen), (seen(51, 30), seen(100, 20)));
    assert!(!sender.answers(doubt, Proof::Denied).await);
    assert_eq!(sender.notices(), [rolled_back(100, 51)]);
}

#[tokio::test]
async fn what_a_peer_had_signed_before_its_restore_comes_late_and_is_not_its_newest_head() {
    let sender = Sender::new();
    let [first, second, third, fourth] =
        [sender.send(1).await, sender.send(2).await, sender.send(3).await, sender.send(4).await];
    let healing = |epoch, now| sender.healing(epoch, true, now);
    sender.hears(&[(first, Says::Stored)], (100, 10), healing(7, at(10))).await;
    assert!(sender.hears(&[(second, Says::Stored)], (50, 20), healing(7, at(20))).await.is_some());
    let question = sender.question().await.unwrap();
    sender.answers(question, Proof::Denied).await;
    assert_eq!(sender.notices(), [rolled_back(100, 50)]);
    // A relay brings a receipt from before the restore.
    assert!(sender.hears(&[(third, Says::Stored)], (99, 9), healing(8, at(30))).await.is_none());
    assert_eq!(sender.known_head(), seen(50, 20));
    // One restore is told once.
    assert!(sender.hears(&[(fourth, Says::Stored)], (51, 40), healing(8, at(40))).await.is_none());
    assert_eq!((sender.known_head(), sender.epoch()), (seen(51, 40), LaneEpoch::new(7)));
    assert_eq!(sender.notices(), [rolled_back(100, 50)]);
}

#[tokio::test]
async fn without_a_card_the_new_lane_is_opened_and_what_is_hurt_waits() {
    let sender = Sender::new();
    let (first, second) = (sender.send(1).await, sender.send(2).await);
    sender.hears(&[(first, Says::Stored)], (100, 10), sender.healing(7, true, at(10))).await;
    let healing = Healing { sealer: None, ..sender.healing(8, true, at(20)) };
    let ahead = Says::Deferred(Reason::WindowExceeded);
    let healed = sender.hears(&[(second, ahead)], (60, 20), healing).await.unwrap();
    assert!(healed.opened && healed.messages.is_empty());
    assert!(!sender.is_settled(second.epoch, second.sequence));
    let healed = sender.hears(&[(second, ahead)], (61, 30), sender.healing(9, false, at(30))).await;
    assert_eq!(healed.unwrap().messages, [second.id]);
    assert_eq!(sender.place(second), (LaneEpoch::new(8), LaneSeq::FIRST));
}

#[tokio::test]
async fn what_is_too_far_ahead_for_a_recipient_goes_into_a_new_lane() {
    let sender = Sender::new();
    let [first, second, third] = [sender.send(1).await, sender.send(2).await, sender.send(3).await];
    let ahead = Says::Deferred(Reason::WindowExceeded);
    // While no lane may be opened it waits.
    let healing = sender.healing(7, false, at(10));
    assert!(sender.hears(&[(second, ahead)], (100, 10), healing).await.is_none());
    assert!(!sender.is_settled(second.epoch, second.sequence));

    let said = [(first, Says::Stored), (second, ahead), (third, Says::Deferred(Reason::Busy))];
    let healed = sender.hears(&said, (101, 20), sender.healing(8, true, at(20))).await.unwrap();
    assert_eq!((healed.opened, healed.messages), (true, vec![second.id]));
    assert_eq!(healed.settled, [Mark::Settled(second.sequence)]);
    assert!(sender.is_settled(second.epoch, second.sequence), "nobody offers that place again");
    assert!(!sender.is_settled(third.epoch, third.sequence));
    assert_eq!(sender.place(second), (LaneEpoch::new(8), LaneSeq::FIRST));
    assert_eq!(sender.place(third), (third.epoch, third.sequence));
    assert_eq!(sender.notices(), [rolled_back(100, 101)]);
    // The next ones join it there.
    let healed = sender.hears(&[(third, ahead)], (102, 30), sender.healing(9, false, at(30))).await;
    assert!(!healed.unwrap().opened);
    assert_eq!(sender.place(third), (LaneEpoch::new(8), LaneSeq::new(2)));
    assert!(settle::older_lanes(&sender.office.store).unwrap().is_empty());
}

#[tokio::test]
async fn what_has_no_purpose_any_more_is_not_sent_again_and_holds_up_no_lane() {
    let sender = Sender::new();
    let (first, second) = (sender.send(1).await, sender.send(2).await);
    let expires = row(&sender.office.store, first.id, Side::Sent).expires;
    let ahead = Says::Deferred(Reason::WindowExceeded);
    let said = [(first, ahead), (second, Says::Refused(Reason::Conflict))];
    let healed = sender.hears(&said, (5, 10), sender.healing(7, true, expires)).await.unwrap();
    assert_eq!((healed.opened, healed.messages.len()), (true, 0));
    assert!(sender.is_settled(first.epoch, first.sequence));
    let letter = |of: Accepted| sender.office.store.get(&DEAD_LETTER, of.id.as_bytes()).unwrap();
    assert_eq!(letter(first).unwrap().why, DeadReason::Expired);
    let field = String::new();
    let conflict = DeadReason::Refused { reason: Reason::Conflict, field };
    assert_eq!(letter(second).unwrap().why, conflict);
}

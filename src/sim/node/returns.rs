//! Signed words on their way back: those that come in are kept or queued, those that wait are handed over until they
//! are taken. `delivery::returns`.

use std::rc::Rc;

use domain::time::UnixMillis;
use exchange::backoff::Backoff;
use exchange::courier::Answer;
use exchange::custody::CustodyOutcome;
use exchange::digest::Digest;
use exchange::lane::{LaneSeq, Mark};
use exchange::parcel::ParcelId;
use exchange::receipt::Disposition;

use super::outbound::offered;
use super::session::Via;
use super::units::{Answered, OnBehalf, Said, Work, check_returned};
use super::{Inner, Node, Timer, Waiter, World};
use crate::disk::rows::Key;
use crate::mail::{Frame, Receipt, Returned, Word};
use crate::network::ConnNo;
use crate::plan::NodeNo;

/// Words that are handed over at one time and have not been taken.
const WORDS_IN_FLIGHT: usize = 16;
/// The longest that a returned word waits for a courier that has its parcel in hand, milliseconds.
const LET_GO_WITHIN: u64 = 5_000;

/// Words for one neighbour.
#[derive(Debug, Default)]
pub(crate) struct Returns {
    failures: u32,
    /// Number of the timer that is set; nothing is tried before it runs out.
    waits: Option<u64>,
    timers: u64,
}

impl Node {
    /// Hands over what waits for a neighbour.
    pub(super) fn hand_back(&mut self, toward: NodeNo, world: &mut World) {
        let all = Key::Return(toward, 0)..=Key::Return(toward, u64::MAX);
        if self.disk.durable_range(all.clone()).next().is_none() {
            return;
        }
        let Some(memory) = &mut self.memory else { return };
        if memory.returns.entry(toward).or_default().waits.is_some() {
            return;
        }
        let Some(conn) = self.word_session(toward) else {
            // It cannot be called: the words wait until it comes, or somebody with a file. The real node goes on trying.
            if !world.plan.lines.exists(self.no, toward) {
                return;
            }
            return self.wish(toward, Waiter::Returns(toward), world);
        };
        let Some(session) = self.memory.as_ref().and_then(|m| m.sessions.get(&conn)) else {
            return;
        };
        let room = WORDS_IN_FLIGHT.saturating_sub(session.words.len());
        let waits = self.disk.durable_range(all).filter_map(|(key, row)| {
            let word = &row.returned()?.word;
            (!session.words.contains_key(&word.id())).then(|| (*key, word.clone()))
        });
        let words: Vec<_> = waits.take(room).collect();
        for (key, word) in words {
            if self.rogue(world) {
                // It keeps the word to itself.
                self.enqueue(Work::HandedBack { toward, keys: vec![key] }, world);
            } else {
                self.hand_over_word(conn, (key, word), world);
            }
        }
    }

    pub(super) fn returns_failed(&mut self, toward: NodeNo, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let returns = memory.returns.entry(toward).or_default();
        if returns.waits.is_some() {
            return;
        }
        returns.failures = returns.failures.saturating_add(1);
        returns.timers += 1;
        returns.waits = Some(returns.timers);
        let wish = returns.timers;
        let wait = Backoff::PROTOCOL.delay(returns.failures, world.dice.node.any());
        let at = world.now.later(wait).after(1);
        self.set_timer(Timer::Returns(toward), wish, at, world);
    }

    /// A session ended on which words were handed over and not taken.
    pub(super) fn returns_lost(&mut self, toward: NodeNo, words: usize, world: &mut World) {
        if words > 0 {
            self.returns_failed(toward, world);
        }
    }

    pub(super) fn returns_woken(&mut self, toward: NodeNo, wish: u64) {
        let Some(memory) = &mut self.memory else { return };
        let returns = memory.returns.entry(toward).or_default();
        if returns.waits == Some(wish) {
            returns.waits = None;
            self.tell(Inner::Returns(toward));
        }
    }

    /// The neighbour has taken a word.
    pub(super) fn return_taken(
        &mut self,
        conn: ConnNo,
        toward: NodeNo,
        id: Digest,
        world: &mut World,
    ) {
        let Some(memory) = &mut self.memory else { return };
        let session = memory.sessions.get_mut(&conn);
        let Some((key, _)) = session.and_then(|session| session.words.remove(&id)) else { return };
        memory.returns.entry(toward).or_default().failures = 0;
        self.enqueue(Work::HandedBack { toward, keys: vec![key] }, world);
    }

    // Words that come in.

    /// A word came back. One about a parcel whose relay's word is not on disk yet waits for that, but not for ever.
    pub(super) fn returned(&mut self, via: Via, word: Returned, world: &mut World) {
        let (parcel, to) = match &word {
            Returned::Receipt(receipt) => (receipt.manifest().parcel_id, receipt.manifest().from),
            Returned::Custody(word) => (word.manifest().parcel_id, word.manifest().to),
        };
        let in_hand = world.plan.at(to).is_some_and(|peer| self.is_in_hand(peer, parcel));
        match &mut self.memory {
            Some(memory) if in_hand => {
                memory.late.push((parcel, via, word));
                let at = world.now.after(LET_GO_WITHIN);
                self.set_timer(Timer::Late(parcel), 0, at, world);
            }
            _ => self.take_word(via, word, world),
        }
    }

    /// A parcel is out of hand, or has been for too long.
    pub(super) fn let_go(&mut self, parcel: ParcelId, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let (now, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut memory.late).into_iter().partition(|(of, ..)| *of == parcel);
        memory.late = later;
        for (_, via, word) in now {
            self.take_word(via, word, world);
        }
    }

    fn take_word(&mut self, via: Via, word: Returned, world: &mut World) {
        let id = word.id();
        let work = match word {
            Returned::Receipt(receipt) => self.returned_receipt(id, via, &receipt, world),
            Returned::Custody(word) => self.returned_custody(id, via, &word, world),
        };
        match work {
            Some(work) => self.enqueue(work, world),
            // Of no use here: it need not be handed over again.
            None => self.word_was_taken(id, via, world),
        }
    }

    pub(super) fn word_was_taken(&mut self, id: Digest, via: Via, world: &mut World) {
        self.reply(via, Frame::ReturnTaken(id), world);
    }

    fn returned_receipt(
        &self,
        id: Digest,
        via: Via,
        receipt: &Rc<Receipt>,
        world: &mut World,
    ) -> Option<Work> {
        let manifest = receipt.manifest();
        if world.plan.at(manifest.from) != Some(receipt.signed.by()) {
            return None;
        }
        let parcel = manifest.parcel_id;
        if manifest.to != self.area {
            let said = Said::Receipt(Rc::clone(receipt));
            let on_behalf = OnBehalf::Neighbour(id, via);
            let fits = self.answers(parcel, receipt, world);
            return fits.then_some(Work::Note { parcel, said, on_behalf });
        }
        let row = self.disk.get(&Key::Consignment(parcel));
        let answered = check_returned(receipt, row, |row, sequence| {
            self.envelope((row.peer, row.epoch), sequence).map(|envelope| offered(envelope))
        })?;
        let marks = marks(&answered, world, self.now(world));
        let healing = self.healing(answered.peer, world);
        let answered = Box::new(answered);
        Some(Work::SettleReturned { id, via, answered, marks, healing })
    }

    fn returned_custody(
        &self,
        id: Digest,
        via: Via,
        word: &Rc<Word>,
        world: &World,
    ) -> Option<Work> {
        let manifest = word.manifest();
        if world.plan.at(manifest.relay) != Some(word.by()) {
            return None;
        }
        let parcel = manifest.parcel_id;
        if manifest.from == self.area {
            let word = Rc::clone(word);
            return self.fits_consignment(parcel, &word).then_some(Work::KeepWord {
                id,
                via,
                word,
            });
        }
        let row = self.transit(parcel)?;
        manifest.check_about(row.parcel.manifest()).ok()?;
        // Between two relays; nobody hands it on.
        if matches!(manifest.outcome, CustodyOutcome::Deferred { .. }) {
            return None;
        }
        let said = Said::Further(Rc::clone(word));
        Some(Work::Note { parcel, said, on_behalf: OnBehalf::Neighbour(id, via) })
    }

    fn fits_consignment(&self, parcel: ParcelId, word: &Word) -> bool {
        let row = self.disk.get(&Key::Consignment(parcel));
        let row = row.and_then(crate::disk::rows::Row::consignment);
        row.is_some_and(|row| word.manifest().check_about(row.parcel.manifest()).is_ok())
    }
}

/// What a receipt that came back changes in the lane.
fn marks(answered: &Answered, world: &World, now: UnixMillis) -> Vec<Mark> {
    let settings = world.plan.courier;
    let (soonest, latest) =
        (now.saturating_add(settings.defer_min), now.saturating_add(settings.defer_max));
    let places = answered.sequences.iter().zip(&answered.dispositions);
    let mark = |(sequence, said): (&LaneSeq, &Disposition)| match Answer::from(&said.outcome) {
        Answer::Final => Mark::Settled(*sequence),
        Answer::Deferred { until, .. } => Mark::Deferred(*sequence, until.min(latest).max(soonest)),
    };
    places.map(mark).collect()
}

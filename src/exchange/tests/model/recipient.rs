//! The receiving node: its disk, and one unit of its store, with the real lane and the real decisions.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::lane::Admission;
use exchange::lane::LaneEpoch;
use exchange::lane::LaneIn;
use exchange::lane::LaneSeq;
use exchange::receipt::Outcome;
use exchange::receiver;
use exchange::receiver::Original;
use exchange::receiver::Verdict;

use super::letters::BEGINNING;
use super::letters::Letter;
use super::letters::Offer;
use super::letters::Parcel;
use super::sender::is_conflict;
use super::setup::Setup;

/// What survives a crash of the recipient. There is nothing else but what has arrived and is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Recipient {
    lanes: BTreeMap<u64, LaneIn>,
    /// What became of the envelope in each place.
    places: BTreeMap<(u64, u64), Original>,
    /// The messages that are stored.
    messages: BTreeMap<MessageId, Stored>,
    /// Those that were refused: whatever comes under such an id later, it stays refused.
    refusals: BTreeMap<MessageId, Original>,
    /// Two contents under one name were seen, though everybody is honest, or an answer was changed.
    conflict: bool,
    conflicts_expected: bool,
    /// The bug: what was answered and is not written; a crash loses it.
    unwritten: Vec<Parcel>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stored {
    original: Original,
    /// How often what follows from the message was done.
    times: u8,
}

impl Recipient {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self { conflicts_expected: setup.unnoticed, ..Self::default() }
    }

    /// One unit of the store: all offers of a parcel, one after the other. `busy` puts the first off.
    pub(crate) fn take_in(
        &mut self,
        setup: &Setup,
        parcel: &Parcel,
        busy: bool,
        now: UnixMillis,
    ) -> Vec<(Offer, Outcome)> {
        let decide = |(place, offer): (usize, &Offer)| {
            let verdict = if busy && place == 0 {
                let reason = if offer.letter.number.is_multiple_of(2) {
                    Reason::Busy
                } else {
                    Reason::UnknownCase
                };
                Verdict::Defer { reason, until: now.saturating_add(setup.deferral) }
            } else if setup.refuses(offer.letter.number) {
                Verdict::Refuse { reason: Reason::NotAgreed, field: None }
            } else {
                Verdict::Accept
            };
            (*offer, self.decide(offer, verdict, setup.expires(offer.letter.number), now))
        };
        parcel.offers.iter().enumerate().map(decide).collect()
    }

    fn decide(
        &mut self,
        offer: &Offer,
        verdict: Verdict,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Outcome {
        let (header, digest) = (offer.header(expires), offer.digest());
        let admission = self.lane(offer.epoch, now).admit(&header);
        let place = (offer.epoch, offer.sequence);
        let known = self.messages.get(&header.message_id).map(|stored| &stored.original);
        let original = match admission {
            Admission::Fresh | Admission::TooFarAhead { .. } | Admission::OtherEpoch => None,
            Admission::CheckId => known
                .or_else(|| self.refusals.get(&header.message_id))
                .map(|original| Original { same_body: true, ..original.clone() }),
            Admission::Seen => known
                .filter(|original| original.digest == digest)
                .or_else(|| self.places.get(&place))
                .cloned(),
        };
        let decision = receiver::decide(
            admission,
            original.as_ref(),
            &header,
            digest,
            offer.withdrawn,
            verdict,
            now,
        );
        self.conflict |= decision.is_conflict() && !self.conflicts_expected;
        let outcome = decision.disposition.outcome.clone();
        if decision.effect.uses_sequence() {
            self.lane(offer.epoch, now).mark(header.sequence, header.message_id);
            let original = Original {
                message_id: header.message_id,
                digest,
                outcome: outcome.clone(),
                decided: decision.disposition.decided,
                same_body: false,
            };
            self.conflict |= self.places.insert(place, original.clone()).is_some();
            if decision.effect == receiver::Effect::RecordRefusal && !is_conflict(&outcome) {
                self.refusals.insert(header.message_id, original.clone());
            }
            if decision.effect == receiver::Effect::Store {
                let stored = Stored { original, times: 0 };
                self.messages.entry(header.message_id).or_insert(stored).times += 1;
            }
        }
        outcome
    }

    /// The lane of that epoch; opened when it is new, which the other lanes of the sender are told.
    fn lane(&mut self, epoch: u64, now: UnixMillis) -> &mut LaneIn {
        if !self.lanes.contains_key(&epoch) {
            self.lanes.values_mut().for_each(|other| other.another_opened(now));
            let opened = (!self.lanes.is_empty()).then_some(now);
            self.lanes.insert(epoch, LaneIn::open(LaneEpoch::new(epoch), opened));
        }
        self.lanes.get_mut(&epoch).unwrap()
    }

    pub(crate) fn write_later(&mut self, parcel: Parcel) {
        self.unwritten.push(parcel);
    }

    pub(crate) const fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    pub(crate) fn write_late(&mut self, setup: &Setup, now: UnixMillis) {
        for parcel in std::mem::take(&mut self.unwritten) {
            self.take_in(setup, &parcel, false, now);
        }
    }

    pub(crate) fn crash(&mut self) {
        self.unwritten.clear();
    }

    /// Whether the disk bears out what was said about an offer.
    pub(crate) fn means(&self, offer: &Offer, outcome: &Outcome) -> bool {
        let is_stored = self.messages.contains_key(&offer.letter.id());
        let place = self.places.get(&(offer.epoch, offer.sequence));
        match outcome {
            Outcome::Stored => is_stored,
            // Somebody else has the place; the letter may come in another.
            refused if is_conflict(refused) => {
                place.is_some_and(|original| original.digest != offer.digest())
            }
            Outcome::Refused { .. } => !is_stored && place.is_some_and(|o| o.outcome == *outcome),
            Outcome::Deferred { .. } => true,
        }
    }

    /// Whether other content, under any number that was used, changes nothing.
    pub(crate) fn resists_forgery(&self, now: UnixMillis) -> bool {
        self.places.iter().all(|(&(epoch, sequence), original)| {
            let letter = Letter { number: u32::MAX, made: BEGINNING };
            let offer = Offer { letter, epoch, sequence, withdrawn: false };
            let header = offer.header(now.saturating_add(Duration::from_secs(9)));
            let admission = self.lanes[&epoch].admit(&header);
            let (original, digest) = (Some(original), offer.digest());
            let verdict = Verdict::Accept;
            let decision =
                receiver::decide(admission, original, &header, digest, false, verdict, now);
            decision.is_conflict() && decision.effect == receiver::Effect::Nothing
        })
    }

    /// Whether everything was done once, and every place that is answered is marked, and no other.
    pub(crate) fn is_consistent(&self) -> bool {
        let marked = |(epoch, sequence): &(u64, u64)| {
            self.lanes.get(epoch).is_some_and(|lane| lane.has_seen(LaneSeq::new(*sequence)))
        };
        let seen = |lane: &LaneIn| lane.high_water().get() + u64::from(lane.seen_above());
        let marks: u64 = self.lanes.values().map(seen).sum();
        !self.conflict
            && self.messages.values().all(|stored| stored.times == 1)
            && self.places.keys().all(marked)
            && Ok(marks) == u64::try_from(self.places.len())
            && self.places.values().all(|place| place.decided >= BEGINNING)
    }
}

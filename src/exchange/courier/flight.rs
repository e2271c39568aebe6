//! Parcels on their way: read, sent, answered, and their answers kept.

use domain::time::UnixMillis;

use super::Answer;
use super::Courier;
use super::CustodyAnswer;
use super::Effect;
use super::ParcelNo;
use crate::lane::LaneSeq;
use crate::lane::Mark;
use crate::route::Route;
use crate::runs::SeqRuns;

/// One parcel on its way, from the first read to the kept answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) parcel: ParcelNo,
    pub(super) route: Route,
    pub(super) sequences: SeqRuns,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Loading,
    Sent {
        since: UnixMillis,
    },
    /// The answer is being written; a lost link no longer matters.
    Keeping {
        marks: Vec<Mark>,
        hold_until: Option<UnixMillis>,
    },
}

/// An answer that cannot be one to its parcel: not one word for each envelope, or from a relay where there is none.
pub(super) struct NotAnAnswer {
    pub(super) route: Route,
}

impl Courier {
    /// The route that a parcel is for; `None` when it is not on its way any more.
    #[must_use]
    pub fn route_of(&self, parcel: ParcelNo) -> Option<Route> {
        let is_it = |flight: &&Flight| flight.parcel == parcel;
        self.flights.iter().find(is_it).map(|flight| flight.route)
    }

    /// What of a parcel cannot be read waits by itself.
    pub(super) fn put_aside(&mut self, parcel: ParcelNo, unreadable: SeqRuns, until: UnixMillis) {
        let is_it =
            |flight: &&mut Flight| flight.parcel == parcel && flight.stage == Stage::Loading;
        if let Some(flight) = self.flights.iter_mut().find(is_it)
            && !unreadable.is_empty()
        {
            flight.sequences = flight.sequences.without(&unreadable);
            self.rest(unreadable, until);
        }
    }

    pub(super) fn loaded(
        &mut self,
        parcel: ParcelNo,
        loaded: SeqRuns,
        now: UnixMillis,
        random: u64,
        effects: &mut Vec<Effect>,
    ) {
        let is_it = |flight: &Flight| flight.parcel == parcel && flight.stage == Stage::Loading;
        let Some(at) = self.flights.iter().position(is_it) else { return };
        let Flight { route, sequences: asked, .. } = self.flights.swap_remove(at);
        if asked.is_empty() {
            return;
        }
        if loaded.is_empty() {
            // The journal is in trouble: do not ask again at once.
            self.put_back(asked);
            self.own_fault(now, random);
            return;
        }
        if loaded != asked {
            self.put_back(asked.without(&loaded));
        }
        self.flights.push(Flight {
            parcel,
            route,
            sequences: loaded,
            stage: Stage::Sent { since: now },
        });
        effects.push(Effect::Send { parcel, route });
    }

    pub(super) fn receipt_arrived(
        &mut self,
        parcel: ParcelNo,
        answers: &[Answer],
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Result<(), NotAnAnswer> {
        let Some(at) = self.sent(parcel) else { return Ok(()) };
        let Some(flight) = self.flights.get_mut(at) else { return Ok(()) };
        if u64::try_from(answers.len()) != Ok(flight.sequences.count()) {
            return Err(NotAnAnswer { route: flight.route });
        }
        let mut hold_until = None;
        let mut mark = |(sequence, answer): (LaneSeq, &Answer)| match *answer {
            Answer::Final => Mark::Settled(sequence),
            Answer::Deferred { until, whole_peer } => {
                if whole_peer {
                    let hold = self.settings.hold_until(now, until);
                    hold_until = Some(hold_until.map_or(hold, |known: UnixMillis| known.min(hold)));
                }
                Mark::Deferred(sequence, self.settings.defer_until(now, until))
            }
        };
        let marks: Vec<_> = flight.sequences.iter().zip(answers).map(&mut mark).collect();
        flight.stage = Stage::Keeping { marks: marks.clone(), hold_until };
        effects.push(Effect::Keep { parcel, marks });
        Ok(())
    }

    pub(super) fn custody_arrived(
        &mut self,
        parcel: ParcelNo,
        answer: CustodyAnswer,
        now: UnixMillis,
        random: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), NotAnAnswer> {
        let Some(at) = self.sent(parcel) else { return Ok(()) };
        let Some(flight) = self.flights.get_mut(at) else { return Ok(()) };
        let route = flight.route;
        if route == Route::Direct {
            return Err(NotAnAnswer { route });
        }
        if answer == CustodyAnswer::Held {
            let until = now.saturating_add(self.settings.custody_patience);
            let held = |sequence| Mark::InCustody(sequence, until);
            let marks: Vec<_> = flight.sequences.iter().map(held).collect();
            flight.stage = Stage::Keeping { marks: marks.clone(), hold_until: None };
            effects.push(Effect::KeepCustody { parcel, marks });
            return Ok(());
        }
        let sequences = self.flights.swap_remove(at).sequences;
        match answer {
            CustodyAnswer::Deferred { until } => {
                self.put_back(sequences);
                if let Some(line) = self.lines.get_mut(&route) {
                    let until = self.settings.hold_until(now, until);
                    line.held_until = line.held_until.max(Some(until));
                }
            }
            CustodyAnswer::Held | CustodyAnswer::Refused => {
                let retry_at = self.failed_on(route, now, random);
                // It may be this parcel alone that the relay does not take: the others need not wait for it.
                let patience = now.saturating_add(self.settings.route_patience);
                self.rest(sequences, retry_at.max(patience));
                self.doubt(route, now);
            }
        }
        Ok(())
    }

    /// Place of a parcel that waits for its answer.
    fn sent(&self, parcel: ParcelNo) -> Option<usize> {
        let is_it =
            |flight: &Flight| flight.parcel == parcel && matches!(flight.stage, Stage::Sent { .. });
        self.flights.iter().position(is_it)
    }

    /// Place of a parcel whose answer is being written.
    fn keeping(&self, parcel: ParcelNo) -> Option<usize> {
        let is_it = |flight: &Flight| {
            flight.parcel == parcel && matches!(flight.stage, Stage::Keeping { .. })
        };
        self.flights.iter().position(is_it)
    }

    pub(super) fn kept(&mut self, parcel: ParcelNo) {
        let Some(at) = self.keeping(parcel) else { return };
        let Flight { route, stage, .. } = self.flights.swap_remove(at);
        let Stage::Keeping { marks, hold_until } = stage else { return };
        self.own_faults = 0;
        if let Some(line) = self.lines.get_mut(&route) {
            line.failures = 0;
        }
        self.held_until = self.held_until.max(hold_until);
        self.marked(&marks, Some(route));
    }

    /// Offered again after a pause; what is wrong here is wrong for the next answer as well.
    pub(super) fn not_kept(&mut self, parcel: ParcelNo, now: UnixMillis, random: u64) {
        let Some(at) = self.keeping(parcel) else { return };
        let flight = self.flights.swap_remove(at);
        self.put_back(flight.sequences);
        self.own_fault(now, random);
    }

    /// Our own store is in trouble: everything waits a while.
    fn own_fault(&mut self, now: UnixMillis, random: u64) {
        self.own_faults = self.own_faults.saturating_add(1);
        let until = self.settings.backoff.retry_at(now, self.own_faults, random);
        self.held_until = self.held_until.max(Some(until));
    }

    /// Takes over what is on disk now. `by` is the relay that a [`Mark::InCustody`] is about.
    pub(super) fn marked(&mut self, marks: &[Mark], by: Option<Route>) {
        for &mark in marks {
            let sequence = mark.sequence();
            if let Some(until) = self.lane.rests_until(sequence) {
                self.resting.remove(until, sequence);
            }
            self.fresh.remove(sequence);
            self.again.remove(sequence);
            self.lane.apply([mark]);
            // Unless it was settled by another way meanwhile, or was never given.
            let Some(until) = self.lane.rests_until(sequence) else { continue };
            let by = by.filter(|_| matches!(mark, Mark::InCustody(..)));
            self.resting.insert(until, by, sequence);
        }
    }

    /// Puts back what is on its way by one route and not answered.
    pub(super) fn put_back_flights(&mut self, route: Route) {
        for flight in std::mem::take(&mut self.flights) {
            match flight.stage {
                Stage::Loading | Stage::Sent { .. } if flight.route == route => {
                    self.put_back(flight.sequences);
                }
                Stage::Loading | Stage::Sent { .. } | Stage::Keeping { .. } => {
                    self.flights.push(flight);
                }
            }
        }
    }

    /// Back to the queue they came from, except what was settled or came to rest meanwhile.
    fn put_back(&mut self, sequences: SeqRuns) {
        let nothing_rests = self.lane.deferred().is_empty() && self.lane.in_custody().is_empty();
        if nothing_rests && !sequences.iter().any(|sequence| self.lane.is_settled(sequence)) {
            self.fresh.merge(sequences);
            return;
        }
        for sequence in sequences.iter().filter(|sequence| !self.lane.is_settled(*sequence)) {
            match self.lane.rests_until(sequence) {
                Some(until) if self.resting.contains(until, sequence) => {}
                Some(_) => self.again.insert(sequence),
                None => self.fresh.insert(sequence),
            }
        }
    }

    /// Not to be offered before that time, though nothing about it is on disk.
    fn rest(&mut self, sequences: SeqRuns, until: UnixMillis) {
        sequences.iter().for_each(|sequence| self.resting.insert(until, None, sequence));
    }

    /// What rested and whose time has come moves to the queue, unless it is settled, rests for longer or is
    /// on its way again.
    pub(super) fn wake_due(&mut self, now: UnixMillis) {
        while let Some((by, sequences)) = self.resting.take_due(now) {
            let mut forgotten = false;
            for sequence in sequences.iter() {
                let rests_on = self.lane.rests_until(sequence).is_some_and(|until| until > now);
                let on_its_way =
                    self.flights.iter().any(|flight| flight.sequences.contains(sequence));
                if !rests_on && !on_its_way && !self.lane.is_settled(sequence) {
                    self.again.insert(sequence);
                    forgotten = true;
                }
            }
            if let Some(relay) = by.filter(|_| forgotten) {
                self.doubt(relay, now);
            }
        }
    }
}

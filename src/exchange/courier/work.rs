//! What a courier does by itself after each event: wake what is due, connect, fill parcels, wish to be woken.

use domain::time::UnixMillis;

use super::Courier;
use super::Effect;
use super::Flight;
use super::Link;
use super::ParcelNo;
use super::Stage;
use super::Turn;
use crate::runs::SeqRuns;

impl Courier {
    pub(super) fn work(&mut self, now: UnixMillis, random: u64, effects: &mut Vec<Effect>) {
        self.wake_due(now);
        if self.earliest_timeout().is_some_and(|timeout| timeout <= now) {
            self.hang_up(now, random, effects);
        }
        if self.held_until.is_some_and(|until| until <= now) {
            self.held_until = None;
        }
        if self.held_until.is_none() {
            self.connect_if_needed(now, effects);
            self.fill_window(effects);
        }
        self.wish_to_wake(effects);
    }

    /// What was put off and is due moves to the queue.
    fn wake_due(&mut self, now: UnixMillis) {
        while let Some(&(until, sequence)) = self.waiting.first().filter(|(until, _)| *until <= now)
        {
            self.waiting.remove(&(until, sequence));
            self.again.insert(sequence);
        }
    }

    fn connect_if_needed(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Link::Down { retry_at } = self.link else { return };
        if self.has_mail() && retry_at.is_none_or(|at| at <= now) {
            self.link = Link::Connecting { since: now };
            effects.push(Effect::Connect);
        }
    }

    fn fill_window(&mut self, effects: &mut Vec<Effect>) {
        let Link::Up { window_parcels } = self.link else { return };
        let window = self.settings.window(window_parcels);
        while self.flights.len() < window {
            let Some(sequences) = self.take() else { break };
            let parcel = self.next_parcel;
            self.next_parcel = ParcelNo(parcel.0.wrapping_add(1));
            let bytes_max = self.settings.bytes();
            effects.push(Effect::Load { parcel, sequences: sequences.clone(), bytes_max });
            self.flights.push(Flight { parcel, sequences, stage: Stage::Loading });
        }
    }

    /// What goes into the next parcel. The queues take turns, so that neither what was put off nor what is
    /// new can starve the other.
    fn take(&mut self) -> Option<SeqRuns> {
        let limit = self.lane.highest_to_offer();
        let most = self.settings.envelopes();
        let first_of = |queue: &SeqRuns| queue.first().is_some_and(|first| first <= limit);
        // A small parcel while another is on its way would cost two signatures for little.
        let enough =
            if self.flights.is_empty() { 1 } else { u64::from(self.settings.fill).clamp(1, most) };
        let has_again = first_of(&self.again);
        let has_fresh = first_of(&self.fresh) && self.fresh.count_up_to(enough, limit) >= enough;
        self.turn = match (has_again, has_fresh, self.turn) {
            (false, false, _) => return None,
            (true, false, _) | (true, true, Turn::Fresh) => Turn::Again,
            (false, true, _) | (true, true, Turn::Again) => Turn::Fresh,
        };
        let queue = match self.turn {
            Turn::Fresh => &mut self.fresh,
            Turn::Again => &mut self.again,
        };
        Some(queue.take_first(most, limit))
    }

    /// Whether there is anything that could be offered now.
    fn has_mail(&self) -> bool {
        let limit = self.lane.highest_to_offer();
        let waits = |queue: &SeqRuns| queue.first().is_some_and(|first| first <= limit);
        waits(&self.fresh) || waits(&self.again)
    }

    /// When patience ends with a stream that does not open or a receipt that does not come.
    fn earliest_timeout(&self) -> Option<UnixMillis> {
        let sent = self.flights.iter().filter_map(|flight| match flight.stage {
            Stage::Sent { since } => Some(since),
            Stage::Loading | Stage::Keeping { .. } => None,
        });
        let connecting = match self.link {
            Link::Connecting { since } => Some(since),
            Link::Down { .. } | Link::Up { .. } => None,
        };
        let since = sent.chain(connecting).min();
        since.map(|since| since.saturating_add(self.settings.receipt_timeout))
    }

    fn wish_to_wake(&mut self, effects: &mut Vec<Effect>) {
        let retry_at = match self.link {
            Link::Down { retry_at } => retry_at,
            Link::Connecting { .. } | Link::Up { .. } => None,
        };
        // Both have to be over before mail moves, so the later one counts.
        let mail = retry_at.max(self.held_until).filter(|_| self.has_mail());
        let due = self.waiting.first().map(|(until, _)| *until);
        let earliest = [mail, due, self.earliest_timeout()].into_iter().flatten().min();
        if let Some(at) = earliest.filter(|at| self.wake_at != Some(*at)) {
            effects.push(Effect::WakeAt(at));
        }
        self.wake_at = earliest;
    }
}

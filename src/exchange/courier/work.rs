//! What a courier does by itself after each event: wake what is due, connect, fill parcels, wish to be woken.

use domain::time::UnixMillis;

use super::Courier;
use super::Effect;
use super::Link;
use super::ParcelNo;
use super::Turn;
use super::flight::Flight;
use super::flight::Stage;
use crate::route::Route;
use crate::runs::SeqRuns;

impl Courier {
    pub(super) fn work(&mut self, now: UnixMillis, random: u64, effects: &mut Vec<Effect>) {
        self.forgive(now);
        self.wake_due(now);
        for route in Route::ALL {
            if self.timeout_of(route).is_some_and(|timeout| timeout <= now) {
                self.hang_up(route, now, random, effects);
            }
        }
        if self.held().is_none() {
            if self.has_mail() {
                self.connect_wanted(now, effects);
            }
            self.fill_window(now, effects);
        }
        self.disconnect_superfluous(effects);
        self.wish_to_wake(now, effects);
    }

    /// Until when all mail waits.
    fn held(&self) -> Option<UnixMillis> {
        self.held_until.max(self.announced_until)
    }

    fn fill_window(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(route) = self.route_to_take(now) else { return };
        let Some(Link::Up { window_parcels }) = self.lines.get(&route).map(|line| line.link) else {
            return;
        };
        let window = self.settings.window(window_parcels);
        loop {
            let on_it = self.flights.iter().filter(|flight| flight.route == route).count();
            if on_it >= window {
                break;
            }
            let Some(sequences) = self.take(on_it == 0, effects) else { break };
            let parcel = self.next_parcel;
            self.next_parcel = ParcelNo(parcel.0.wrapping_add(1));
            let bytes_max = self.settings.bytes();
            effects.push(Effect::Load { parcel, sequences: sequences.clone(), bytes_max });
            self.flights.push(Flight { parcel, route, sequences, stage: Stage::Loading });
        }
    }

    /// What goes into the next parcel. The queues take turns, so that neither what was put off nor what is
    /// new can starve the other.
    fn take(&mut self, nothing_on_its_way: bool, effects: &mut Vec<Effect>) -> Option<SeqRuns> {
        let limit = self.lane.highest_to_offer();
        let most = self.settings.envelopes();
        let has_again = self.again.first().is_some_and(|first| first <= limit);
        let has_fresh = self.has_fresh(nothing_on_its_way, effects);
        self.turn = match (has_again, has_fresh, self.turn) {
            (false, false, _) => return None,
            (true, false, _) | (true, true, Turn::Fresh) => Turn::Again,
            (false, true, _) | (true, true, Turn::Again) => Turn::Fresh,
        };
        Some(match self.turn {
            Turn::Again => self.again.take_first(most, limit),
            Turn::Fresh if self.fresh_fits_in_a_parcel() => self.fresh.take_first(most, limit),
            Turn::Fresh => self.urgency.take_first(&mut self.fresh, most),
        })
    }

    /// Whether a parcel can be made of what was never put off. If there is more than one can hold, that
    /// takes knowing what is most urgent.
    fn has_fresh(&mut self, nothing_on_its_way: bool, effects: &mut Vec<Effect>) -> bool {
        let limit = self.lane.highest_to_offer();
        if self.fresh_fits_in_a_parcel() {
            self.urgency.forget();
            // A small parcel while another is on its way would cost two signatures for little.
            let most = self.settings.envelopes();
            let fill = u64::from(self.settings.fill).clamp(1, most);
            let enough = if nothing_on_its_way { 1 } else { fill };
            return self.fresh.count_up_to(enough, limit) >= enough;
        }
        match self.urgency.to_ask(&self.fresh.up_to(limit)) {
            Some(unknown) if unknown.is_empty() => true,
            Some(unknown) => {
                effects.push(Effect::Look { sequences: unknown.clone() });
                self.urgency.ask(unknown);
                false
            }
            None => false,
        }
    }

    fn fresh_fits_in_a_parcel(&self) -> bool {
        let most = self.settings.envelopes();
        self.fresh.count_up_to(most.saturating_add(1), self.lane.highest_to_offer()) <= most
    }

    /// Whether there is anything that could be offered now.
    fn has_mail(&self) -> bool {
        let limit = self.lane.highest_to_offer();
        let waits = |queue: &SeqRuns| queue.first().is_some_and(|first| first <= limit);
        waits(&self.fresh) || waits(&self.again)
    }

    fn wish_to_wake(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let mail = self.has_mail().then(|| match self.held() {
            Some(held) => Some(held),
            None => self.next_change_of_routes(now),
        });
        let timeout = Route::ALL.into_iter().filter_map(|route| self.timeout_of(route)).min();
        let times = [mail.flatten(), self.resting.next_end(), timeout];
        let earliest = times.into_iter().flatten().min();
        if let Some(at) = earliest.filter(|at| self.wake_at != Some(*at)) {
            effects.push(Effect::WakeAt(at));
        }
        self.wake_at = earliest;
    }
}

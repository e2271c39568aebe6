//! The routes of a courier: which of them should have a link, which one mail takes, and when one is given up.
//!
//! The best route is always wanted; each next one is wanted while all before it are in trouble. So trouble on
//! the direct route brings in a relay, the direct route is tried on, and when it stands the relay is let go.

use std::time::Duration;

use domain::time::UnixMillis;

use super::Courier;
use super::CourierSettings;
use super::Effect;
use super::Link;
use super::flight::Stage;
use crate::route::Route;
use crate::route::Routes;

/// One route and what was experienced on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) link: Link,
    /// Failures in a row since the last answer by this route that was kept.
    pub(super) failures: u32,
    /// When the first of the tries began that have not led to a link.
    without_link_since: Option<UnixMillis>,
    /// The relay asked for a pause.
    pub(super) held_until: Option<UnixMillis>,
    /// The relay has refused mail, or held some for longer than our patience: any other way is better.
    doubted_until: Option<UnixMillis>,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            link: Link::Down { retry_at: None },
            failures: 0,
            without_link_since: None,
            held_until: None,
            doubted_until: None,
        }
    }

    const fn is_up(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    const fn is_down(&self) -> bool {
        matches!(self.link, Link::Down { .. })
    }

    /// Whether mail can go by it, and nothing speaks against that.
    const fn is_well(&self) -> bool {
        self.is_up() && self.held_until.is_none() && self.doubted_until.is_none()
    }

    /// Whether the next route should be tried as well.
    fn is_in_trouble(&self, settings: &CourierSettings, now: UnixMillis) -> bool {
        if self.held_until.is_some() || self.doubted_until.is_some() {
            return true;
        }
        let most = settings.failures_before_next_route.max(1);
        let impatient = self.patience_ends(settings).is_some_and(|end| end <= now);
        !self.is_up() && (self.failures >= most || impatient)
    }

    fn patience_ends(&self, settings: &CourierSettings) -> Option<UnixMillis> {
        self.without_link_since.map(|since| since.saturating_add(settings.route_patience))
    }

    /// When something changes by itself on a route that is wanted.
    fn next_change(
        &self,
        settings: &CourierSettings,
        has_next: bool,
        now: UnixMillis,
    ) -> Option<UnixMillis> {
        let patience = self.patience_ends(settings).filter(|end| has_next && *end > now);
        match self.link {
            Link::Up { .. } => self.held_until,
            Link::Connecting { .. } => patience,
            Link::Down { retry_at } => {
                [retry_at.max(self.held_until), patience].into_iter().flatten().min()
            }
        }
    }
}

impl Courier {
    /// The route that mail takes: the best that is well. One that is not well is taken when no other is
    /// left to hope for.
    pub(super) fn route_to_take(&self, now: UnixMillis) -> Option<Route> {
        let first = |fits: &dyn Fn(&Line) -> bool| {
            self.lines.iter().find(|(_, line)| fits(line)).map(|(route, _)| *route)
        };
        if let Some(well) = first(&Line::is_well) {
            return Some(well);
        }
        if self.lines.values().any(|line| !line.is_in_trouble(&self.settings, now)) {
            return None;
        }
        first(&|line| line.is_up() && line.held_until.is_none())
    }

    /// The route that is shown: the one that mail takes, or else the best that is being tried.
    pub(super) fn route_to_show(&self) -> Option<Route> {
        let first = |fits: &dyn Fn(&Line) -> bool| {
            self.lines.iter().find(|(_, line)| fits(line)).map(|(route, _)| *route)
        };
        first(&Line::is_well)
            .or_else(|| first(&Line::is_up))
            .or_else(|| first(&|line| !line.is_down()))
            .or_else(|| self.lines.keys().next().copied())
    }

    /// The routes to have a link on.
    fn wanted(&self, now: UnixMillis) -> Routes {
        let mut wanted = Routes::none();
        for (route, line) in &self.lines {
            wanted = wanted.with(*route);
            if !line.is_in_trouble(&self.settings, now) {
                break;
            }
        }
        wanted
    }

    pub(super) fn connect_wanted(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        for route in self.wanted(now).iter() {
            let Some(line) = self.lines.get_mut(&route) else { continue };
            let Link::Down { retry_at } = line.link else { continue };
            if line.held_until.is_none() && retry_at.is_none_or(|at| at <= now) {
                line.link = Link::Connecting { since: now };
                line.without_link_since.get_or_insert(now);
                effects.push(Effect::Connect { route });
            }
        }
    }

    /// Lets go of routes that a better one has made superfluous, once nothing is on its way by them.
    pub(super) fn disconnect_superfluous(&mut self, effects: &mut Vec<Effect>) {
        let well = self.lines.iter().find(|(_, line)| line.is_well()).map(|(route, _)| *route);
        let Some(best) = well else { return };
        let flights = &self.flights;
        for (route, line) in &mut self.lines {
            let on_its_way = |flight: &super::flight::Flight| {
                flight.route == *route && !matches!(flight.stage, Stage::Keeping { .. })
            };
            if *route > best && !line.is_down() && !flights.iter().any(on_its_way) {
                line.link = Link::Down { retry_at: None };
                effects.push(Effect::Disconnect { route: *route });
            }
        }
    }

    /// Ends the pauses and doubts whose time has come.
    pub(super) fn forgive(&mut self, now: UnixMillis) {
        let over = |time: &mut Option<UnixMillis>| *time = time.filter(|until| *until > now);
        over(&mut self.held_until);
        over(&mut self.announced_until);
        for line in self.lines.values_mut() {
            over(&mut line.held_until);
            over(&mut line.doubted_until);
        }
    }

    pub(super) fn link_up(&mut self, route: Route, window_parcels: u32) {
        let Some(line) = self.lines.get_mut(&route).filter(|line| !line.is_down()) else { return };
        line.link = Link::Up { window_parcels: window_parcels.max(1) };
        line.without_link_since = None;
    }

    /// Everything on this route that is not yet answered goes back to where it came from.
    pub(super) fn link_lost(&mut self, route: Route, now: UnixMillis, random: u64) {
        if self.lines.get(&route).is_none_or(Line::is_down) {
            return;
        }
        self.put_back_flights(route);
        let retry_at = self.failed_on(route, now, random);
        if let Some(line) = self.lines.get_mut(&route) {
            line.link = Link::Down { retry_at: Some(retry_at) };
        }
    }

    pub(super) fn hang_up(
        &mut self,
        route: Route,
        now: UnixMillis,
        random: u64,
        effects: &mut Vec<Effect>,
    ) {
        if self.lines.get(&route).is_some_and(|line| !line.is_down()) {
            effects.push(Effect::Disconnect { route });
        }
        self.link_lost(route, now, random);
    }

    pub(super) fn hang_up_everywhere(
        &mut self,
        now: UnixMillis,
        random: u64,
        effects: &mut Vec<Effect>,
    ) {
        for route in Route::ALL {
            self.hang_up(route, now, random, effects);
        }
    }

    /// Not quite at once: two nodes that only fail each other would call back and forth.
    pub(super) fn peer_seen(&mut self, now: UnixMillis, random: u64) {
        let soon = self.settings.backoff.retry_at(now, 1, random);
        let Some(line) = self.lines.get_mut(&Route::Direct) else { return };
        if let Link::Down { retry_at: Some(at) } = line.link {
            line.link = Link::Down { retry_at: Some(at.min(soon)) };
        }
    }

    pub(super) fn routes_changed(&mut self, routes: Routes, effects: &mut Vec<Effect>) {
        for route in Route::ALL {
            if routes.contains(route) {
                self.lines.entry(route).or_insert_with(Line::new);
            } else if let Some(line) = self.lines.remove(&route) {
                self.put_back_flights(route);
                if !line.is_down() {
                    effects.push(Effect::Disconnect { route });
                }
            }
        }
    }

    /// Counts a failure of a route and says when its next try may be.
    pub(super) fn failed_on(&mut self, route: Route, now: UnixMillis, random: u64) -> UnixMillis {
        let others = self.lines.len() > 1;
        let Some(line) = self.lines.get_mut(&route) else { return now };
        line.failures = line.failures.saturating_add(1);
        let retry_at = self.settings.backoff.retry_at(now, line.failures, random);
        if !others {
            return retry_at;
        }
        let probe = self.settings.direct_probe_max.max(Duration::from_millis(1));
        retry_at.min(now.saturating_add(probe))
    }

    /// From now on any other route is better, for as long as we would have waited for this one.
    pub(super) fn doubt(&mut self, route: Route, now: UnixMillis) {
        let until = now.saturating_add(self.settings.custody_patience);
        if let Some(line) = self.lines.get_mut(&route) {
            line.doubted_until = line.doubted_until.max(Some(until));
        }
    }

    /// When a route that is wanted changes by itself.
    pub(super) fn next_change_of_routes(&self, now: UnixMillis) -> Option<UnixMillis> {
        let wanted = self.wanted(now);
        let last = self.lines.keys().next_back().copied();
        let lines = self.lines.iter().filter(|(route, _)| wanted.contains(**route));
        let change = |(route, line): (&Route, &Line)| {
            line.next_change(&self.settings, Some(*route) != last, now)
        };
        lines.filter_map(change).min()
    }

    /// When patience ends with a stream that does not open or an answer that does not come.
    pub(super) fn timeout_of(&self, route: Route) -> Option<UnixMillis> {
        let sent = self.flights.iter().filter(|flight| flight.route == route);
        let sent = sent.filter_map(|flight| match flight.stage {
            Stage::Sent { since } => Some(since),
            Stage::Loading | Stage::Keeping { .. } => None,
        });
        let connecting = self.lines.get(&route).and_then(|line| match line.link {
            Link::Connecting { since } => Some(since),
            Link::Down { .. } | Link::Up { .. } => None,
        });
        let since = sent.chain(connecting).min();
        since.map(|since| since.saturating_add(self.settings.receipt_timeout))
    }
}

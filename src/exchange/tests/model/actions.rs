//! Everything that may happen next.

use domain::time::UnixMillis;
use exchange::route::Route;
use exchange::route::Routes;

use super::network::Stream;
use super::sender::Shell;
use super::world::World;

/// One thing that happens. Numbers are places in the list that they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Accept,
    Withdraw {
        number: u32,
    },
    Connect {
        epoch: u64,
        route: Route,
        works: bool,
    },
    LoseLink {
        epoch: u64,
        route: Route,
    },
    Keep {
        epoch: u64,
        at: usize,
        fails: bool,
    },
    LoseParcel {
        at: usize,
    },
    Reply {
        at: usize,
        again: bool,
    },
    LoseReply {
        at: usize,
    },
    /// A parcel reaches the recipient, which writes it and answers.
    TakeIn {
        at: usize,
        how: TakeIn,
    },
    /// The bug: what was answered is written.
    WriteLate,
    /// A parcel reaches the relay, which writes it and answers.
    RelayTakesIn {
        at: usize,
        how: RelayTakesIn,
    },
    RelayConnects {
        works: bool,
    },
    RelayLosesLink,
    RelayKeeps {
        at: usize,
    },
    RelayForgets {
        at: usize,
    },
    Return {
        at: usize,
        crash: bool,
    },
    SenderCrashes,
    RecipientCrashes,
    RelayCrashes,
    BackUp,
    Restore,
    Disturb {
        epoch: u64,
        by: Disturbance,
    },
    /// The clock goes on to the next time that somebody waits for.
    Tick,
}

/// What a courier is told beside its mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Disturbance {
    PeerSeen,
    Misbehaves,
    Pauses,
    GoesOn,
    Routes(Routes),
}

/// What a recipient does with a parcel that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TakeIn {
    Writes,
    /// And the same parcel comes again.
    WritesAndRepeats,
    /// The first envelope is put off.
    Busy,
    /// The program ends before the answer is sent.
    WritesAndCrashes,
    /// It does not take the parcel from the relay.
    TurnsAway,
}

/// What a relay does with a parcel that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RelayTakesIn {
    Writes,
    WritesAndRepeats,
    Refuses,
    Busy,
    WritesAndCrashes,
}

impl World {
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut actions = self.progress();
        self.add_work(&mut actions);
        self.add_losses(&mut actions);
        self.add_crashes(&mut actions);
        self.add_disturbances(&mut actions);
        actions
    }

    /// What happens when nothing goes wrong and nobody wants anything new; the clock last of all.
    pub(crate) fn progress(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (&epoch, shell) in &self.sender.shells {
            let connect = |route: &Route| Action::Connect { epoch, route: *route, works: true };
            actions.extend(shell.connecting.iter().map(connect));
            let keep = |at| Action::Keep { epoch, at, fails: false };
            actions.extend((0..shell.keeping.len()).map(keep));
        }
        let network = &self.around.network;
        actions.extend((0..network.replies().len()).map(|at| Action::Reply { at, again: false }));
        for (at, coming) in network.coming().iter().enumerate() {
            actions.push(if coming.stream.leads_to_recipient() {
                Action::TakeIn { at, how: TakeIn::Writes }
            } else {
                Action::RelayTakesIn { at, how: RelayTakesIn::Writes }
            });
        }
        if self.recipient.has_unwritten() {
            actions.push(Action::WriteLate);
        }
        if let Some(relay) = &self.relay {
            actions.extend(relay.connecting.then_some(Action::RelayConnects { works: true }));
            actions.extend((0..relay.keeping.len()).map(|at| Action::RelayKeeps { at }));
            actions.extend((0..relay.returns.len()).map(|at| Action::Return { at, crash: false }));
        }
        actions
            .extend(self.next_time().filter(|_| self.around.left.ticks > 0).map(|_| Action::Tick));
        actions
    }

    /// What people do.
    fn add_work(&self, actions: &mut Vec<Action>) {
        let left = &self.around.left;
        if left.letters > 0 {
            actions.push(Action::Accept);
        }
        if left.withdrawals > 0 {
            let numbers = (1..=self.accepted).filter(|n| !self.sender.disk.withdrawn.contains(n));
            actions.extend(numbers.map(|number| Action::Withdraw { number }));
        }
        if left.backups > 0 {
            actions.push(Action::BackUp);
        }
        if left.restores > 0 && self.sender.backup.is_some() {
            actions.push(Action::Restore);
        }
    }

    /// What gets lost or comes twice, and who is busy.
    fn add_losses(&self, actions: &mut Vec<Action>) {
        let (left, network) = (&self.around.left, &self.around.network);
        for (&epoch, shell) in &self.sender.shells {
            if left.losses > 0 {
                let fail = |route: &Route| Action::Connect { epoch, route: *route, works: false };
                actions.extend(shell.connecting.iter().map(fail));
                let lose = |route: &Route| Action::LoseLink { epoch, route: *route };
                actions.extend(shell.connected.iter().map(lose));
            }
            if left.troubles > 0 {
                let fail = |at| Action::Keep { epoch, at, fails: true };
                actions.extend((0..shell.keeping.len()).map(fail));
            }
        }
        if left.losses > 0 {
            actions.extend((0..network.coming().len()).map(|at| Action::LoseParcel { at }));
            actions.extend((0..network.replies().len()).map(|at| Action::LoseReply { at }));
        }
        if left.repeats > 0 {
            actions
                .extend((0..network.replies().len()).map(|at| Action::Reply { at, again: true }));
        }
        for (at, coming) in network.coming().iter().enumerate() {
            if coming.stream.leads_to_recipient() {
                let take_in = |how| Action::TakeIn { at, how };
                let repeats = (left.repeats > 0).then_some(TakeIn::WritesAndRepeats);
                let busy = (left.deferrals > 0).then_some(TakeIn::Busy);
                let crashes = (left.recipient_crashes > 0).then_some(TakeIn::WritesAndCrashes);
                let from_relay = coming.stream == Stream::Onward;
                let away = (left.refusals > 0 && from_relay).then_some(TakeIn::TurnsAway);
                let ways = [repeats, busy, crashes, away].into_iter().flatten();
                actions.extend(ways.map(take_in));
            } else {
                let take_in = |how| Action::RelayTakesIn { at, how };
                let repeats = (left.repeats > 0).then_some(RelayTakesIn::WritesAndRepeats);
                let busy = (left.deferrals > 0).then_some(RelayTakesIn::Busy);
                let refuses = (left.refusals > 0).then_some(RelayTakesIn::Refuses);
                let crashes = (left.relay_crashes > 0).then_some(RelayTakesIn::WritesAndCrashes);
                let ways = [repeats, busy, refuses, crashes].into_iter().flatten();
                actions.extend(ways.map(take_in));
            }
        }
        if let Some(relay) = &self.relay {
            if left.losses > 0 {
                actions.extend(relay.connecting.then_some(Action::RelayConnects { works: false }));
                actions.extend(relay.connected.then_some(Action::RelayLosesLink));
            }
            if left.drops > 0 {
                actions.extend((0..relay.queue.len()).map(|at| Action::RelayForgets { at }));
            }
        }
    }

    fn add_crashes(&self, actions: &mut Vec<Action>) {
        let left = &self.around.left;
        if left.sender_crashes > 0 {
            actions.push(Action::SenderCrashes);
            let returns = self.relay.iter().flat_map(|relay| 0..relay.returns.len());
            actions.extend(returns.map(|at| Action::Return { at, crash: true }));
        }
        if left.recipient_crashes > 0 {
            actions.push(Action::RecipientCrashes);
        }
        if left.relay_crashes > 0 && self.relay.is_some() {
            actions.push(Action::RelayCrashes);
        }
    }

    fn add_disturbances(&self, actions: &mut Vec<Action>) {
        if self.around.left.disturbances == 0 {
            return;
        }
        let all = self.around.setup.routes;
        let fewer = all.iter().map(|route| Disturbance::Routes(all.without(route)));
        let others = [
            Disturbance::PeerSeen,
            Disturbance::Misbehaves,
            Disturbance::Pauses,
            Disturbance::GoesOn,
            Disturbance::Routes(all),
        ];
        let by: Vec<_> = fewer.chain(others).collect();
        for &epoch in self.sender.shells.keys() {
            actions.extend(by.iter().map(|by| Action::Disturb { epoch, by: *by }));
        }
    }

    /// When somebody wants to be woken next.
    pub(crate) fn next_time(&self) -> Option<UnixMillis> {
        let couriers = self.sender.shells.values().filter_map(|shell: &Shell| shell.timer);
        couriers.chain(self.relay.as_ref().and_then(|relay| relay.timer)).min()
    }
}

//! The nodes, what is between them, and what happens.

use domain::time::UnixMillis;
use exchange::courier::Event;
use exchange::receipt::Outcome;
use exchange::route::Route;
use exchange::runs::SeqRuns;

use super::actions::Action;
use super::actions::Disturbance;
use super::actions::RelayTakesIn;
use super::actions::TakeIn;
use super::letters::BEGINNING;
use super::letters::Letter;
use super::letters::Word;
use super::network::Network;
use super::network::Stream;
use super::recipient::Recipient;
use super::relay::Relay;
use super::sender::Sender;
use super::sender::SenderDisk;
use super::setup::Bug;
use super::setup::Left;
use super::setup::Setup;

/// What all nodes share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Around {
    pub(crate) setup: Setup,
    pub(crate) left: Left,
    pub(crate) now: UnixMillis,
    pub(crate) network: Network,
    /// The next throw; `None` for dice that always show the same.
    pub(crate) seed: Option<u64>,
    /// Epochs drawn so far.
    epochs: u64,
    /// Something happened that never may.
    broken: bool,
}

impl Around {
    pub(crate) fn dice(&mut self) -> u64 {
        let Some(seed) = &mut self.seed else { return 0 };
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *seed
    }

    /// What the journal gives of what it was asked for: all, unless the dice say otherwise.
    pub(crate) fn luck(&mut self, sequences: SeqRuns) -> SeqRuns {
        match self.dice() >> 60 {
            _ if self.seed.is_none() => sequences,
            0 if self.left.troubles > 0 => {
                self.left.troubles -= 1;
                SeqRuns::new()
            }
            1..=3 => sequences.iter().take(1).collect(),
            _ => sequences,
        }
    }

    /// A random number, which was never drawn before.
    pub(crate) fn new_epoch(&mut self) -> u64 {
        self.epochs += 1;
        self.epochs
    }

    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    pub(crate) fn must(&mut self, holds: bool) {
        self.broken |= !holds;
    }
}

/// The whole state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) around: Around,
    pub(crate) sender: Sender,
    pub(crate) relay: Option<Relay>,
    pub(crate) recipient: Recipient,
    /// Letters handed in so far.
    pub(crate) accepted: u32,
}

impl World {
    pub(crate) fn new(setup: Setup, seed: Option<u64>) -> Self {
        let left = setup.left;
        let network = Network::default();
        let around =
            Around { setup, left, now: BEGINNING, network, seed, epochs: 0, broken: false };
        Self {
            sender: Sender::new(SenderDisk::default()),
            relay: setup.has_relay().then(|| Relay::new(&around)),
            recipient: Recipient::new(&setup),
            accepted: 0,
            around,
        }
    }

    pub(crate) fn step(&mut self, action: Action) {
        let around = &mut self.around;
        match action {
            Action::Accept => {
                around.left.letters -= 1;
                self.accepted += 1;
                let letter = Letter { number: self.accepted, made: around.now };
                self.sender.accept(letter, around);
            }
            Action::Withdraw { number } => {
                around.left.withdrawals -= 1;
                self.sender.disk.withdrawn.insert(number);
            }
            Action::Connect { epoch, route, works } => {
                around.left.losses -= u16::from(!works);
                self.sender.connect(epoch, route, works, around);
            }
            Action::LoseLink { epoch, route } => {
                around.left.losses -= 1;
                self.sender.lose_link(epoch, route, around);
            }
            Action::Keep { epoch, at, fails } => {
                around.left.troubles -= u16::from(fails);
                self.sender.keep(epoch, at, fails, around);
            }
            Action::LoseParcel { at } => {
                around.left.losses -= 1;
                around.network.lose_parcel(at);
            }
            Action::LoseReply { at } => {
                around.left.losses -= 1;
                around.network.lose_reply(at);
            }
            Action::Reply { at, again } => self.reply(at, again),
            Action::TakeIn { at, how } => self.take_in(at, how),
            Action::WriteLate => self.recipient.write_late(&around.setup, around.now),
            Action::BackUp => {
                around.left.backups -= 1;
                self.sender.back_up();
            }
            Action::Restore => {
                around.left.restores -= 1;
                self.sender.restore(around);
            }
            Action::SenderCrashes => {
                around.left.sender_crashes -= 1;
                self.sender.crash(around);
            }
            Action::RecipientCrashes => {
                around.left.recipient_crashes -= 1;
                self.recipient_crashes();
            }
            Action::Disturb { epoch, by } => {
                around.left.disturbances -= 1;
                self.disturb(epoch, by);
            }
            Action::Tick => self.tick(),
            Action::RelayTakesIn { .. }
            | Action::RelayConnects { .. }
            | Action::RelayLosesLink
            | Action::RelayKeeps { .. }
            | Action::RelayForgets { .. }
            | Action::RelayCrashes
            | Action::Return { .. } => self.step_of_relay(action),
        }
    }

    fn step_of_relay(&mut self, action: Action) {
        let around = &mut self.around;
        let Some(relay) = &mut self.relay else { return };
        match action {
            Action::RelayTakesIn { at, how } => self.relay_takes_in(at, how),
            Action::RelayConnects { works } => {
                around.left.losses -= u16::from(!works);
                relay.connect(works, around);
            }
            Action::RelayLosesLink => {
                around.left.losses -= 1;
                relay.lose_link(around);
            }
            Action::RelayKeeps { at } => relay.keep(at, around),
            Action::RelayForgets { at } => {
                around.left.drops -= 1;
                let name = *relay.queue.keys().nth(at).unwrap();
                relay.forget(name);
            }
            Action::RelayCrashes => {
                around.left.relay_crashes -= 1;
                self.relay_crashes();
            }
            Action::Return { at, crash } => {
                let (name, word) = relay.returns.iter().nth(at).unwrap();
                let (name, word) = (*name, word.clone());
                self.sender.returned(name, &word, around);
                if crash {
                    // It is written at the sender, and the relay does not hear of that.
                    around.left.sender_crashes -= 1;
                    self.sender.crash(around);
                } else {
                    relay.returns.remove(&name);
                }
            }
            _ => {}
        }
    }

    fn reply(&mut self, at: usize, again: bool) {
        let around = &mut self.around;
        around.left.repeats -= u16::from(again);
        let reply = around.network.take_reply(at, again);
        match (reply.stream, &mut self.relay) {
            (Stream::Onward, Some(relay)) => relay.replied(reply.parcel, reply.word, around),
            _ => self.sender.replied(reply.parcel, reply.word, around),
        }
    }

    /// The recipient writes a parcel and answers; or ends between the two.
    fn take_in(&mut self, at: usize, how: TakeIn) {
        let Around { left, network, setup, now, .. } = &mut self.around;
        let coming = network.take_parcel(at, how == TakeIn::WritesAndRepeats);
        if setup.bug == Some(Bug::AnswersBeforeWriting) {
            let stored = coming.parcel.offers.iter().map(|offer| (*offer, Outcome::Stored));
            network.reply(&coming, Word::Receipt(stored.collect()));
            self.recipient.write_later(coming.parcel);
            return;
        }
        if how == TakeIn::TurnsAway {
            left.refusals -= 1;
            network.reply(&coming, Word::Refused);
            return;
        }
        let busy = how == TakeIn::Busy;
        let said = self.recipient.take_in(setup, &coming.parcel, busy, *now);
        match how {
            TakeIn::Writes | TakeIn::TurnsAway => {}
            TakeIn::WritesAndRepeats => left.repeats -= 1,
            TakeIn::Busy => left.deferrals -= 1,
            TakeIn::WritesAndCrashes => {
                left.recipient_crashes -= 1;
                return self.recipient_crashes();
            }
        }
        network.reply(&coming, Word::Receipt(said));
    }

    fn relay_takes_in(&mut self, at: usize, how: RelayTakesIn) {
        let around = &mut self.around;
        let Some(relay) = &mut self.relay else { return };
        let coming = around.network.take_parcel(at, how == RelayTakesIn::WritesAndRepeats);
        let word = match how {
            RelayTakesIn::Refuses => {
                around.left.refusals -= 1;
                Word::Refused
            }
            RelayTakesIn::Busy => {
                around.left.deferrals -= 1;
                Word::Deferred { until: around.now.saturating_add(around.setup.deferral) }
            }
            RelayTakesIn::WritesAndRepeats => {
                around.left.repeats -= 1;
                relay.take_in(coming.parcel.clone(), around);
                Word::Held
            }
            RelayTakesIn::Writes => {
                relay.take_in(coming.parcel.clone(), around);
                Word::Held
            }
            RelayTakesIn::WritesAndCrashes => {
                around.left.relay_crashes -= 1;
                relay.take_in(coming.parcel, around);
                return self.relay_crashes();
            }
        };
        around.network.reply(&coming, word);
    }

    /// Everybody who had a stream to it sees that it is gone.
    fn recipient_crashes(&mut self) {
        self.recipient.crash();
        self.lose_links_of_sender(Route::Direct);
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.connected) {
            relay.lose_link(&mut self.around);
        }
    }

    fn relay_crashes(&mut self) {
        self.lose_links_of_sender(Route::OwnRelay);
        if let Some(relay) = &mut self.relay {
            relay.crash(&mut self.around);
        }
    }

    fn lose_links_of_sender(&mut self, route: Route) {
        let shells = self.sender.shells.iter();
        let connected = shells.filter(|(_, shell)| shell.connected.contains(&route));
        for epoch in connected.map(|(epoch, _)| *epoch).collect::<Vec<_>>() {
            self.sender.lose_link(epoch, route, &mut self.around);
        }
    }

    /// Gives an event to a courier that its shell may give at any time.
    pub(crate) fn disturb(&mut self, epoch: u64, by: Disturbance) {
        let around = &mut self.around;
        let until = around.now.saturating_add(around.setup.deferral);
        let event = match by {
            Disturbance::PeerSeen => Event::PeerSeen,
            Disturbance::Misbehaves => Event::PeerMisbehaved,
            Disturbance::Pauses => Event::HoldUntil { until: Some(until) },
            Disturbance::GoesOn => Event::HoldUntil { until: None },
            Disturbance::Routes(routes) => Event::RoutesChanged { routes },
        };
        self.sender.happen(epoch, event, around);
    }

    fn tick(&mut self) {
        let Some(next) = self.next_time() else { return };
        self.around.left.ticks = self.around.left.ticks.saturating_sub(1);
        self.around.now = self.around.now.max(next);
        self.sender.wake(&mut self.around);
        if let Some(relay) = &mut self.relay {
            relay.wake(&mut self.around);
        }
    }
}

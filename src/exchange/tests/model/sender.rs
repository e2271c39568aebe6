//! The sending node: its disk, and around the real couriers a shell that performs their effects.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::courier::Answer;
use exchange::courier::Courier;
use exchange::courier::CustodyAnswer;
use exchange::courier::Effect;
use exchange::courier::Event;
use exchange::courier::ParcelNo;
use exchange::lane::LANE_WINDOW;
use exchange::lane::LaneEpoch;
use exchange::lane::LaneOut;
use exchange::lane::LaneSeq;
use exchange::lane::Mark;
use exchange::parcel::PARCEL_ENVELOPES_MAX;
use exchange::receipt::Outcome;
use exchange::route::Route;
use exchange::route::Routes;
use exchange::runs::SeqRuns;

use super::letters::Letter;
use super::letters::Offer;
use super::letters::Parcel;
use super::letters::ParcelName;
use super::letters::Word;
use super::network::Stream;
use super::setup::Bug;
use super::world::Around;

/// What survives a crash of the sender, and what a backup has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SenderDisk {
    pub(crate) lanes: BTreeMap<u64, LaneDisk>,
    /// The epoch that new letters get; none after a restore.
    pub(crate) current: Option<u64>,
    /// The recipient's final word about each letter.
    pub(crate) kept: BTreeMap<u32, Outcome>,
    /// Places whose letter met another content there.
    conflicts: BTreeSet<(u64, u64)>,
    pub(crate) withdrawn: BTreeSet<u32>,
    /// Parcels that the relay holds.
    pub(crate) consignments: BTreeMap<ParcelName, Consignment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Consignment {
    offers: Vec<Offer>,
    /// When patience with the relay ends.
    until: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneDisk {
    pub(crate) lane: LaneOut,
    /// The letter at each place, from 1.
    pub(crate) journal: Vec<Letter>,
}

impl SenderDisk {
    /// Every place that a letter has: one, or another one after a conflict.
    pub(crate) fn places_of(&self, number: u32) -> impl Iterator<Item = Offer> {
        let withdrawn = self.withdrawn.contains(&number);
        let places = self.lanes.iter().flat_map(|(epoch, disk)| {
            (1..).zip(&disk.journal).map(|(sequence, letter)| (*epoch, sequence, *letter))
        });
        let here = places.filter(move |(_, _, letter)| letter.number == number);
        here.map(move |(epoch, sequence, letter)| Offer { letter, epoch, sequence, withdrawn })
    }
}

/// The sending node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sender {
    pub(crate) disk: SenderDisk,
    pub(crate) backup: Option<Box<SenderDisk>>,
    pub(crate) shells: BTreeMap<u64, Shell>,
    /// Runs of the program so far.
    run: u8,
    /// Two different last words about one letter were kept.
    contradiction: bool,
}

/// A courier and what its shell has in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shell {
    pub(crate) courier: Courier,
    pub(crate) timer: Option<UnixMillis>,
    /// Streams that are being opened.
    pub(crate) connecting: BTreeSet<Route>,
    pub(crate) connected: BTreeSet<Route>,
    /// Parcels that were sent on a stream that stands, or whose answer is to be written.
    sent: BTreeMap<ParcelNo, Sent>,
    /// Words that are to be written, in any order.
    pub(crate) keeping: Vec<(ParcelNo, Vec<Mark>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sent {
    offers: Vec<Offer>,
    route: Option<Route>,
    /// The answer that is to be written.
    word: Option<Word>,
}

impl Shell {
    fn new(courier: Courier) -> Self {
        Self {
            courier,
            timer: None,
            connecting: BTreeSet::new(),
            connected: BTreeSet::new(),
            sent: BTreeMap::new(),
            keeping: Vec::new(),
        }
    }

    /// Whether no more is on its way, and no more is put off, than there is a limit for.
    fn is_bounded(&self) -> bool {
        let status = self.courier.status();
        let most = Route::ALL.len() * 2 * PARCEL_ENVELOPES_MAX;
        usize::try_from(status.in_flight).is_ok_and(|in_flight| in_flight <= most)
            && status.deferred + status.in_custody <= LANE_WINDOW
            && self.courier.lane().waiting() == status.unsettled
    }
}

impl Sender {
    pub(crate) const fn new(disk: SenderDisk) -> Self {
        Self { disk, backup: None, shells: BTreeMap::new(), run: 0, contradiction: false }
    }

    /// One unit: the letter gets a place in the lane. Then its courier is told.
    pub(crate) fn accept(&mut self, letter: Letter, around: &mut Around) {
        let epoch = self.disk.current.unwrap_or_else(|| around.new_epoch());
        self.disk.current = Some(epoch);
        let new = || LaneDisk { lane: LaneOut::new(LaneEpoch::new(epoch)), journal: Vec::new() };
        let lane = self.disk.lanes.entry(epoch).or_insert_with(new);
        let through = lane.lane.assign();
        lane.journal.push(letter);
        if self.shells.contains_key(&epoch) {
            self.happen(epoch, Event::Mail { through }, around);
        } else {
            self.start(epoch, around);
        }
    }

    fn start(&mut self, epoch: u64, around: &mut Around) {
        let Some(lane) = self.disk.lanes.get(&epoch) else { return };
        let setup = &around.setup;
        let courier = Courier::new(setup.courier, lane.lane.clone(), setup.routes);
        self.shells.insert(epoch, Shell::new(courier));
        self.happen(epoch, Event::Woken, around);
    }

    /// The program ends and starts again from the disk.
    pub(crate) fn crash(&mut self, around: &mut Around) {
        for (epoch, shell) in std::mem::take(&mut self.shells) {
            for route in shell.connected {
                around.network.cut(stream(epoch, route));
            }
        }
        self.run += 1;
        let epochs: Vec<_> = self.disk.lanes.keys().copied().collect();
        epochs.into_iter().for_each(|epoch| self.start(epoch, around));
    }

    /// The disk is that of the backup; the program knows it, and goes on in a new epoch. Unless it does
    /// not know it.
    pub(crate) fn restore(&mut self, around: &mut Around) {
        let Some(backup) = &self.backup else { return };
        self.disk = (**backup).clone();
        if around.setup.bug != Some(Bug::KeepsTheEpoch) && !around.setup.unnoticed {
            self.disk.current = None;
        }
        self.crash(around);
    }

    /// In the unit that keeps a conflict: what was refused is sealed again, under its own id, for a new epoch.
    fn heal(&mut self, said: &[(Offer, Outcome)], around: &mut Around) {
        if !around.setup.unnoticed {
            return;
        }
        for (offer, _) in said.iter().filter(|(_, outcome)| is_conflict(outcome)) {
            let last = self.disk.places_of(offer.letter.number).last();
            let is_last =
                |last: Offer| (last.epoch, last.sequence) == (offer.epoch, offer.sequence);
            if !last.is_some_and(is_last) {
                // A word that is kept a second time: the letter has another place already.
                continue;
            }
            if self.disk.current == Some(offer.epoch) {
                self.disk.current = None;
            }
            self.accept(offer.letter, around);
        }
    }

    pub(crate) fn back_up(&mut self) {
        self.backup = Some(Box::new(self.disk.clone()));
    }

    pub(crate) fn connect(&mut self, epoch: u64, route: Route, works: bool, around: &mut Around) {
        let Some(shell) = self.shells.get_mut(&epoch) else { return };
        shell.connecting.remove(&route);
        if works {
            shell.connected.insert(route);
            self.happen(epoch, Event::LinkUp { route, window_parcels: 2 }, around);
        } else {
            self.happen(epoch, Event::LinkLost { route }, around);
        }
    }

    /// The stream breaks and the shell sees it.
    pub(crate) fn lose_link(&mut self, epoch: u64, route: Route, around: &mut Around) {
        self.close(epoch, route, around);
        self.happen(epoch, Event::LinkLost { route }, around);
    }

    fn close(&mut self, epoch: u64, route: Route, around: &mut Around) {
        around.network.cut(stream(epoch, route));
        let Some(shell) = self.shells.get_mut(&epoch) else { return };
        shell.connecting.remove(&route);
        shell.connected.remove(&route);
        // What was lost with the link gets new parcels; what is being kept stays known.
        shell.sent.retain(|_, sent| sent.word.is_some() || sent.route != Some(route));
    }

    pub(crate) fn replied(&mut self, name: ParcelName, word: Word, around: &mut Around) {
        let Some(shell) = self.shells.get_mut(&name.epoch).filter(|_| name.run == self.run) else {
            return;
        };
        let known = shell.sent.iter_mut().find(|(number, _)| number.get() == name.number);
        let Some((&parcel, sent)) = known else { return };
        let event = match &word {
            Word::Receipt(said) => {
                let answers = said.iter().map(|(_, outcome)| Answer::from(outcome)).collect();
                Event::ReceiptArrived { parcel, answers }
            }
            Word::Held => Event::CustodyArrived { parcel, answer: CustodyAnswer::Held },
            Word::Refused => Event::CustodyArrived { parcel, answer: CustodyAnswer::Refused },
            Word::Deferred { until } => {
                let answer = CustodyAnswer::Deferred { until: *until };
                Event::CustodyArrived { parcel, answer }
            }
        };
        // The first word that comes is written; the courier ignores what comes while that goes on.
        sent.word.get_or_insert(word);
        self.happen(name.epoch, event, around);
    }

    /// A word that was handed back from further on: written at once with what it changes, if the parcel
    /// is known.
    pub(crate) fn returned(&mut self, name: ParcelName, word: &Word, around: &mut Around) {
        let sent = self.shells.get(&name.epoch).filter(|_| name.run == self.run);
        let sent = sent
            .and_then(|shell| shell.sent.iter().find(|(number, _)| number.get() == name.number));
        let is_known = self.disk.consignments.contains_key(&name) || sent.is_some();
        let Word::Receipt(said) = word else { return self.turned_back(name, around) };
        if !is_known {
            return;
        }
        let mark = |(offer, outcome): &(Offer, Outcome)| {
            let sequence = LaneSeq::new(offer.sequence);
            match outcome {
                Outcome::Stored | Outcome::Refused { .. } => Mark::Settled(sequence),
                Outcome::Deferred { until, .. } => Mark::Deferred(sequence, *until),
            }
        };
        let marks: Vec<_> = said.iter().map(mark).collect();
        self.note(said);
        self.apply(name.epoch, &marks);
        self.disk.consignments.remove(&name);
        self.happen(name.epoch, Event::Marked { marks }, around);
        self.heal(said, around);
    }

    /// A parcel comes no further: in one unit, what is still with that relay is released.
    fn turned_back(&mut self, name: ParcelName, around: &mut Around) {
        let now = around.now;
        let (Some(consignment), Some(disk)) =
            (self.disk.consignments.get_mut(&name), self.disk.lanes.get(&name.epoch))
        else {
            return;
        };
        let again = now.saturating_add(around.setup.courier.turned_back_pause(0));
        let sequences = consignment.offers.iter().map(|offer| LaneSeq::new(offer.sequence));
        let marks = disk.lane.turned_back(sequences, consignment.until, again);
        consignment.until = consignment.until.min(now);
        self.apply(name.epoch, &marks);
        let by = Some(Route::OwnRelay);
        self.happen(name.epoch, Event::TurnedBack { by, marks }, around);
    }

    /// One unit: what a word says and changes. `fails` when nothing is written.
    pub(crate) fn keep(&mut self, epoch: u64, at: usize, fails: bool, around: &mut Around) {
        let Some(shell) = self.shells.get_mut(&epoch) else { return };
        let (parcel, marks) = shell.keeping.remove(at);
        let Some(Sent { offers, word: Some(word), .. }) = shell.sent.remove(&parcel) else {
            return;
        };
        if fails {
            self.happen(epoch, Event::NotKept { parcel }, around);
            return;
        }
        self.apply(epoch, &marks);
        let name = ParcelName { epoch, run: self.run, number: parcel.get() };
        match &word {
            Word::Receipt(said) => self.note(said),
            Word::Held if !self.is_settled(&offers) => {
                let until = marks.iter().find_map(|mark| match mark {
                    Mark::InCustody(_, until) => Some(*until),
                    Mark::Settled(_) | Mark::Deferred(..) => None,
                });
                let until = until.unwrap_or(around.now);
                self.disk.consignments.insert(name, Consignment { offers, until });
            }
            Word::Held | Word::Refused | Word::Deferred { .. } => {}
        }
        self.happen(epoch, Event::Kept { parcel }, around);
        if let Word::Receipt(said) = &word {
            self.heal(said, around);
        }
    }

    fn is_settled(&self, offers: &[Offer]) -> bool {
        let lane = |offer: &Offer| self.disk.lanes.get(&offer.epoch);
        offers.iter().all(|offer| {
            lane(offer).is_some_and(|disk| disk.lane.is_settled(LaneSeq::new(offer.sequence)))
        })
    }

    fn apply(&mut self, epoch: u64, marks: &[Mark]) {
        if let Some(disk) = self.disk.lanes.get_mut(&epoch) {
            disk.lane.apply(marks.iter().copied());
        }
    }

    fn note(&mut self, said: &[(Offer, Outcome)]) {
        for (offer, outcome) in said.iter().filter(|(_, outcome)| outcome.is_final()) {
            if is_conflict(outcome) {
                self.disk.conflicts.insert((offer.epoch, offer.sequence));
                continue;
            }
            let kept = self.disk.kept.entry(offer.letter.number).or_insert_with(|| outcome.clone());
            self.contradiction |= kept != outcome;
        }
    }

    pub(crate) fn wake(&mut self, around: &mut Around) {
        let due = |shell: &Shell| shell.timer.is_some_and(|timer| timer <= around.now);
        let epochs = self.shells.iter().filter(|(_, shell)| due(shell)).map(|(epoch, _)| *epoch);
        for epoch in epochs.collect::<Vec<_>>() {
            if let Some(shell) = self.shells.get_mut(&epoch) {
                shell.timer = None;
            }
            self.happen(epoch, Event::Woken, around);
        }
    }

    /// Gives an event to a courier and performs what can be done at once; the rest is left to be done.
    pub(crate) fn happen(&mut self, epoch: u64, event: Event, around: &mut Around) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let Some(shell) = self.shells.get_mut(&epoch) else { return };
            let nobody = LaneOut::new(LaneEpoch::new(0));
            let nobody = Courier::new(around.setup.courier, nobody, Routes::none());
            let courier = std::mem::replace(&mut shell.courier, nobody);
            let (courier, effects) = courier.step(event, around.now, around.dice());
            shell.courier = courier;
            around.must(shell.is_bounded());
            for effect in effects {
                events.extend(self.perform(epoch, effect, around));
            }
        }
    }

    fn perform(&mut self, epoch: u64, effect: Effect, around: &mut Around) -> Option<Event> {
        if let Effect::Disconnect { route } = effect {
            self.close(epoch, route, around);
            return None;
        }
        let shell = self.shells.get_mut(&epoch)?;
        match effect {
            Effect::Connect { route } => drop(shell.connecting.insert(route)),
            Effect::Disconnect { .. } => {}
            Effect::Look { sequences } => {
                let due = |sequence: LaneSeq| UnixMillis::new(sequence.get() * 7 % 5);
                let deadlines = sequences.iter().map(|s| (s, due(s))).collect();
                return Some(Event::Looked { deadlines });
            }
            Effect::Load { parcel, sequences, bytes_max: _ } => {
                let sequences = around.luck(sequences);
                let offers = self.offers(epoch, &sequences);
                if !offers.is_empty() {
                    let shell = self.shells.get_mut(&epoch)?;
                    shell.sent.insert(parcel, Sent { offers, route: None, word: None });
                }
                return Some(Event::Loaded { parcel, sequences, unreadable: SeqRuns::new() });
            }
            Effect::Send { parcel, route } => {
                let sent = shell.sent.get_mut(&parcel)?;
                sent.route = Some(route);
                let name = ParcelName { epoch, run: self.run, number: parcel.get() };
                let offers = sent.offers.clone();
                around.network.send(stream(epoch, route), Parcel { name, offers });
            }
            Effect::Keep { parcel, marks } => shell.keeping.push((parcel, marks)),
            Effect::KeepCustody { parcel, marks } => {
                // The bug: what a relay holds counts as arrived.
                let trusts = around.setup.bug == Some(Bug::TrustsTheRelay);
                let settled = |mark: Mark| {
                    if trusts { Mark::Settled(mark.sequence()) } else { mark }
                };
                shell.keeping.push((parcel, marks.into_iter().map(settled).collect()));
            }
            Effect::WakeAt(at) => {
                around.must(at > around.now);
                shell.timer = Some(at);
            }
        }
        None
    }

    /// The envelopes of these places, as they are in the journal now.
    fn offers(&self, epoch: u64, sequences: &SeqRuns) -> Vec<Offer> {
        let Some(disk) = self.disk.lanes.get(&epoch) else { return Vec::new() };
        let offer = |sequence: LaneSeq| {
            let letter = disk.journal[usize::try_from(sequence.get()).unwrap() - 1];
            let withdrawn = self.disk.withdrawn.contains(&letter.number);
            Offer { letter, epoch, sequence: sequence.get(), withdrawn }
        };
        sequences.iter().map(offer).collect()
    }

    // What must be true.

    /// What a courier knows of its lane is what is on disk, nothing was contradicted, and what is settled has a reason.
    pub(crate) fn is_consistent(&self) -> bool {
        let same = |(epoch, shell): (&u64, &Shell)| {
            self.disk.lanes.get(epoch).is_some_and(|disk| disk.lane == *shell.courier.lane())
        };
        let has_reason = |(epoch, disk): (&u64, &LaneDisk)| {
            disk.lane.settled().iter().all(|sequence| {
                let at = usize::try_from(sequence.get()).unwrap() - 1;
                self.disk.kept.contains_key(&disk.journal[at].number)
                    || self.disk.conflicts.contains(&(*epoch, sequence.get()))
            })
        };
        !self.contradiction
            && self.shells.iter().all(same)
            && self.disk.lanes.iter().all(has_reason)
    }

    pub(crate) fn unsettled(&self) -> u64 {
        self.disk.lanes.values().map(|disk| disk.lane.waiting()).sum()
    }
}

pub(crate) const fn is_conflict(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused { reason: Reason::Conflict, .. })
}

/// The stream of a courier to the neighbour of a route.
pub(crate) const fn stream(epoch: u64, route: Route) -> Stream {
    match route {
        Route::Direct => Stream::Direct(epoch),
        Route::OwnRelay | Route::PeerRelay => Stream::ToRelay(epoch),
    }
}

//! Four offices and the messages between them: one asked, one has to answer and offers that to the others; the one that
//! asked may give its side away as well, at the same time.
//!
//! What an office has on disk is its steps. A crash loses what it sent and its disk did not take: nothing, since both are one
//! unit; so a crash here doubles the last message, as a restart does. A lost message is sent again by its outbox, which keeps
//! it until it was stored; that is one more delivery later, and as good as the message staying under way. While the network
//! is cut in two, nothing that was sent on one side arrives on the other; what is for there waits until it heals.

use std::collections::BTreeSet;

use domain::area::AreaCode;
use domain::case::{Case, Deed, Duty, Offer, OfferState, Seat, Step};
use domain::id::MessageId;
use domain::message::Kind;
use domain::time::UnixMillis;

/// Asks, answers and offers, and two that may take over.
const OFFICES: [&str; 4] = ["440305", "410522", "330106", "360728"];
/// Who sits where at first.
const ASKER: usize = 0;
const ANSWERER: usize = 1;
/// Offices that may take the answering side over; the last of them takes the asking side, where that moves.
const OTHERS: [usize; 2] = [2, 3];
const SEATS: [Seat; 2] = [Seat::Asking, Seat::Answering];
/// An offer stands from 0 until this time.
const UNTIL: u64 = 10;

/// How much may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Offers of the office that answers.
    pub offers: u8,
    /// Offers of the office that asked.
    pub asking_offers: u8,
    /// Reminders that the asking office writes meanwhile.
    pub written: u8,
    /// Messages that arrive twice.
    pub repeats: u8,
    /// Messages that are lost and come later.
    pub losses: u8,
    /// Crashes.
    pub crashes: u8,
    /// Times that the network is cut in two.
    pub cuts: u8,
}

/// A message under way, or one that is back in its outbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Mail {
    to: usize,
    id: u128,
    is_lost: bool,
}

/// What a message says, by its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Letter {
    step: StepData,
    /// For a hand-over: what it brings.
    brings: Vec<StepData>,
}

/// A step, in a form that can be hashed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct StepData {
    id: u128,
    from: usize,
    to: usize,
    place: u32,
    deed: DeedData,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum DeedData {
    Open,
    Remind,
    Offer(Seat, u32),
    Accept(Seat, u32),
    Withdraw(Seat, u32, bool),
    Transfer(Seat, u32, usize),
}

impl StepData {
    fn step(&self) -> Step {
        let area = |at: usize| OFFICES[at].parse::<AreaCode>().unwrap();
        let deed = match self.deed {
            DeedData::Open => Deed::Open { kind: Kind::Inquiry, due: None },
            DeedData::Remind => Deed::Remind,
            DeedData::Offer(seat, term) => {
                Deed::Offer { seat, term, until: UnixMillis::new(UNTIL) }
            }
            DeedData::Accept(seat, term) => Deed::Accept { seat, term },
            DeedData::Withdraw(seat, term, lapsed) => Deed::Withdraw { seat, term, lapsed },
            DeedData::Transfer(seat, term, to) => Deed::Transfer { seat, term, area: area(to) },
        };
        Step {
            id: MessageId::from_bytes(self.id.to_be_bytes()),
            from: area(self.from),
            to: area(self.to),
            step: self.place,
            created: UnixMillis::new(0),
            deed,
        }
    }
}

/// The offices' disks, the line between them, and the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    left: Bounds,
    disks: [BTreeSet<StepData>; 4],
    /// Whether an office has stored the hand-over itself.
    brought: [bool; 4],
    letters: Vec<Letter>,
    mail: BTreeSet<Mail>,
    is_late: bool,
    cut: Option<Cut>,
    /// Whether a side was given away while the network was cut.
    was_given_in_a_cut: bool,
    /// Whether both sides were given away before either office had heard of the other's.
    has_crossed: bool,
}

/// A cut through the network: which of the [`OFFICES`] are on the first side.
type Cut = [bool; 4];

/// Each office alone, and each pair apart from the others.
const CUTS: [Cut; 7] = [
    [true, false, false, false],
    [false, true, false, false],
    [false, false, true, false],
    [false, false, false, true],
    [true, true, false, false],
    [true, false, true, false],
    [true, false, false, true],
];

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The first holder of a side offers it to that office.
    Offer(Seat, usize),
    /// An office accepts what it was offered.
    Accept(usize),
    /// The first holder of a side withdraws its offer.
    Withdraw(Seat),
    /// The office that has the asking side writes something.
    Write(usize),
    /// An office does what its node has to do by itself.
    Duty(usize),
    /// A message arrives.
    Arrive(usize, u128),
    /// A message arrives, and will arrive again.
    ArriveTwice(usize, u128),
    /// A message is lost and goes back to its outbox.
    Lose(usize, u128),
    /// An office crashes and sends its last message again.
    Crash(usize),
    /// The time of every offer passes.
    Pass,
    /// The network is cut in two.
    Cut(Cut),
    /// The two halves see each other again.
    Heal,
}

impl World {
    pub fn new(left: Bounds) -> Self {
        let open = StepData { id: 1, from: ASKER, to: ANSWERER, place: 0, deed: DeedData::Open };
        let mut disks: [BTreeSet<StepData>; 4] = Default::default();
        disks[ASKER].insert(open.clone());
        disks[ANSWERER].insert(open.clone());
        let letters = vec![Letter { step: open, brings: Vec::new() }];
        let (brought, mail) = ([false; 4], BTreeSet::new());
        let (is_late, cut, was_given_in_a_cut, has_crossed) = (false, None, false, false);
        Self { left, disks, brought, letters, mail, is_late, cut, was_given_in_a_cut, has_crossed }
    }

    fn now(&self) -> UnixMillis {
        UnixMillis::new(if self.is_late { UNTIL } else { 0 })
    }

    fn area(at: usize) -> AreaCode {
        OFFICES[at].parse().unwrap()
    }

    fn case(&self, at: usize) -> Case {
        let mut case = Case::new(MessageId::from_bytes(1_u128.to_be_bytes()).into());
        for step in &self.disks[at] {
            case.add(step.step()).unwrap();
        }
        case
    }

    const fn first(seat: Seat) -> usize {
        match seat {
            Seat::Asking => ASKER,
            Seat::Answering => ANSWERER,
        }
    }

    /// Whether an office takes itself for the holder of a side: its own disk says so, and the case is there.
    fn holds(&self, at: usize, seat: Seat) -> bool {
        let sits = self.case(at).view().sits(Self::area(at), seat);
        sits && (at == Self::first(seat) || self.brought[at])
    }

    fn holder(&self, seat: Seat) -> Option<usize> {
        (0..4).find(|at| self.holds(*at, seat))
    }

    pub fn has_two_holders(&self) -> bool {
        SEATS.into_iter().any(|seat| (0..4).filter(|at| self.holds(*at, seat)).count() > 1)
    }

    /// Offices that know the case and have the same shared steps see the same.
    pub fn agrees(&self) -> bool {
        let shared = |at: usize| -> Vec<_> {
            let between = |step: &&StepData| step.step().deed.is_between_two();
            self.disks[at].iter().filter(|step| !between(step)).collect()
        };
        let pairs = (0..4).flat_map(|a| (0..a).map(move |b| (a, b)));
        pairs.filter(|(a, b)| shared(*a) == shared(*b)).all(|(a, b)| {
            let (a, b) = (self.case(a).view(), self.case(b).view());
            let known = a.kind.is_some() && b.kind.is_some();
            !known || a == b
        })
    }

    pub fn actions(&self) -> Vec<Action> {
        let mut all = Vec::new();
        for seat in SEATS {
            let first = Self::first(seat);
            let stands = self.own_offer(seat).is_some();
            let left = match seat {
                Seat::Asking => self.left.asking_offers,
                Seat::Answering => self.left.offers,
            };
            if left > 0 && !self.is_late && self.holds(first, seat) && !stands {
                all.extend(self.targets(seat).iter().map(|to| Action::Offer(seat, *to)));
            }
            if stands {
                all.push(Action::Withdraw(seat));
            }
        }
        for at in 0..4 {
            let case = self.case(at);
            let offered = case.offer(self.now());
            let to_us = offered.is_some_and(|(offer, state)| {
                offer.to == Self::area(at) && state == OfferState::Open
            });
            if to_us {
                all.push(Action::Accept(at));
            }
            if case.duty(Self::area(at), self.now()).is_some() || self.has_to_pass(at).is_some() {
                all.push(Action::Duty(at));
            }
            if self.left.crashes > 0 && self.last_of(at).is_some() {
                all.push(Action::Crash(at));
            }
        }
        if self.left.written > 0 {
            all.extend(self.holder(Seat::Asking).map(Action::Write));
        }
        for mail in self.mail.iter().filter(|mail| self.passes(mail)) {
            all.push(Action::Arrive(mail.to, mail.id));
            if self.left.repeats > 0 {
                all.push(Action::ArriveTwice(mail.to, mail.id));
            }
            if self.left.losses > 0 && !mail.is_lost {
                all.push(Action::Lose(mail.to, mail.id));
            }
        }
        if !self.is_late {
            all.push(Action::Pass);
        }
        match self.cut {
            Some(_) => all.push(Action::Heal),
            None if self.left.cuts > 0 => all.extend(CUTS.map(Action::Cut)),
            None => {}
        }
        all
    }

    /// The offer of a side's first holder, while it stands.
    fn own_offer(&self, seat: Seat) -> Option<Offer> {
        let first = Self::first(seat);
        let (offer, state) = self.case(first).offer(self.now())?;
        let stands = matches!(state, OfferState::Open | OfferState::Accepted);
        (stands && offer.from == Self::area(first) && offer.seat == seat).then_some(offer)
    }

    /// Whom a side may be offered to. Where both move, each has one.
    fn targets(&self, seat: Seat) -> &'static [usize] {
        let [first, last] = [&OTHERS[..1], &OTHERS[1..]];
        match seat {
            Seat::Asking => last,
            Seat::Answering if self.both_move() => first,
            Seat::Answering => &OTHERS,
        }
    }

    fn both_move(&self) -> bool {
        let offered =
            |letter: &Letter| matches!(letter.step.deed, DeedData::Offer(Seat::Asking, _));
        self.left.asking_offers > 0 || self.letters.iter().any(offered)
    }

    /// Whether a message can get through: its sender and its recipient are not on two sides of a cut.
    fn passes(&self, mail: &Mail) -> bool {
        let from = self.letters[usize::try_from(mail.id).unwrap() - 1].step.from;
        self.cut.is_none_or(|side| side[from] == side[mail.to])
    }

    pub fn step(&mut self, action: Action) {
        match action {
            Action::Offer(seat, to) => {
                match seat {
                    Seat::Asking => self.left.asking_offers -= 1,
                    Seat::Answering => self.left.offers -= 1,
                }
                let first = Self::first(seat);
                let term = self.case(first).view().held(seat).unwrap().term + 1;
                self.send(first, to, DeedData::Offer(seat, term), Vec::new());
            }
            Action::Accept(at) => {
                let (offer, _) = self.case(at).offer(self.now()).unwrap();
                let (to, deed) = (Self::at(offer.from), DeedData::Accept(offer.seat, offer.term));
                self.send(at, to, deed, Vec::new());
            }
            Action::Withdraw(seat) => {
                let offer = self.own_offer(seat).unwrap();
                let deed = DeedData::Withdraw(seat, offer.term, false);
                self.send(Self::first(seat), Self::at(offer.to), deed, Vec::new());
            }
            Action::Write(at) => {
                self.left.written -= 1;
                let to = Self::at(self.case(at).view().held(Seat::Answering).unwrap().area);
                self.send(at, to, DeedData::Remind, Vec::new());
            }
            Action::Duty(at) => self.do_duty(at),
            Action::Arrive(to, id) => {
                self.mail.retain(|mail| (mail.to, mail.id) != (to, id));
                self.store(to, id);
            }
            Action::ArriveTwice(to, id) => {
                self.left.repeats -= 1;
                self.store(to, id);
            }
            Action::Lose(to, id) => {
                self.left.losses -= 1;
                self.mail.remove(&Mail { to, id, is_lost: false });
                self.mail.insert(Mail { to, id, is_lost: true });
            }
            Action::Crash(at) => {
                self.left.crashes -= 1;
                let (to, id) = self.last_of(at).unwrap();
                self.mail.insert(Mail { to, id, is_lost: false });
            }
            Action::Pass => self.is_late = true,
            Action::Cut(cut) => {
                self.left.cuts -= 1;
                self.cut = Some(cut);
            }
            Action::Heal => self.cut = None,
        }
    }

    fn at(area: AreaCode) -> usize {
        OFFICES.iter().position(|code| *code == area.as_str()).unwrap()
    }

    /// Writes a step and its message in one unit.
    fn send(&mut self, from: usize, to: usize, deed: DeedData, brings: Vec<StepData>) {
        let id = u128::try_from(self.letters.len()).unwrap() + 1;
        let place = self.case(from).next_step();
        let step = StepData { id, from, to, place, deed };
        self.disks[from].insert(step.clone());
        self.letters.push(Letter { step, brings });
        self.mail.insert(Mail { to, id, is_lost: false });
    }

    fn store(&mut self, to: usize, id: u128) {
        let letter = self.letters[usize::try_from(id).unwrap() - 1].clone();
        let is_hand_over = !letter.brings.is_empty();
        self.disks[to].insert(letter.step);
        self.disks[to].extend(letter.brings);
        self.brought[to] |= is_hand_over;
    }

    fn shared(&self, at: usize) -> Vec<StepData> {
        let steps = self.disks[at].iter();
        steps.filter(|step| !step.step().deed.is_between_two()).cloned().collect()
    }

    fn do_duty(&mut self, at: usize) {
        match self.case(at).duty(Self::area(at), self.now()) {
            Some(Duty::GiveAway(offer)) => {
                self.was_given_in_a_cut |= self.cut.is_some();
                let (to, seat, opposite) = (Self::at(offer.to), offer.seat, offer.seat.other());
                let deed = DeedData::Transfer(seat, offer.term, to);
                let brings = self.shared(at);
                self.send(at, to, deed, brings);
                let told = Self::at(self.case(at).view().held(opposite).unwrap().area);
                self.has_crossed |= !self.holds(told, opposite);
                self.send(at, told, deed, Vec::new());
            }
            Some(Duty::TellLapsed(offer)) => {
                let deed = DeedData::Withdraw(offer.seat, offer.term, true);
                self.send(at, Self::at(offer.to), deed, Vec::new());
            }
            None => {
                let (seat, to, term) = self.has_to_pass(at).unwrap();
                let brings = self.shared(at);
                self.send(at, to, DeedData::Transfer(seat, term, to), brings);
            }
        }
    }

    /// What came for a side that was given away, and whoever has it now has not been sent: what was written, and who sits
    /// opposite from now on.
    fn has_to_pass(&self, at: usize) -> Option<(Seat, usize, u32)> {
        let (seat, term, area) = self.case(at).successor(Self::area(at))?;
        let to = Self::at(area);
        let sent = |id: u128| {
            self.letters.iter().any(|letter| {
                letter.step.from == at
                    && letter.step.to == to
                    && letter.brings.iter().any(|step| step.id == id)
            })
        };
        let came = self.disks[at].iter().filter(|step| step.to == at && step.from != to);
        let news = came.filter(|step| match step.deed {
            DeedData::Remind => true,
            DeedData::Transfer(other, ..) => other != seat,
            _ => false,
        });
        let missing = news.into_iter().any(|step| !sent(step.id));
        missing.then_some((seat, to, term))
    }

    fn last_of(&self, at: usize) -> Option<(usize, u128)> {
        let letter = self.letters.iter().rfind(|letter| letter.step.from == at)?;
        (letter.step.id != 1).then_some((letter.step.to, letter.step.id))
    }

    /// Nothing is under way and nothing is left to do by itself, and the time of every offer has passed.
    pub fn is_at_rest(&self) -> bool {
        let busy = (0..4).any(|at| {
            self.case(at).duty(Self::area(at), self.now()).is_some()
                || self.has_to_pass(at).is_some()
        });
        self.mail.is_empty() && self.is_late && self.cut.is_none() && !busy
    }

    /// One office holds each side; both know who sits where, and whoever gave a side away knows who has it.
    pub fn has_ended(&self) -> bool {
        SEATS.into_iter().all(|seat| {
            let Some(holder) = self.holder(seat) else { return false };
            let knows = |at: usize| {
                let held = self.case(at).view().held(seat);
                held.is_some_and(|held| held.area == Self::area(holder))
            };
            let opposite = self.holder(seat.other());
            [Some(Self::first(seat)), Some(holder), opposite].into_iter().flatten().all(knows)
        })
    }

    pub fn holder_has_all(&self) -> bool {
        let Some(holder) = self.holder(Seat::Answering) else { return false };
        let written = self.letters.iter().filter(|letter| letter.step.deed == DeedData::Remind);
        written.into_iter().all(|letter| self.disks[holder].contains(&letter.step))
    }

    fn has_moved(&self, seat: Seat) -> bool {
        self.is_at_rest() && OTHERS.into_iter().any(|at| self.holds(at, seat))
    }

    pub fn both_moved_at_once(&self) -> bool {
        SEATS.into_iter().all(|seat| self.has_moved(seat)) && self.has_crossed
    }

    pub fn was_handed_over(&self) -> bool {
        self.has_moved(Seat::Answering)
    }

    pub fn was_handed_over_in_a_cut(&self) -> bool {
        self.was_handed_over() && self.was_given_in_a_cut
    }

    pub fn has_lapsed(&self) -> bool {
        self.is_at_rest()
            && self.letters.iter().any(|l| matches!(l.step.deed, DeedData::Withdraw(_, _, true)))
    }

    pub fn was_withdrawn(&self) -> bool {
        self.is_at_rest()
            && self.letters.iter().any(|l| matches!(l.step.deed, DeedData::Withdraw(_, _, false)))
    }
}

//! A forwarder and a next hop that does what it likes, over a link and a disk that fail in every order.
//!
//! The world performs effects the way the shell does, one small step at a time, in an order that the test
//! chooses. Whatever happens: no parcel is lost, none is ended twice, none is withheld without a reason, and
//! once the next hop is honest every one of them ends.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::samples::NOW;

/// A parcel is its deadline and a number: so the queue is in order of deadlines.
type Parcel = (u64, u32);

#[derive(Clone, Debug)]
enum Step {
    /// A parcel comes into the queue.
    Arrive {
        deadline: u64,
    },
    /// One of the things that are to be done gets done, or fails.
    Perform {
        which: usize,
        fails: bool,
    },
    /// The next hop says something about a parcel that it was sent at any time, also a second time.
    Answer {
        which: usize,
        answer: u8,
        pause: u64,
    },
    LinkUp {
        window_parcels: u32,
    },
    LinkLost,
    PeerSeen,
    Misbehave,
    Hold {
        pause: Option<u64>,
    },
    Crash,
    Pass {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<usize>;
    prop_oneof![
        8 => (0..50_u64).prop_map(|deadline| Step::Arrive { deadline }),
        20 => (index(), prop::bool::weighted(0.1))
            .prop_map(|(which, fails)| Step::Perform { which, fails }),
        12 => (index(), 0..4_u8, 0..100_000_u64)
            .prop_map(|(which, answer, pause)| Step::Answer { which, answer, pause }),
        3 => (0..5_u32).prop_map(|window_parcels| Step::LinkUp { window_parcels }),
        1 => Just(Step::LinkLost),
        1 => Just(Step::PeerSeen),
        1 => Just(Step::Misbehave),
        1 => prop::option::of(0..100_000_u64).prop_map(|pause| Step::Hold { pause }),
        1 => Just(Step::Crash),
        4 => prop_oneof![0..10_u64, 0..2000_u64, 0..100_000_u64].prop_map(|millis| Step::Pass { millis }),
    ]
}

struct World {
    settings: ForwarderSettings,
    forwarder: Forwarder,
    now: u64,
    random: u64,
    /// On disk: what waits, and how each parcel ended.
    queue: BTreeSet<Parcel>,
    ended: BTreeMap<Parcel, Ending>,
    arrived: u32,
    /// In the shell's memory.
    to_do: Vec<Effect>,
    flights: HashMap<FlightNo, Parcel>,
    wake_at: Option<u64>,
    /// What the next hop was sent at any time.
    sent: Vec<(FlightNo, Parcel)>,
    /// What it has said of each.
    said: HashMap<FlightNo, BTreeSet<Ending>>,
}

impl World {
    fn new(window_parcels: u32, random: u64) -> Self {
        let settings = ForwarderSettings { window_parcels, ..ForwarderSettings::default() };
        Self {
            settings,
            forwarder: Forwarder::new(settings, 0),
            now: 0,
            random,
            queue: BTreeSet::new(),
            ended: BTreeMap::new(),
            arrived: 0,
            to_do: Vec::new(),
            flights: HashMap::new(),
            wake_at: None,
            sent: Vec::new(),
            said: HashMap::new(),
        }
    }

    fn give(&mut self, event: Event) {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let now = UnixMillis::new(NOW.get() + self.now);
        let (forwarder, effects) = self.forwarder.clone().step(event, now, self.random);
        self.forwarder = forwarder;
        self.check_flights(now);
        for effect in effects {
            match effect {
                Effect::WakeAt(at) => self.wake_at = Some(at.get() - NOW.get()),
                effect => self.to_do.push(effect),
            }
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Arrive { deadline } => {
                self.queue.insert((deadline, self.arrived));
                self.arrived += 1;
                self.give(Event::Mail);
            }
            Step::Perform { which, fails } if !self.to_do.is_empty() => {
                // The shell does its things in order, but loads and writes take their time.
                let effect = self.to_do.remove(which % self.to_do.len());
                self.perform(effect, fails);
            }
            Step::Answer { which, answer, pause } if !self.sent.is_empty() => {
                let (flight, _) = self.sent[which % self.sent.len()];
                let until = UnixMillis::new(NOW.get() + self.now + pause);
                let deferred = Answer::Deferred { until };
                let answers = [Answer::Final, Answer::Held, Answer::Refused, deferred];
                let answer = answers[usize::from(answer)];
                self.answer(flight, answer);
            }
            Step::Perform { .. } | Step::Answer { .. } => {}
            Step::LinkUp { window_parcels } => self.give(Event::LinkUp { window_parcels }),
            Step::LinkLost => self.give(Event::LinkLost),
            Step::PeerSeen => self.give(Event::PeerSeen),
            Step::Misbehave => self.give(Event::PeerMisbehaved),
            Step::Hold { pause } => {
                let until = pause.map(|pause| UnixMillis::new(NOW.get() + self.now + pause));
                self.give(Event::HoldUntil { until });
            }
            Step::Crash => self.crash(),
            Step::Pass { millis } => self.pass(millis),
        }
        self.check();
    }

    fn answer(&mut self, flight: FlightNo, answer: Answer) {
        let ending = match answer {
            Answer::Final => Some(Ending::Final),
            Answer::Held => Some(Ending::Held),
            Answer::Refused => Some(Ending::Refused),
            Answer::Deferred { .. } => None,
        };
        self.said.entry(flight).or_default().extend(ending);
        self.give(Event::Answered { flight, answer });
    }

    fn crash(&mut self) {
        let waiting = u64::try_from(self.queue.len()).unwrap();
        self.forwarder = Forwarder::new(self.settings, waiting);
        self.to_do.clear();
        self.flights.clear();
        self.sent.clear();
        self.said.clear();
        self.wake_at = None;
        self.give(Event::Woken);
    }

    fn pass(&mut self, millis: u64) {
        let end = self.now + millis;
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.wake_at = None;
            self.give(Event::Woken);
        }
        self.now = end;
    }

    fn perform(&mut self, effect: Effect, fails: bool) {
        match effect {
            // A next hop that does not answer: patience ends by itself.
            Effect::Connect if fails => {}
            Effect::Connect => self.give(Event::LinkUp { window_parcels: 3 }),
            Effect::LoadNext { flight, .. } | Effect::Keep { flight, .. } if fails => {
                self.give(Event::NotKept { flight });
            }
            Effect::LoadNext { flight, not } => self.load(flight, &not),
            Effect::Send { flight } => {
                if let Some(parcel) = self.flights.get(&flight) {
                    self.sent.push((flight, *parcel));
                }
            }
            Effect::Keep { flight, ending } => self.keep(flight, ending),
            Effect::Disconnect | Effect::WakeAt(_) => {}
        }
    }

    fn load(&mut self, flight: FlightNo, not: &[FlightNo]) {
        let taken: BTreeSet<Parcel> = not.iter().map(|flight| self.flights[flight]).collect();
        assert_eq!(taken.len(), not.len(), "a parcel is in two flights");
        let found = self.queue.iter().find(|parcel| !taken.contains(parcel)).copied();
        if let Some(parcel) = found {
            self.flights.insert(flight, parcel);
        }
        self.give(Event::Loaded { flight, found: found.is_some() });
    }

    fn keep(&mut self, flight: FlightNo, ending: Ending) {
        let parcel = self.flights[&flight];
        assert!(self.said[&flight].contains(&ending), "nobody said {ending:?} of {parcel:?}");
        assert!(self.queue.remove(&parcel), "{parcel:?} is kept twice");
        assert_eq!(self.ended.insert(parcel, ending), None);
        self.give(Event::Kept { flight });
    }

    /// No parcel is withheld from the queue without a time at which that ends, except by our own disk.
    fn check_flights(&self, now: UnixMillis) {
        for flight in &self.forwarder.flights {
            let ends = match flight.stage {
                Stage::Sent { since } => since.saturating_add(self.settings.answer_timeout),
                Stage::PutOff { until } => until,
                Stage::Loading | Stage::Keeping => continue,
            };
            let latest = now.saturating_add(2 * self.settings.hold_max);
            assert!(now < ends && ends <= latest, "{flight:?} at {now}");
        }
    }

    /// What holds after every step.
    fn check(&self) {
        let known = self.queue.len() + self.ended.len();
        assert_eq!(known, usize::try_from(self.arrived).unwrap(), "a parcel is lost");
        let status = self.forwarder.status();
        assert!(usize::try_from(status.in_flight).unwrap() <= self.settings.window(u32::MAX));
    }

    /// From now on nothing fails and the next hop takes whatever it is sent.
    fn finish(&mut self) {
        self.give(Event::HoldUntil { until: None });
        for _ in 0..10_000 {
            if self.queue.is_empty() && self.to_do.is_empty() {
                return;
            }
            if self.to_do.is_empty() {
                let sent = std::mem::take(&mut self.sent);
                sent.iter().for_each(|(flight, _)| self.answer(*flight, Answer::Held));
            }
            if self.to_do.is_empty() {
                self.pass(5_000);
            } else {
                let effect = self.to_do.remove(0);
                self.perform(effect, false);
            }
            self.check();
        }
        panic!("{} parcels wait for ever: {:?}", self.queue.len(), self.forwarder);
    }
}

proptest! {
    #[test]
    fn every_parcel_ends_once_whatever_the_next_hop_does(
        steps in prop::collection::vec(step(), 0..200), window in 0..4_u32, random in any::<u64>(),
    ) {
        let mut world = World::new(window, random);
        for step in &steps {
            world.run(step);
        }
        world.finish();
        prop_assert!(world.forwarder.status().put_off == 0 || world.queue.is_empty());
    }

    /// A month's backlog, and more that comes while it is handed on: always the most urgent of what is there.
    #[test]
    fn the_most_urgent_goes_first(
        backlog in prop::collection::vec(0..1000_u64, 1..200), more in prop::collection::vec(0..1000_u64, 0..50),
    ) {
        let mut world = World::new(1, 7);
        let mut more = more.into_iter();
        for deadline in backlog {
            world.run(&Step::Arrive { deadline });
        }
        world.crash();
        while !world.queue.is_empty() {
            let urgent = world.queue.first().copied();
            while let Some(at) = world.to_do.iter().position(|effect| !matches!(effect, Effect::Disconnect)) {
                let effect = world.to_do.remove(at);
                world.perform(effect, false);
            }
            let (flight, parcel) = world.sent.pop().unwrap();
            prop_assert_eq!(Some(parcel), urgent);
            if let Some(deadline) = more.next() {
                world.run(&Step::Arrive { deadline });
            }
            world.answer(flight, Answer::Held);
            let keep = world.to_do.remove(0);
            world.perform(keep, false);
        }
        prop_assert!(world.forwarder.is_idle());
    }
}

/// One parcel that the next hop never wants holds up nobody else.
#[test]
fn a_parcel_that_is_put_off_for_ever_does_not_stop_the_others() {
    let mut world = World::new(1, 3);
    for deadline in 0..20 {
        world.run(&Step::Arrive { deadline });
    }
    let poison = (0, 0);
    for _ in 0..400 {
        if world.queue.len() == 1 {
            break;
        }
        if let Some((flight, parcel)) = world.sent.pop() {
            let until = UnixMillis::new(NOW.get() + world.now + 60_000);
            let answer = if parcel == poison { Answer::Deferred { until } } else { Answer::Held };
            world.answer(flight, answer);
        } else if world.to_do.is_empty() {
            world.pass(1_000);
        } else {
            let effect = world.to_do.remove(0);
            world.perform(effect, false);
        }
    }
    assert_eq!(world.queue.iter().collect::<Vec<_>>(), [&poison]);
    assert!(world.now < 600_000);
}

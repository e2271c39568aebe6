//! The two machines of a comparison in a small world in which everything may go wrong: messages are lost, repeated and
//! overtake each other, either side ends and begins anew. Every order of events is looked at within bounds. Whatever
//! happens, what is known is exactly what differs, or the conversation ends with a named fault and is begun again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "tests fail by panicking and say what they have looked at"
)]

use std::collections::BTreeSet;
use std::hash::Hash;
use std::hash::Hasher;

use domain::id::MessageId;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::reconcile::Entry;
use exchange::reconcile::EntryState;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::session::Answer;
use exchange::reconcile::session::Answerer;
use exchange::reconcile::session::Ask;
use exchange::reconcile::session::Asker;
use exchange::reconcile::session::Lacks;
use exchange::reconcile::session::UNMATCHED_MAX;
use exchange::reconcile::set::EntrySet;
use exchange::reconcile::set::Scope;
use stateright::Checker;
use stateright::Model;
use stateright::Property;

const EXACT: &str = "what is known is exactly what differs";
const TOLD: &str = "the answerer takes exactly what differs, and once";
const NEXT: &str = "every state has a next step until both are done";
const DONE: &str = "a comparison comes to its end";

const MADE: UnixMillis = UnixMillis::new(1_780_000_000_000);

/// What may still go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Left {
    losses: u8,
    repeats: u8,
    overtakings: u8,
    crashes: u8,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    /// A message reaches the answerer, or the asker; `at` above 0 overtakes others.
    Reach { asker: bool, at: usize, stays: bool },
    /// A message is lost.
    Lose { asker: bool },
    /// One side ends: the conversation is over for both, and is begun again.
    Crash,
    /// Nothing comes any more: the same after some time.
    GiveUp,
}

/// One conversation, by what has reached each side: the machines follow from that.
#[derive(Clone, Debug, PartialEq, Eq)]
struct World {
    attempt: u8,
    /// Answers that have reached the asker, and asks that have reached the answerer.
    heard: Vec<Answer>,
    asked: Vec<Ask>,
    /// What is on its way.
    to_asker: Vec<Answer>,
    to_answerer: Vec<Ask>,
    left: Left,
    ended: Ended,
}

/// How the conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ended {
    No,
    /// With a named fault of one side; it is begun again.
    Fault,
    Done,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The messages have no hash of their own, but a text that tells them apart.
        format!("{self:?}").hash(state);
    }
}

struct Talk {
    ours: EntrySet,
    theirs: EntrySet,
    left: Left,
}

fn entry(number: u64, state: EntryState) -> Entry {
    let (from, to) = ("410522".parse().unwrap(), "440305".parse().unwrap());
    let (from, to) = if number.is_multiple_of(2) { (from, to) } else { (to, from) };
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    let id = MessageId::new(MADE, random);
    Entry { id, digest: Digest::of(id.as_bytes()), from, to, state }
}

fn set(entries: impl IntoIterator<Item = Entry>) -> EntrySet {
    let mut set = EntrySet::new();
    entries.into_iter().for_each(|entry| set.say(entry));
    set
}

fn scope() -> Scope {
    let day = MADE.date();
    Scope {
        asker: "410000".parse().unwrap(),
        answerer: "440000".parse().unwrap(),
        first: day.plus_days(-1),
        last: day.plus_days(1),
        until: UnixMillis::new(u64::MAX),
    }
}

/// What the machines are after what has reached them.
struct Sides {
    asker: Asker,
    answerer: Option<Answerer>,
    /// What each has said after its last step.
    asks: Vec<Ask>,
    answers: Vec<Answer>,
    fault: bool,
    found: Option<Vec<Difference>>,
}

impl Talk {
    /// Begins a conversation.
    fn begin(&self, attempt: u8, left: Left) -> World {
        let sides =
            Asker::new(scope(), self.ours.clone(), [attempt; 16], Vec::new(), UNMATCHED_MAX)
                .unwrap();
        World {
            attempt,
            heard: Vec::new(),
            asked: Vec::new(),
            to_asker: Vec::new(),
            to_answerer: vec![sides.1],
            left,
            ended: Ended::No,
        }
    }

    fn play(&self, world: &World) -> Sides {
        let nonce = [world.attempt; 16];
        let (asker, _) =
            Asker::new(scope(), self.ours.clone(), nonce, Vec::new(), UNMATCHED_MAX).unwrap();
        let mut sides = Sides {
            asker,
            answerer: None,
            asks: Vec::new(),
            answers: Vec::new(),
            fault: false,
            found: None,
        };
        for answer in &world.heard {
            match sides.asker.step(answer.clone()) {
                Ok(asks) => sides.asks = asks,
                Err(_) => sides.fault = true,
            }
            if sides.asker.is_known() && sides.found.is_none() && !sides.fault {
                let differences = sides.asker.differences(&Lacks::default());
                sides.asks = sides.asker.tell(&differences);
                sides.found = Some(differences);
            }
        }
        for ask in &world.asked {
            let said = match &mut sides.answerer {
                Some(answerer) => answerer.step(ask.clone()),
                None => {
                    let nonce = [world.attempt + 100; 16];
                    let opened = Answerer::open(
                        ask.clone(),
                        self.theirs.clone(),
                        nonce,
                        Lacks::default(),
                        UNMATCHED_MAX,
                    );
                    opened.map(|(answerer, said)| {
                        sides.answerer = Some(answerer);
                        said
                    })
                }
            };
            let more = sides.answerer.iter_mut();
            let more = more.flat_map(|it| std::iter::from_fn(|| it.next_symbols()));
            let more: Vec<_> = more.collect();
            match said {
                Ok(said) => sides.answers = said.into_iter().chain(more).collect(),
                Err(_) => sides.fault = true,
            }
        }
        sides
    }

    /// What differs, told without any of the machines.
    fn truth(&self) -> BTreeSet<(MessageId, DifferenceName)> {
        let ids = self.ours.iter().chain(self.theirs.iter()).map(|entry| entry.id);
        let named = ids.filter_map(|id| {
            let (ours, theirs) = (self.ours.get(id), self.theirs.get(id));
            let sent = ours.or(theirs).is_some_and(|entry| scope().asker.contains(&entry.from));
            let (sender, recipient) = if sent { (ours, theirs) } else { (theirs, ours) };
            let name = match (sender, recipient) {
                (Some(_), None) => DifferenceName::MissingAtRecipient,
                (None, _) => DifferenceName::MissingAtSender,
                (Some(one), Some(other)) if one == other => return None,
                (Some(one), Some(_)) if one.state == EntryState::Waiting => {
                    DifferenceName::ReceiptMissing
                }
                (Some(_), Some(_)) => DifferenceName::StateDiffers,
            };
            Some((id, name))
        });
        named.collect()
    }

    fn is_exact(&self, found: &[Difference]) -> bool {
        let named: BTreeSet<_> = found.iter().map(|it| (it.id().unwrap(), it.name)).collect();
        named == self.truth() && named.len() == found.len()
    }
}

impl Model for Talk {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.begin(0, self.left)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.ended == Ended::Done {
            return;
        }
        if world.ended == Ended::Fault {
            return actions.push(Action::GiveUp);
        }
        for (asker, waiting) in [(true, world.to_asker.len()), (false, world.to_answerer.len())] {
            for at in 0..waiting.min(2) {
                if at == 0 || world.left.overtakings > 0 {
                    actions.push(Action::Reach { asker, at, stays: false });
                }
            }
            if waiting > 0 && world.left.repeats > 0 {
                actions.push(Action::Reach { asker, at: 0, stays: true });
            }
            if waiting > 0 && world.left.losses > 0 {
                actions.push(Action::Lose { asker });
            }
        }
        if world.left.crashes > 0 {
            actions.push(Action::Crash);
        }
        if world.to_asker.is_empty() && world.to_answerer.is_empty() {
            actions.push(Action::GiveUp);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Reach { asker, at, stays } => {
                world.left.overtakings -= u8::from(at > 0);
                world.left.repeats -= u8::from(stays);
                match asker {
                    true => {
                        let answer = world.to_asker[at].clone();
                        if !stays {
                            world.to_asker.remove(at);
                        }
                        world.heard.push(answer);
                        let sides = self.play(&world);
                        world.to_answerer.extend(sides.asks);
                        if sides.fault {
                            world.ended = Ended::Fault;
                        } else if sides.asker.is_done() {
                            world.ended = Ended::Done;
                        }
                    }
                    false => {
                        let ask = world.to_answerer[at].clone();
                        if !stays {
                            world.to_answerer.remove(at);
                        }
                        world.asked.push(ask);
                        let sides = self.play(&world);
                        world.to_asker.extend(sides.answers);
                        if sides.fault {
                            world.ended = Ended::Fault;
                        }
                    }
                }
            }
            Action::Lose { asker } => {
                world.left.losses -= 1;
                match asker {
                    true => drop(world.to_asker.remove(0)),
                    false => drop(world.to_answerer.remove(0)),
                }
            }
            Action::Crash => {
                let left = Left { crashes: world.left.crashes - 1, ..world.left };
                world = self.begin(world.attempt + 1, left);
            }
            Action::GiveUp => world = self.begin(world.attempt + 1, world.left),
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(EXACT, |model, world| {
                let sides = model.play(world);
                sides.found.is_none_or(|found| model.is_exact(&found))
            }),
            Property::always(TOLD, |model, world| {
                let sides = model.play(world);
                let done = sides.answerer.filter(Answerer::is_done);
                done.is_none_or(|answerer| model.is_exact(&answerer.into_found()))
            }),
            Property::always(NEXT, |model, world| {
                let mut actions = Vec::new();
                model.actions(world, &mut actions);
                world.ended == Ended::Done || !actions.is_empty()
            }),
            Property::sometimes(DONE, |_, world: &World| world.ended == Ended::Done),
        ]
    }

    fn within_boundary(&self, world: &World) -> bool {
        // Each fault costs one attempt at most; one without any comes to its end.
        world.attempt <= 6
    }
}

fn explore(name: &str, ours: EntrySet, theirs: EntrySet, left: Left, at_least: usize) {
    let checker = Talk { ours, theirs, left }.checker().threads(2).spawn_bfs().join();
    let unique = checker.unique_state_count();
    println!("{name}: {unique} states of at most {} steps; {left:?}", checker.max_depth());
    for (property, path) in checker.discoveries() {
        if property != DONE {
            println!("{property} does not hold after {:#?}", path.into_actions());
        }
    }
    checker.assert_properties();
    assert!(unique >= at_least, "only {unique} states, not {at_least}");
}

const LEFT: Left = Left { losses: 1, repeats: 1, overtakings: 1, crashes: 1 };

fn some(numbers: impl IntoIterator<Item = u64>) -> EntrySet {
    set(numbers.into_iter().map(|n| entry(n, EntryState::Stored)))
}

#[test]
fn a_few_differences_are_found_by_the_sketch_or_not_at_all() {
    let both = 0..40;
    let waiting = [entry(100, EntryState::Waiting), entry(102, EntryState::Stored)];
    let ours = set(some(both.clone().chain([50, 51])).iter().chain(waiting));
    let other = [entry(100, EntryState::Stored), entry(102, EntryState::Refused)];
    let theirs = set(some(both.chain([60, 61])).iter().chain(other));
    explore("a few differences", ours, theirs, LEFT, 100);
}

#[test]
fn a_list_is_read_as_it_was_sent_or_not_at_all() {
    explore("one side has nothing", some([]), some(0..30), LEFT, 50);
    explore("the other side has nothing", some(0..30), some([]), LEFT, 50);
}

#[test]
fn equal_sets_stay_equal() {
    explore("equal sets", some(0..20), some(0..20), LEFT, 20);
}

/// More differences than one message names.
#[test]
fn many_differences_are_told_in_order_or_not_at_all() {
    let left = Left { losses: 1, repeats: 0, overtakings: 1, crashes: 0 };
    explore("many differences", some(0..1_500), some(2_000..2_010), left, 20);
}

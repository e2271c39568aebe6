//! Handing a case over, with the real rules of `domain::case`, in a small world in which messages are late, doubled, lost and
//! sent again, offices crash, the network is cut in two and heals, and time passes: every order of events is looked at within bounds.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking and say what they have looked at"
)]

mod world;

use std::time::Instant;

use stateright::{Checker, Model, Property};
use world::{Action, Bounds, World};

const ONE_HOLDER: &str = "never two holders of a side";
const AGREE: &str = "whoever has the same messages agrees";
const ENDS: &str = "every hand-over ends";
const GIVEN_IN_A_CUT: &str = "it is given away while the network is cut";
const AT_ONCE: &str = "both sides change hands before either office hears of the other";
const WRITTEN: &str = "what was written reaches the holder";

struct Exhaustive(Bounds);

impl Model for Exhaustive {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.0)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(world.actions());
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        world.step(action);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_HOLDER, |_, world: &World| !world.has_two_holders()),
            Property::always(AGREE, |_, world: &World| world.agrees()),
            Property::always(ENDS, |_, world: &World| !world.is_at_rest() || world.has_ended()),
            Property::always(WRITTEN, |_, world: &World| {
                !world.is_at_rest() || world.holder_has_all()
            }),
            Property::sometimes("it is handed over", |_, world: &World| world.was_handed_over()),
            Property::sometimes(GIVEN_IN_A_CUT, |model: &Self, world: &World| {
                model.0.cuts == 0 || world.was_handed_over_in_a_cut()
            }),
            Property::sometimes(AT_ONCE, |model: &Self, world: &World| {
                model.0.asking_offers == 0 || world.both_moved_at_once()
            }),
            Property::sometimes("it lapses", |_, world: &World| world.has_lapsed()),
            Property::sometimes("it is withdrawn", |_, world: &World| world.was_withdrawn()),
        ]
    }
}

const ONE_OFFER: Bounds =
    Bounds { offers: 1, asking_offers: 0, written: 0, repeats: 0, losses: 0, crashes: 0, cuts: 0 };

fn explore(name: &str, bounds: Bounds, at_least: usize) {
    let began = Instant::now();
    let checker = Exhaustive(bounds).checker().threads(2).spawn_dfs().join();
    let (unique, all) = (checker.unique_state_count(), checker.state_count());
    println!(
        "{name}: {unique} states, reached in {all} ways of at most {} steps, in {:.1?}; {bounds:?}",
        checker.max_depth(),
        began.elapsed(),
    );
    checker.assert_properties();
    assert!(unique >= at_least, "only {unique} states, not {at_least}");
}

#[test]
fn one_offer_with_losses_repeats_and_crashes() {
    let bounds = Bounds { written: 1, repeats: 1, losses: 1, crashes: 1, ..ONE_OFFER };
    explore("one offer", bounds, 1_000);
}

#[test]
fn a_second_offer_after_the_first_was_withdrawn() {
    explore("two offers", Bounds { offers: 2, repeats: 1, ..ONE_OFFER }, 1_000);
}

#[test]
fn one_offer_while_the_network_is_cut_and_heals() {
    explore("one cut", Bounds { written: 1, crashes: 1, cuts: 1, ..ONE_OFFER }, 1_000);
}

#[test]
fn a_second_offer_across_a_cut() {
    explore("two offers and a cut", Bounds { offers: 2, cuts: 1, ..ONE_OFFER }, 1_000);
}

#[test]
fn both_sides_change_hands_at_once() {
    let bounds = Bounds { asking_offers: 1, ..ONE_OFFER };
    explore("both sides", bounds, 10_000);
    explore("both sides and a cut", Bounds { cuts: 1, ..bounds }, 10_000);
}

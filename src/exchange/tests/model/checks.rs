//! Every order of events within bounds, by a model checker.
//!
//! The small bounds are looked at with every run of the tests. `LIANGDI_MODEL=deep` widens them; that takes some minutes
//! with `--release`, and some gigabytes.

use std::time::Instant;

use exchange::route::Route;
use stateright::Checker;
use stateright::Model;
use stateright::Property;

use super::actions::Action;
use super::setup::Bug;
use super::setup::Left;
use super::setup::Setup;
use super::world::World;

const LOST: &str = "no acknowledged message is lost";
const TRUE: &str = "a receipt is true for ever";
const ONCE: &str = "nothing is done twice";
const NEXT: &str = "every state has a next step";
const ENDS: &str = "every message ends in a named state";

struct Exhaustive(Setup);

impl Model for Exhaustive {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.0, None)]
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
            Property::always(LOST, |_, world: &World| world.acknowledged_is_true()),
            Property::always(TRUE, |_, world: &World| world.words_are_true()),
            Property::always(ONCE, |_, world: &World| world.is_consistent()),
            Property::always(NEXT, |_, world: &World| world.has_next_step()),
            Property::always(ENDS, |_, world: &World| world.ends_well()),
            Property::sometimes("all is settled", |_, world: &World| world.is_settled()),
        ]
    }
}

const DIRECT: &[Route] = &[Route::Direct];
const BOTH: &[Route] = &[Route::Direct, Route::OwnRelay];
const NOTHING: Left = Left {
    letters: 0,
    withdrawals: 0,
    losses: 0,
    repeats: 0,
    sender_crashes: 0,
    recipient_crashes: 0,
    relay_crashes: 0,
    backups: 0,
    restores: 0,
    deferrals: 0,
    refusals: 0,
    drops: 0,
    troubles: 0,
    disturbances: 0,
    ticks: 0,
};

/// The small bounds, or the wide ones.
fn bounds(small: Left, deep: Left) -> Left {
    let is_deep = std::env::var("LIANGDI_MODEL").is_ok_and(|wish| wish == "deep");
    if is_deep { deep } else { small }
}

/// Looks at every state, and says how many there were: `at_least` so many, or the model has shrunk.
fn explore(name: &str, setup: Setup, at_least: usize) {
    let began = Instant::now();
    let checker = Exhaustive(setup).checker().threads(2).spawn_dfs().join();
    let (unique, all) = (checker.unique_state_count(), checker.state_count());
    println!(
        "{name}: {unique} states, reached in {all} ways of at most {} steps, in {:.1?}; {:?}",
        checker.max_depth(),
        began.elapsed(),
        setup.left,
    );
    for (property, path) in checker.discoveries() {
        if property != "all is settled" {
            println!("{property} does not hold after {:#?}", path.into_actions());
        }
    }
    checker.assert_properties();
    assert!(unique >= at_least, "only {unique} states, not {at_least}");
}

#[test]
fn two_letters_and_every_loss_and_crash() {
    let one = Left {
        letters: 2,
        losses: 1,
        repeats: 1,
        sender_crashes: 1,
        recipient_crashes: 1,
        ticks: 1,
        ..NOTHING
    };
    let two = Left { letters: 3, ticks: 2, ..one };
    let setup = Setup::new(DIRECT);
    explore("losses and crashes", Setup { left: bounds(one, two), ..setup }, 300_000);
}

#[test]
fn restores_with_letters_on_their_way() {
    let one = Left {
        letters: 2,
        backups: 1,
        restores: 1,
        withdrawals: 1,
        recipient_crashes: 1,
        losses: 1,
        ..NOTHING
    };
    let two = Left { sender_crashes: 1, restores: 2, ticks: 1, ..one };
    let setup = Setup::new(DIRECT);
    explore("restores", Setup { left: bounds(one, two), ..setup }, 150_000);
}

#[test]
fn restores_that_nobody_noticed() {
    let one = Left { letters: 3, backups: 1, restores: 1, losses: 1, repeats: 1, ..NOTHING };
    let two = Left { letters: 4, sender_crashes: 1, ticks: 1, ..one };
    let setup = Setup { unnoticed: true, ..Setup::new(DIRECT) };
    explore("unnoticed restores", Setup { left: bounds(one, two), ..setup }, 130_000);
}

#[test]
fn what_is_put_off_refused_withdrawn_or_too_late() {
    let one = Left { letters: 3, withdrawals: 1, deferrals: 1, ticks: 1, ..NOTHING };
    let two = Left { deferrals: 2, troubles: 1, ticks: 2, ..one };
    let mut setup = Setup { refused_every: 2, expires_every: 3, ..Setup::new(DIRECT) };
    // More than one parcel's worth of letters: the most urgent go first.
    setup.courier.envelopes_max = 1;
    explore("put off", Setup { left: bounds(one, two), ..setup }, 100_000);
}

#[test]
fn two_routes_and_every_loss() {
    let one = Left { letters: 1, losses: 1, repeats: 1, ticks: 1, ..NOTHING };
    let two = Left { ticks: 2, ..one };
    let setup = Setup::new(BOTH);
    explore("two routes, losses", Setup { left: bounds(one, two), ..setup }, 50_000);
}

#[test]
fn two_routes_and_every_crash() {
    let setup = Setup::new(BOTH);
    let ends = Left { letters: 1, sender_crashes: 1, relay_crashes: 1, losses: 1, ..NOTHING };
    let wide = Left { recipient_crashes: 1, troubles: 1, ..ends };
    explore(
        "two routes, crashes of a carrier",
        Setup { left: bounds(ends, wide), ..setup },
        10_000,
    );
    let middle = Left { letters: 1, recipient_crashes: 1, relay_crashes: 1, ticks: 1, ..NOTHING };
    let wide = Left { sender_crashes: 1, ..middle };
    explore("two routes, crashes in time", Setup { left: bounds(middle, wide), ..setup }, 200_000);
}

#[test]
fn a_relay_that_refuses_forgets_and_is_busy() {
    let one =
        Left { letters: 1, losses: 1, drops: 1, refusals: 1, deferrals: 1, ticks: 1, ..NOTHING };
    let two = Left { disturbances: 1, ..one };
    let setup = Setup::new(BOTH);
    explore("a bad relay", Setup { left: bounds(one, two), ..setup }, 100_000);
}

#[test]
fn restores_while_a_relay_holds_letters() {
    let one = Left { letters: 1, losses: 1, backups: 1, restores: 1, ticks: 1, ..NOTHING };
    let two = Left { withdrawals: 1, relay_crashes: 1, drops: 1, ticks: 2, ..one };
    let setup = Setup::new(BOTH);
    explore("relay and restores", Setup { left: bounds(one, two), ..setup }, 80_000);
}

/// A relay is trusted for nothing but time: what it lets go costs a wait and no message.
#[test]
fn a_relay_that_lets_go_too_early() {
    let one = Left { letters: 1, losses: 2, ..NOTHING };
    let two = Left { drops: 1, ticks: 1, ..one };
    let setup = Setup { bug: Some(Bug::RelayLetsGoTooEarly), ..Setup::new(BOTH) };
    explore("a careless relay", Setup { left: bounds(one, two), ..setup }, 1_500);
}

/// A mistake that is made on purpose is found, and by the property that names it.
fn finds(bug: Bug, routes: &[Route], left: Left, property: &'static str) {
    let setup = Setup { bug: Some(bug), left, ..Setup::new(routes) };
    let checker = Exhaustive(setup).checker().threads(2).spawn_bfs().join();
    let Some(path) = checker.discovery(property) else {
        panic!("{bug:?} was not found in {} states", checker.unique_state_count());
    };
    println!("{bug:?}: {property} does not hold after {:?}", path.into_actions());
}

#[test]
fn an_answer_before_the_write_is_found() {
    let left = Left { letters: 1, recipient_crashes: 1, ..NOTHING };
    finds(Bug::AnswersBeforeWriting, DIRECT, left, LOST);
    finds(Bug::AnswersBeforeWriting, DIRECT, left, TRUE);
}

#[test]
fn trust_in_a_relay_is_found() {
    let left = Left { letters: 1, losses: 1, drops: 1, ..NOTHING };
    finds(Bug::TrustsTheRelay, BOTH, left, ONCE);
}

#[test]
fn an_old_epoch_after_a_restore_is_found() {
    let left = Left { letters: 3, backups: 1, restores: 1, ..NOTHING };
    finds(Bug::KeepsTheEpoch, DIRECT, left, ONCE);
}

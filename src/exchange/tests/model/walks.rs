//! Longer stories than can be looked at one by one: drawn by lot, with the same nodes and the same truths.

use std::time::Duration;

use exchange::backoff::Backoff;
use exchange::courier::CourierSettings;
use exchange::relay::ForwarderSettings;
use exchange::route::Route;
use exchange::route::Routes;
use proptest::prelude::*;

use super::actions::Action;
use super::actions::TakeIn;
use super::setup::Left;
use super::setup::Setup;
use super::world::World;

/// Enough of everything.
const PLENTY: Left = Left {
    letters: 60,
    withdrawals: 8,
    losses: 40,
    repeats: 40,
    sender_crashes: 8,
    recipient_crashes: 8,
    relay_crashes: 8,
    backups: 5,
    restores: 4,
    deferrals: 20,
    refusals: 10,
    drops: 5,
    troubles: 10,
    disturbances: 20,
    ticks: 400,
};

/// Settings as in the field, but for sizes.
fn setup(routes: Routes, window: u32, envelopes: u32, fill: u32, unnoticed: bool) -> Setup {
    Setup {
        routes,
        courier: CourierSettings {
            window_parcels: window,
            envelopes_max: envelopes,
            fill,
            ..CourierSettings::default()
        },
        forwarder: ForwarderSettings { window_parcels: window, ..ForwarderSettings::default() },
        refused_every: 7,
        expires_every: 11,
        deferral: Duration::from_secs(40),
        unnoticed,
        bug: None,
        left: PLENTY,
    }
}

fn any_routes() -> impl Strategy<Value = Routes> {
    prop::sample::select(vec![
        Routes::direct(),
        Routes::none().with(Route::OwnRelay),
        Routes::direct().with(Route::OwnRelay),
    ])
}

/// Which of the things that may happen does, and whether it may be one that goes wrong.
fn choice() -> impl Strategy<Value = (usize, bool)> {
    (any::<usize>(), prop::bool::weighted(0.35))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_story_ends_well(
        choices in prop::collection::vec(choice(), 0..400), seed in any::<u64>(), routes in any_routes(),
        window in 1..4_u32, envelopes in 1..12_u32, fill in 1..8_u32, unnoticed in any::<bool>(),
    ) {
        let mut world = World::new(setup(routes, window, envelopes, fill, unnoticed), Some(seed));
        for (which, anything) in choices {
            let actions = if anything { world.actions() } else { world.progress() };
            let actions = if actions.is_empty() { vec![Action::Accept] } else { actions };
            if world.around.left.letters > 0 || actions[0] != Action::Accept {
                world.step(actions[which % actions.len()]);
            }
            prop_assert!(world.acknowledged_is_true() && world.words_are_true());
            prop_assert!(world.is_consistent() && world.has_next_step());
        }
        prop_assert!(world.ends_well());
        prop_assert!(world.recipient.resists_forgery(world.around.now));
    }
}

/// A lane of many windows behind one letter that is put off again and again.
#[test]
fn a_long_lane_stays_bounded() {
    let left = Left { letters: 15_000, deferrals: 60, ..Left::default() };
    let mut setup = Setup { left, ..setup(Routes::direct(), 4, 512, 64, false) };
    setup.courier.backoff = Backoff::PROTOCOL;
    let mut world = World::new(setup, Some(1));
    (0..15_000).for_each(|_| world.step(Action::Accept));
    while !world.is_settled() {
        world.around.left.ticks = 1;
        let next = world.progress()[0];
        let busy = matches!(next, Action::TakeIn { .. }) && world.around.left.deferrals > 0;
        let how = TakeIn::Busy;
        world.step(if busy { Action::TakeIn { at: 0, how } } else { next });
    }
    assert!(world.ends_well());
}

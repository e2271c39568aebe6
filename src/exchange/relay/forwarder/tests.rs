//! Each transition of the forwarder.

use std::time::Duration;

use super::*;
use crate::samples::NOW;

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(NOW.get() + millis)
}

fn settings() -> ForwarderSettings {
    ForwarderSettings { window_parcels: 2, ..ForwarderSettings::default() }
}

/// A forwarder, and the time that has passed, in milliseconds.
struct Driver {
    forwarder: Forwarder,
    now: u64,
}

impl Driver {
    fn new(waiting: u64) -> Self {
        Self { forwarder: Forwarder::new(settings(), waiting), now: 0 }
    }

    /// What the forwarder wants after the event. Waits are as long as they can be.
    fn step(&mut self, event: Event) -> Vec<Effect> {
        let (forwarder, effects) = self.forwarder.clone().step(event, at(self.now), u64::MAX);
        self.forwarder = forwarder;
        effects
    }

    fn at(&mut self, now: u64, event: Event) -> Vec<Effect> {
        self.now = now;
        self.step(event)
    }

    /// A link with room for so many, and nothing read yet.
    fn up(waiting: u64, window_parcels: u32) -> Self {
        let mut driver = Self::new(waiting);
        assert_eq!(driver.step(Event::Woken), [Effect::Connect, wake(30_000)]);
        assert_eq!(driver.step(Event::LinkUp { window_parcels }), [load(0, &[])]);
        driver
    }

    /// The store has the parcel that was asked for.
    fn found(&mut self, number: u64) -> Vec<Effect> {
        self.step(Event::Loaded { flight: flight(number), found: true })
    }

    fn answered(&mut self, number: u64, answer: Answer) -> Vec<Effect> {
        self.step(Event::Answered { flight: flight(number), answer })
    }

    fn kept(&mut self, number: u64) -> Vec<Effect> {
        self.step(Event::Kept { flight: flight(number) })
    }
}

fn flight(number: u64) -> FlightNo {
    (0..number).fold(FlightNo::FIRST, |flight, _| flight.next())
}

fn load(number: u64, not: &[u64]) -> Effect {
    Effect::LoadNext { flight: flight(number), not: not.iter().map(|n| flight(*n)).collect() }
}

fn send(number: u64) -> Effect {
    Effect::Send { flight: flight(number) }
}

fn keep(number: u64, ending: Ending) -> Effect {
    Effect::Keep { flight: flight(number), ending }
}

fn wake(millis: u64) -> Effect {
    Effect::WakeAt(at(millis))
}

#[test]
fn a_parcel_is_read_sent_answered_and_kept() {
    let mut driver = Driver::new(0);
    assert_eq!(driver.step(Event::Mail), [Effect::Connect, wake(30_000)]);
    assert_eq!(driver.at(5, Event::LinkUp { window_parcels: 8 }), [load(0, &[])]);
    assert_eq!(driver.found(0), [send(0), wake(30_005)]);
    assert_eq!(driver.forwarder.status().in_flight, 1);
    assert_eq!(driver.answered(0, Answer::Held), [keep(0, Ending::Held)]);
    assert_eq!(driver.forwarder.status().parcels, 1);
    assert_eq!(driver.kept(0), []);
    assert!(driver.forwarder.is_idle());
    assert_eq!(driver.kept(0), []);
}

#[test]
fn the_window_is_filled_one_by_one_and_names_what_is_in_hand() {
    let mut driver = Driver::up(5, 8);
    assert_eq!(driver.found(0), [send(0), load(1, &[0]), wake(30_000)]);
    assert_eq!(driver.found(1), [send(1)]);
    // What is being kept takes its place in the window until it is kept.
    assert_eq!(driver.answered(0, Answer::Final), [keep(0, Ending::Final)]);
    assert_eq!(driver.kept(0), [load(2, &[1])]);
    assert_eq!(driver.forwarder.status().parcels, 4);
}

#[test]
fn a_next_hop_with_a_smaller_window_decides() {
    for window in [0, 1] {
        let mut driver = Driver::up(5, window);
        assert_eq!(driver.found(0), [send(0), wake(30_000)]);
    }
}

#[test]
fn a_refusal_ends_a_parcel_here_as_well() {
    let mut driver = Driver::up(1, 8);
    driver.found(0);
    assert_eq!(driver.answered(0, Answer::Refused), [keep(0, Ending::Refused)]);
    assert_eq!(driver.answered(0, Answer::Final), []);
    assert_eq!(driver.kept(0), []);
    assert!(driver.forwarder.is_idle());
}

#[test]
fn a_lost_link_puts_back_what_is_not_answered() {
    let mut driver = Driver::up(3, 8);
    driver.found(0);
    driver.found(1);
    assert_eq!(driver.answered(0, Answer::Held), [keep(0, Ending::Held)]);
    assert_eq!(driver.at(10, Event::LinkLost), [wake(210)]);
    let status = driver.forwarder.status();
    assert_eq!((status.parcels, status.in_flight, status.failures), (3, 1, 1));
    // The answer of the first goes to disk all the same; the second is no flight any more.
    assert_eq!(driver.answered(1, Answer::Held), []);
    assert_eq!(driver.kept(0), []);
    assert_eq!(driver.forwarder.status().parcels, 2);
    assert_eq!(driver.at(210, Event::Woken), [Effect::Connect, wake(30_210)]);
    assert_eq!(driver.step(Event::LinkUp { window_parcels: 8 }), [load(2, &[])]);
}

#[test]
fn waits_grow_with_failures_and_end_when_the_next_hop_is_seen_or_answers() {
    let mut driver = Driver::new(1);
    let mut waits = Vec::new();
    for _ in 0..4 {
        driver.step(Event::Woken);
        driver.step(Event::LinkLost);
        let next = driver.forwarder.status().next_try.unwrap();
        waits.push(next.get() - at(driver.now).get());
        driver.now += waits[waits.len() - 1];
    }
    assert_eq!(waits, [200, 400, 800, 1600]);
    driver.step(Event::Woken);
    assert_eq!(driver.step(Event::LinkLost), [wake(driver.now + 3200)]);
    assert_eq!(driver.step(Event::PeerSeen), [wake(driver.now + 200)]);
    // A stream that the next hop opened by itself is as good.
    assert_eq!(driver.step(Event::LinkUp { window_parcels: 1 }), [load(0, &[])]);
    driver.found(0);
    driver.answered(0, Answer::Final);
    assert_eq!(driver.forwarder.status().failures, 5);
    driver.kept(0);
    assert_eq!(driver.forwarder.status().failures, 0);
}

#[test]
fn an_answer_or_a_link_that_does_not_come_is_a_lost_link() {
    let mut driver = Driver::new(1);
    driver.step(Event::Woken);
    assert_eq!(driver.at(29_999, Event::Woken), [wake(30_000)]);
    assert_eq!(driver.at(30_000, Event::Woken), [Effect::Disconnect, wake(30_200)]);
    let mut driver = Driver::up(1, 8);
    driver.found(0);
    assert_eq!(driver.at(30_000, Event::Woken), [Effect::Disconnect, wake(30_200)]);
    assert_eq!(driver.forwarder.status().in_flight, 0);
}

#[test]
fn a_deferral_pauses_everything_and_its_parcel_once_more() {
    let mut driver = Driver::up(3, 1);
    driver.found(0);
    let until = at(10_000);
    assert_eq!(driver.answered(0, Answer::Deferred { until }), [wake(10_000)]);
    let status = driver.forwarder.status();
    assert_eq!((status.put_off, status.parcels, status.held_until), (1, 3, Some(until)));
    assert_eq!(driver.at(9_999, Event::Mail), []);
    assert_eq!(driver.at(10_000, Event::Woken), [load(1, &[0]), wake(20_000)]);
    driver.found(1);
    driver.answered(1, Answer::Held);
    assert_eq!(driver.kept(1), [load(2, &[0])]);
    // When its time comes it is in the queue again, for whoever looks next.
    assert_eq!(driver.at(20_000, Event::Woken), []);
    assert_eq!(driver.forwarder.status().put_off, 0);
    assert_eq!(driver.step(Event::Loaded { flight: flight(2), found: false }), [load(3, &[])]);
}

#[test]
fn a_pause_is_neither_nothing_nor_for_ever() {
    let held = |until: UnixMillis| {
        let mut driver = Driver::up(1, 8);
        driver.found(0);
        driver.answered(0, Answer::Deferred { until });
        driver.forwarder.status().held_until.unwrap().get() - NOW.get()
    };
    assert_eq!(held(at(0)), 1000);
    assert_eq!(held(UnixMillis::new(u64::MAX)), 3_600_000);
}

#[test]
fn an_announced_pause_holds_everything_until_it_ends_or_is_taken_back() {
    let mut driver = Driver::new(2);
    let until = Some(at(5_000));
    assert_eq!(driver.step(Event::HoldUntil { until }), [wake(5_000)]);
    assert_eq!(driver.at(5_000, Event::Woken), [Effect::Connect, wake(35_000)]);
    driver.step(Event::LinkUp { window_parcels: 8 });
    // What was being read when the pause came waits as well.
    let until = Some(at(9_000));
    assert_eq!(driver.step(Event::HoldUntil { until }), [wake(9_000)]);
    assert_eq!(driver.found(0), []);
    assert_eq!(driver.forwarder.status().parcels, 2);
    assert_eq!(driver.step(Event::HoldUntil { until: None }), [load(1, &[])]);
    let forever = Some(UnixMillis::new(u64::MAX));
    driver.step(Event::HoldUntil { until: forever });
    assert_eq!(driver.forwarder.status().held_until, Some(at(5_000 + 86_400_000)));
}

#[test]
fn a_count_that_was_wrong_is_put_right_and_loses_nothing_that_came_meanwhile() {
    let mut driver = Driver::up(7, 8);
    let empty = |number: u64| Event::Loaded { flight: flight(number), found: false };
    assert_eq!(driver.step(empty(0)), []);
    assert!(driver.forwarder.is_idle());
    assert_eq!(driver.step(Event::Mail), [load(1, &[])]);
    assert_eq!(driver.step(Event::Mail), []);
    assert_eq!(driver.step(empty(1)), [load(2, &[])]);
    assert_eq!(driver.forwarder.status().parcels, 1);
}

#[test]
fn trouble_of_our_own_store_makes_a_pause() {
    let mut driver = Driver::up(1, 8);
    assert_eq!(driver.step(Event::NotKept { flight: flight(0) }), [wake(200)]);
    assert_eq!(driver.at(200, Event::Woken), [load(1, &[])]);
    driver.found(1);
    driver.answered(1, Answer::Held);
    assert_eq!(driver.step(Event::NotKept { flight: flight(1) }), [wake(600)]);
    assert_eq!(driver.forwarder.status().parcels, 1);
    assert_eq!(driver.step(Event::Kept { flight: flight(1) }), []);
    assert_eq!(driver.at(600, Event::Woken), [load(2, &[])]);
}

#[test]
fn a_next_hop_that_breaks_the_protocol_is_left_alone_for_a_while() {
    let mut driver = Driver::up(1, 8);
    driver.found(0);
    assert_eq!(driver.step(Event::PeerMisbehaved), [Effect::Disconnect, wake(200)]);
    assert_eq!(driver.step(Event::PeerMisbehaved), []);
    assert_eq!(driver.forwarder.status().parcels, 1);
}

#[test]
fn limits_that_make_no_sense_count_as_the_nearest_that_does() {
    let settings = ForwarderSettings {
        window_parcels: 0,
        defer_min: Duration::ZERO,
        hold_max: Duration::ZERO,
        ..ForwarderSettings::default()
    };
    assert_eq!(settings.window(9), 1);
    assert_eq!(settings.pause(NOW, at(0)), Duration::from_millis(1));
}

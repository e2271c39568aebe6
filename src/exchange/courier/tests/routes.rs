//! Which route mail takes, and what becomes of mail that a relay holds.

use super::*;
use crate::courier::Breaker;

const OWN: Route = Route::OwnRelay;
const PEER: Route = Route::PeerRelay;

fn all() -> Routes {
    Route::ALL.into_iter().collect()
}

fn up(route: Route) -> Event {
    Event::LinkUp { route, window_parcels: 100 }
}

fn lost(route: Route) -> Event {
    Event::LinkLost { route }
}

fn connects(effects: &[Effect]) -> Vec<Route> {
    let connect = |effect: &Effect| match effect {
        Effect::Connect { route } => Some(*route),
        _ => None,
    };
    effects.iter().filter_map(connect).collect()
}

fn disconnects(effects: &[Effect]) -> Vec<Route> {
    let disconnect = |effect: &Effect| match effect {
        Effect::Disconnect { route } => Some(*route),
        _ => None,
    };
    effects.iter().filter_map(disconnect).collect()
}

/// A courier with mail up to `mail` whose direct route has failed three times, so that it has asked for
/// its own relay.
fn troubled(routes: Routes, settings: CourierSettings, mail: u64) -> Bench {
    let mut bench = Bench::new(settings);
    bench.event(Event::RoutesChanged { routes });
    assert_eq!(connects(&bench.event(mail_through(mail))), [Route::Direct]);
    for _ in 0..2 {
        assert!(connects(&bench.event(lost(Route::Direct))).is_empty());
        bench.pass(400);
        assert_eq!(connects(&bench.event(Event::Woken)), [Route::Direct]);
    }
    assert_eq!(connects(&bench.event(lost(Route::Direct))), [OWN]);
    bench
}

/// The parcel that was asked for, read and sent by that route.
fn sent(bench: &mut Bench, effects: &[Effect], by: Route) -> ParcelNo {
    let (parcel, sequences) = loads(effects).remove(0);
    let effects = bench.event(loaded(parcel, sequences));
    assert!(effects.contains(&Effect::Send { parcel, route: by }), "{effects:?}");
    parcel
}

fn custody(bench: &mut Bench, parcel: ParcelNo, answer: CustodyAnswer) -> Vec<Effect> {
    bench.event(Event::CustodyArrived { parcel, answer })
}

/// The relay says that it holds the parcel, and that is written.
fn held(bench: &mut Bench, parcel: ParcelNo) -> Vec<Effect> {
    let effects = custody(bench, parcel, CustodyAnswer::Held);
    let until = bench.now.saturating_add(bench.courier.settings.custody_patience);
    let Some(Effect::KeepCustody { parcel: kept, marks }) = effects.first() else { panic!() };
    assert_eq!(*kept, parcel);
    assert!(marks.iter().all(|mark| *mark == Mark::InCustody(mark.sequence(), until)));
    bench.event(Event::Kept { parcel })
}

#[test]
fn after_three_failures_the_next_route_is_tried_as_well() {
    let mut bench = troubled(all(), settings(1, 9), 2);
    assert_eq!(bench.courier.status().route, Some(OWN));
    let effects = bench.event(up(OWN));
    let parcel = sent(&mut bench, &effects, OWN);
    held(&mut bench, parcel);
    let status = bench.courier.status();
    assert_eq!((status.in_custody, status.unsettled, status.in_flight), (2, 2, 0));
    assert_eq!((status.route, status.breaker), (Some(OWN), Breaker::Closed));
    // Nothing but the recipient's receipt settles it.
    assert_eq!(bench.courier.lane().settled_through(), LaneSeq::BEFORE_FIRST);
    let marks = [1, 2].map(|n| Mark::Settled(LaneSeq::new(n))).to_vec();
    bench.event(Event::Marked { marks });
    let status = bench.courier.status();
    assert_eq!((status.unsettled, status.in_custody, status.next_try), (0, 0, None));
}

#[test]
fn a_route_without_a_link_is_not_waited_for_long() {
    let mut bench = Bench::new(settings(1, 9));
    bench.event(Event::RoutesChanged { routes: all() });
    assert_eq!(bench.event(mail_through(1)), [CONNECT, bench.wake_in(10_000)]);
    bench.pass(10_000);
    assert_eq!(connects(&bench.event(Event::Woken)), [OWN]);
    bench.pass(10_000);
    assert_eq!(connects(&bench.event(Event::Woken)), [PEER]);
    bench.pass(10_000);
    // The direct try itself has a limit, too.
    assert_eq!(disconnects(&bench.event(Event::Woken)), [Route::Direct]);
}

#[test]
fn the_direct_route_is_tried_on_and_taken_when_it_stands() {
    let mut bench = troubled(all(), settings(1, 1), 1);
    let effects = bench.event(up(OWN));
    let parcel = sent(&mut bench, &effects, OWN);
    // With mail at hand the direct route is tried again beside the relay.
    bench.pass(800);
    assert_eq!(connects(&bench.event(mail_through(2))), [Route::Direct]);
    let effects = bench.event(up(Route::Direct));
    assert_eq!(bench.courier.status().route, Some(Route::Direct));
    // What the relay has not yet answered is waited for; then the relay is let go.
    assert!(disconnects(&effects).is_empty());
    sent(&mut bench, &effects, Route::Direct);
    let effects = custody(&mut bench, parcel, CustodyAnswer::Held);
    assert_eq!(disconnects(&effects), [OWN]);
    bench.event(Event::Kept { parcel });
    assert_eq!(bench.courier.status().in_custody, 1);
}

#[test]
fn a_try_of_the_direct_route_is_never_far_while_there_are_others() {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(80_000)).unwrap();
    let mut bench = Bench::new(CourierSettings { backoff, ..settings(1, 9) });
    bench.event(Event::RoutesChanged { routes: Routes::direct().with(PEER) });
    bench.event(mail_through(1));
    for _ in 0..20 {
        bench.event(lost(Route::Direct));
        bench.event(lost(PEER));
        bench.pass(60_000);
        assert!(connects(&bench.event(Event::Woken)).contains(&Route::Direct));
    }
    // Alone it waits as long as it was told to.
    let mut bench = Bench::new(CourierSettings { backoff, ..settings(1, 9) });
    bench.event(mail_through(1));
    for _ in 0..20 {
        bench.event(lost(Route::Direct));
        bench.pass(80_000_000);
        bench.event(Event::Woken);
    }
    assert_eq!(bench.event(lost(Route::Direct)), [bench.wake_in(80_000_000)]);
}

#[test]
fn what_a_relay_holds_for_too_long_goes_another_way() {
    let mut bench = troubled(all(), settings(1, 9), 2);
    let effects = bench.event(up(OWN));
    let parcel = sent(&mut bench, &effects, OWN);
    held(&mut bench, parcel);
    bench.pass(3_599_999);
    assert!(loads(&bench.event(Event::Woken)).is_empty());
    bench.pass(1);
    // The relay stands, but there is another one to hope for.
    let effects = bench.event(Event::Woken);
    assert_eq!(connects(&effects), [Route::Direct, PEER]);
    assert!(loads(&effects).is_empty());
    let effects = bench.event(up(PEER));
    assert_eq!(asked(&effects), [vec![1, 2]]);
    let parcel = sent(&mut bench, &effects, PEER);
    held(&mut bench, parcel);
    // In time the first relay is trusted again.
    bench.pass(3_599_000);
    bench.event(mail_through(3));
    assert_eq!(bench.courier.status().route, Some(PEER));
    bench.pass(2000);
    bench.event(Event::Woken);
    assert_eq!(bench.courier.status().route, Some(OWN));
}

#[test]
fn the_only_relay_is_offered_it_again() {
    let mut bench = troubled(Routes::direct().with(OWN), settings(1, 9), 1);
    let effects = bench.event(up(OWN));
    let parcel = sent(&mut bench, &effects, OWN);
    held(&mut bench, parcel);
    bench.pass(3_600_000);
    let effects = bench.event(Event::Woken);
    sent(&mut bench, &effects, OWN);
}

#[test]
fn a_restart_leaves_alone_what_a_relay_holds() {
    let mut lane = LaneOut::new(LaneEpoch::new(1));
    lane.assigned_through(LaneSeq::new(3));
    let until = NOW.saturating_add(Duration::from_secs(60));
    lane.apply([1, 2].map(|n| Mark::InCustody(LaneSeq::new(n), until)));
    let mut bench = Bench { courier: Courier::new(settings(1, 9), lane, all()), now: NOW };
    bench.event(Event::Woken);
    assert_eq!(asked(&bench.event(up(Route::Direct))), [vec![3]]);
    assert_eq!(bench.courier.status().in_custody, 2);
    bench.event(lost(Route::Direct));
    bench.pass(60_000);
    bench.event(Event::Woken);
    // First what has waited, then what is new.
    assert_eq!(asked(&bench.event(up(Route::Direct))), [vec![1, 2]]);
}

#[test]
fn a_parcel_that_a_relay_refuses_holds_up_no_other() {
    let mut bench = troubled(Routes::direct().with(OWN), settings(1, 1), 2);
    let effects = bench.event(up(OWN));
    let parcel = sent(&mut bench, &effects, OWN);
    let effects = custody(&mut bench, parcel, CustodyAnswer::Refused);
    assert_eq!(asked(&effects), [vec![2]]);
    let parcel = sent(&mut bench, &effects, OWN);
    assert!(loads(&held(&mut bench, parcel)).is_empty());
    bench.pass(9_999);
    assert!(loads(&bench.event(Event::Woken)).is_empty());
    bench.pass(1);
    assert_eq!(asked(&bench.event(Event::Woken)), [vec![1]]);
}

#[test]
fn a_relay_that_refuses_is_avoided() {
    let mut bench = troubled(all(), settings(1, 9), 1);
    let effects = bench.event(up(OWN));
    let parcel = sent(&mut bench, &effects, OWN);
    let effects = custody(&mut bench, parcel, CustodyAnswer::Refused);
    assert!(loads(&effects).is_empty());
    bench.pass(10_000);
    assert_eq!(connects(&bench.event(Event::Woken)), [Route::Direct, PEER]);
    let effects = bench.event(up(PEER));
    sent(&mut bench, &effects, PEER);
}

#[test]
fn what_comes_no_further_takes_another_way_after_a_pause() {
    let mut bench = troubled(all(), settings(1, 9), 2);
    let effects = bench.event(up(OWN));
    let parcel = sent(&mut bench, &effects, OWN);
    held(&mut bench, parcel);
    let again = bench.now.saturating_add(bench.courier.settings.turned_back_pause(0));
    let marks = [1, 2].map(|n| Mark::Deferred(LaneSeq::new(n), again)).to_vec();
    bench.event(Event::TurnedBack { by: Some(OWN), marks });
    assert_eq!(bench.courier.status().in_custody, 0);
    bench.pass(9_999);
    assert!(loads(&bench.event(Event::Woken)).is_empty());
    bench.pass(1);
    let effects = bench.event(Event::Woken);
    // The relay stands, but what it took came no further.
    assert_eq!((connects(&effects), loads(&effects).len()), (vec![Route::Direct, PEER], 0));
    let effects = bench.event(up(PEER));
    assert_eq!(asked(&effects), [vec![1, 2]]);
    sent(&mut bench, &effects, PEER);
}

#[test]
fn the_pause_doubles_up_to_the_patience_with_a_carrier() {
    let pause = |times| settings(1, 9).turned_back_pause(times).as_secs();
    assert_eq!([0, 1, 2, 8].map(pause), [10, 20, 40, 2_560]);
    assert_eq!([9, 31, 32, u32::MAX].map(pause), [3_600; 4]);
}

#[test]
fn a_busy_relay_is_left_alone_and_another_is_asked() {
    let mut bench = troubled(all(), settings(1, 9), 1);
    let effects = bench.event(up(OWN));
    let parcel = sent(&mut bench, &effects, OWN);
    let until = bench.now.saturating_add(Duration::from_secs(600));
    let effects = custody(&mut bench, parcel, CustodyAnswer::Deferred { until });
    assert_eq!((connects(&effects), loads(&effects).len()), (vec![PEER], 0));
    bench.event(lost(PEER));
    // Nothing else stands when its time has come.
    bench.pass(600_000);
    let effects = bench.event(Event::Woken);
    assert_eq!(asked(&effects), [vec![1]]);
    sent(&mut bench, &effects, OWN);
}

#[test]
fn a_recipient_is_no_relay() {
    let (mut bench, effects) = Bench::linked(settings(1, 9), 1);
    let parcel = sent(&mut bench, &effects, Route::Direct);
    let effects = custody(&mut bench, parcel, CustodyAnswer::Held);
    assert_eq!(disconnects(&effects), [Route::Direct]);
    assert_eq!(bench.courier.status().in_custody, 0);
}

#[test]
fn a_route_that_is_gone_gives_its_mail_back() {
    let (mut bench, effects) = Bench::linked(settings(1, 9), 2);
    sent(&mut bench, &effects, Route::Direct);
    let routes = Routes::none().with(PEER);
    let effects = bench.event(Event::RoutesChanged { routes });
    assert_eq!((disconnects(&effects), connects(&effects)), (vec![Route::Direct], vec![PEER]));
    let effects = bench.event(up(PEER));
    assert_eq!(asked(&effects), [vec![1, 2]]);
    // Without any route there is nothing to do, and nothing is forgotten.
    bench.event(Event::RoutesChanged { routes: Routes::none() });
    let status = bench.courier.status();
    assert_eq!((status.route, status.unsettled, status.next_try), (None, 2, None));
    // A link that nobody asked for is none.
    bench.event(up(Route::Direct));
    let effects = bench.event(Event::RoutesChanged { routes: all() });
    assert_eq!(connects(&effects), [Route::Direct]);
}

#[test]
fn an_announced_pause_holds_all_mail() {
    let mut bench = Bench::new(settings(1, 9));
    let until = bench.now.saturating_add(Duration::from_secs(7200));
    bench.event(Event::HoldUntil { until: Some(until) });
    assert_eq!(bench.event(mail_through(1)), [Effect::WakeAt(until)]);
    assert_eq!(bench.courier.status().held_until, Some(until));
    let again = bench.event(Event::HoldUntil { until: None });
    assert_eq!(connects(&again), [Route::Direct]);
    // What is announced for ever lasts a day.
    bench.event(lost(Route::Direct));
    let effects = bench.event(Event::HoldUntil { until: Some(UnixMillis::new(u64::MAX)) });
    assert_eq!(effects, [bench.wake_in(86_400_000)]);
    bench.pass(86_400_000);
    assert_eq!(connects(&bench.event(Event::Woken)), [Route::Direct]);
}

#[test]
fn the_breaker_opens_with_failures() {
    let mut bench = Bench::new(settings(1, 9));
    assert_eq!(bench.courier.status().breaker, Breaker::Closed);
    bench.event(mail_through(1));
    assert_eq!(bench.courier.status().breaker, Breaker::Closed);
    bench.event(lost(Route::Direct));
    let until = bench.now.saturating_add(Duration::from_millis(200));
    assert_eq!(bench.courier.status().breaker, Breaker::Open { until });
    bench.pass(200);
    bench.event(Event::Woken);
    assert_eq!(bench.courier.status().breaker, Breaker::HalfOpen);
    bench.event(up(Route::Direct));
    assert_eq!(bench.courier.status().breaker, Breaker::Closed);
}

#[test]
fn a_word_by_another_way_counts_while_a_parcel_is_on_its_way() {
    let (mut bench, effects) = Bench::linked(settings(1, 9), 3);
    sent(&mut bench, &effects, Route::Direct);
    let until = bench.now.saturating_add(Duration::from_secs(50));
    let marks = vec![
        Mark::Settled(LaneSeq::new(1)),
        Mark::InCustody(LaneSeq::new(2), until),
        Mark::Deferred(LaneSeq::new(3), until),
    ];
    bench.event(Event::Marked { marks });
    bench.event(lost(Route::Direct));
    bench.pass(200);
    assert!(connects(&bench.event(Event::Woken)).is_empty());
    bench.pass(49_800);
    bench.event(Event::Woken);
    assert_eq!(asked(&bench.event(up(Route::Direct))), [vec![2, 3]]);
}

//! Behaviour of one courier, event by event.

mod priority;
mod routes;

use std::time::Duration;

use domain::reason::Reason;

use super::*;
use crate::backoff::Backoff;
use crate::lane::LANE_WINDOW;
use crate::lane::LaneEpoch;
use crate::lane::Mark;
use crate::receipt::Outcome;
use crate::samples::NOW;

/// Jitter at its longest, so that waits are the bounds.
const LONGEST: u64 = u64::MAX;
const CONNECT: Effect = Effect::Connect { route: Route::Direct };
const DISCONNECT: Effect = Effect::Disconnect { route: Route::Direct };
const LINK_LOST: Event = Event::LinkLost { route: Route::Direct };

/// All that the journal gives is whole.
fn loaded(parcel: ParcelNo, sequences: SeqRuns) -> Event {
    Event::Loaded { parcel, sequences, unreadable: SeqRuns::new() }
}

struct Bench {
    courier: Courier,
    now: UnixMillis,
}

impl Bench {
    fn new(settings: CourierSettings) -> Self {
        let courier = Courier::new(settings, LaneOut::new(LaneEpoch::new(1)), Routes::direct());
        Self { courier, now: NOW }
    }

    /// A courier with a link and so many messages that it has been told of.
    fn linked(settings: CourierSettings, mail: u64) -> (Self, Vec<Effect>) {
        let mut bench = Self::new(settings);
        assert_eq!(bench.event(mail_through(mail)), [CONNECT, bench.wake_in(30_000)]);
        let effects = bench.event(Event::LinkUp { route: Route::Direct, window_parcels: 100 });
        (bench, effects)
    }

    /// What the courier wants then. A question for deadlines is answered at once: first come, first due.
    fn event(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = self.unanswered(event);
        while let Some(at) = effects.iter().position(|e| matches!(e, Effect::Look { .. })) {
            let Effect::Look { sequences } = effects.swap_remove(at) else { unreachable!() };
            let deadlines = sequences.iter().map(|s| (s, UnixMillis::new(s.get()))).collect();
            let more = self.unanswered(Event::Looked { deadlines });
            effects.retain(|effect| !more.contains(effect));
            effects.extend(more);
        }
        effects
    }

    fn unanswered(&mut self, event: Event) -> Vec<Effect> {
        let (courier, effects) = self.courier.clone().step(event, self.now, LONGEST);
        self.courier = courier;
        effects
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now.saturating_add(Duration::from_millis(millis));
    }

    fn wake_in(&self, millis: u64) -> Effect {
        Effect::WakeAt(self.now.saturating_add(Duration::from_millis(millis)))
    }

    /// Everything that was asked for is read.
    fn load(&mut self, effects: &[Effect]) -> Vec<ParcelNo> {
        let mut sent = Vec::new();
        for (parcel, sequences) in loads(effects) {
            let effects = self.event(loaded(parcel, sequences));
            assert!(effects.contains(&Effect::Send { parcel, route: Route::Direct }));
            sent.push(parcel);
        }
        sent
    }

    /// A receipt comes and is kept; what the courier wants then.
    fn answer(&mut self, parcel: ParcelNo, answers: Vec<Answer>) -> Vec<Effect> {
        let effects = self.event(Event::ReceiptArrived { parcel, answers });
        assert!(
            matches!(effects.first(), Some(Effect::Keep { parcel: kept, .. }) if *kept == parcel)
        );
        self.event(Event::Kept { parcel })
    }
}

fn mail_through(last: u64) -> Event {
    Event::Mail { through: LaneSeq::new(last) }
}

fn loads(effects: &[Effect]) -> Vec<(ParcelNo, SeqRuns)> {
    let load = |effect: &Effect| match effect {
        Effect::Load { parcel, sequences, bytes_max: _ } => Some((*parcel, sequences.clone())),
        Effect::Connect { .. }
        | Effect::Disconnect { .. }
        | Effect::Look { .. }
        | Effect::Send { .. }
        | Effect::Keep { .. }
        | Effect::KeepCustody { .. }
        | Effect::WakeAt(_) => None,
    };
    effects.iter().filter_map(load).collect()
}

fn asked(effects: &[Effect]) -> Vec<Vec<u64>> {
    let numbers = |(_, runs): &(ParcelNo, SeqRuns)| runs.iter().map(LaneSeq::get).collect();
    loads(effects).iter().map(numbers).collect()
}

fn deferred(until: UnixMillis, whole_peer: bool) -> Answer {
    Answer::Deferred { until, whole_peer }
}

fn settings(window_parcels: u32, envelopes_max: u32) -> CourierSettings {
    CourierSettings { window_parcels, envelopes_max, fill: 1, ..CourierSettings::default() }
}

#[test]
fn mail_goes_from_the_journal_to_a_kept_receipt() {
    let (mut bench, effects) = Bench::linked(settings(2, 3), 5);
    assert_eq!(asked(&effects), [vec![1, 2, 3], vec![4, 5]]);
    let parcels = bench.load(&effects);
    let marks = [1, 2, 3].map(|n| Mark::Settled(LaneSeq::new(n))).to_vec();
    let arrived = Event::ReceiptArrived { parcel: parcels[0], answers: vec![Answer::Final; 3] };
    let keep = Effect::Keep { parcel: parcels[0], marks };
    assert_eq!(bench.event(arrived.clone()).first(), Some(&keep));
    // Not settled before it is on disk, and a repeated receipt is not kept twice.
    assert_eq!(bench.courier.lane().settled_through(), LaneSeq::BEFORE_FIRST);
    assert!(!bench.event(arrived).contains(&keep));
    bench.event(Event::Kept { parcel: parcels[0] });
    assert_eq!(bench.courier.lane().settled_through().get(), 3);
    bench.answer(parcels[1], vec![Answer::Final; 2]);
    assert_eq!(bench.courier.lane().waiting(), 0);
    assert_eq!(bench.courier.status().next_try, None);
}

#[test]
fn nothing_is_settled_without_a_receipt_that_fits() {
    let (mut bench, effects) = Bench::linked(settings(1, 9), 2);
    let parcel = bench.load(&effects)[0];
    bench.event(Event::Kept { parcel });
    assert_eq!(bench.courier.lane().waiting(), 2);
    let effects = bench.event(Event::ReceiptArrived { parcel, answers: vec![Answer::Final] });
    assert_eq!(effects, [DISCONNECT, bench.wake_in(200)]);
    assert_eq!(bench.courier.lane().waiting(), 2);
}

#[test]
fn a_lost_link_brings_everything_back_and_waits_longer_each_time() {
    let (mut bench, effects) = Bench::linked(settings(4, 2), 5);
    bench.load(&effects[..2]);
    let mut bound = 200;
    for _ in 0..12 {
        assert_eq!(bench.event(LINK_LOST), [bench.wake_in(bound)]);
        assert_eq!(bench.courier.status().in_flight, 0);
        bench.pass(bound);
        assert_eq!(bench.event(Event::Woken)[0], CONNECT);
        bound = (bound * 2).min(60_000);
    }
    let effects = bench.event(Event::LinkUp { route: Route::Direct, window_parcels: 100 });
    assert_eq!(asked(&effects), [vec![1, 2], vec![3, 4], vec![5]]);
    // A standing link alone does not make the waits short again; a kept receipt does.
    assert_eq!(bench.courier.status().failures, 12);
    let parcel = bench.load(&effects)[0];
    bench.answer(parcel, vec![Answer::Final; 2]);
    assert_eq!(bench.courier.status().failures, 0);
    assert_eq!(bench.event(LINK_LOST), [bench.wake_in(200)]);
}

#[test]
fn a_peer_that_calls_is_called_back_soon() {
    let (mut bench, _) = Bench::linked(settings(1, 9), 1);
    // After many failures it would be a minute. Not at once: the other end does the same.
    for _ in 0..12 {
        bench.event(LINK_LOST);
        bench.pass(60_000);
        bench.event(Event::Woken);
    }
    bench.event(LINK_LOST);
    assert_eq!(bench.event(Event::PeerSeen), [bench.wake_in(200)]);
    bench.pass(200);
    assert_eq!(bench.event(Event::Woken)[0], CONNECT);
    assert!(bench.event(Event::PeerSeen).is_empty());
    // Without mail there is nothing to call for.
    assert!(Bench::new(settings(1, 9)).event(Event::PeerSeen).is_empty());
}

#[test]
fn a_receipt_or_a_link_that_does_not_come_ends_the_patience() {
    let (mut bench, effects) = Bench::linked(settings(1, 9), 1);
    bench.load(&effects);
    bench.pass(29_999);
    assert!(!bench.event(Event::Woken).contains(&DISCONNECT));
    bench.pass(1);
    assert_eq!(bench.event(Event::Woken), [DISCONNECT, bench.wake_in(200)]);
    bench.pass(200);
    assert_eq!(bench.event(Event::Woken), [CONNECT, bench.wake_in(30_000)]);
    bench.pass(30_000);
    assert_eq!(bench.event(Event::Woken), [DISCONNECT, bench.wake_in(400)]);
}

#[test]
fn the_smaller_window_counts() {
    let mut bench = Bench::new(settings(5, 1));
    bench.event(mail_through(9));
    assert_eq!(
        asked(&bench.event(Event::LinkUp { route: Route::Direct, window_parcels: 2 })).len(),
        2
    );
    assert_eq!(asked(&Bench::linked(settings(5, 1), 9).1).len(), 5);
    let mut bench = Bench::new(settings(0, 0));
    bench.event(mail_through(9));
    assert_eq!(
        asked(&bench.event(Event::LinkUp { route: Route::Direct, window_parcels: 0 })),
        [vec![1]]
    );
}

#[test]
fn while_a_parcel_is_on_its_way_the_next_one_fills_up() {
    let (mut bench, effects) = Bench::linked(CourierSettings { fill: 3, ..settings(4, 8) }, 1);
    assert_eq!(asked(&effects), [vec![1]]);
    assert!(asked(&bench.event(mail_through(3))).is_empty());
    assert_eq!(asked(&bench.event(mail_through(4))), [vec![2, 3, 4]]);
    assert!(asked(&bench.event(mail_through(5))).is_empty());
    let parcels = bench.load(&effects);
    assert!(asked(&bench.answer(parcels[0], vec![Answer::Final])).is_empty());
    let (parcel, sequences) = (ParcelNo(1), (2..=4).map(LaneSeq::new).collect());
    bench.event(loaded(parcel, sequences));
    assert_eq!(asked(&bench.answer(parcel, vec![Answer::Final; 3])), [vec![5]]);
}

#[test]
fn what_does_not_fit_goes_into_the_next_parcel() {
    let (mut bench, effects) = Bench::linked(settings(1, 9), 4);
    let (parcel, _) = loads(&effects)[0];
    let sequences = [1, 2].map(LaneSeq::new).into_iter().collect();
    assert!(
        bench
            .event(loaded(parcel, sequences))
            .contains(&Effect::Send { parcel, route: Route::Direct })
    );
    assert_eq!(asked(&bench.answer(parcel, vec![Answer::Final; 2])), [vec![3, 4]]);
}

#[test]
fn what_cannot_be_read_holds_up_nobody() {
    let (mut bench, effects) = Bench::linked(settings(1, 3), 7);
    let (parcel, _) = loads(&effects)[0];
    let (sequences, unreadable) =
        ([1, 3].map(LaneSeq::new).into_iter().collect(), SeqRuns::from_iter([LaneSeq::new(2)]));
    bench.event(Event::Loaded { parcel, sequences, unreadable });
    let effects = bench.answer(parcel, vec![Answer::Final; 2]);
    assert_eq!(asked(&effects), [vec![4, 5, 6]]);
    let (parcel, all) = loads(&effects)[0].clone();
    let effects = bench.event(Event::Loaded { parcel, sequences: SeqRuns::new(), unreadable: all });
    assert_eq!(asked(&effects), [vec![7]], "at once");
    let parcel = bench.load(&effects)[0];
    bench.answer(parcel, vec![Answer::Final]);
    assert_eq!(bench.courier.status().unsettled, 4);
    bench.pass(u64::try_from(CourierSettings::default().defer_max.as_millis()).unwrap());
    assert_eq!(asked(&bench.event(Event::Woken)), [vec![2, 4, 5]], "it may have been mended");
}

#[test]
fn a_journal_that_gives_nothing_is_asked_again_later() {
    let (mut bench, effects) = Bench::linked(settings(1, 9), 4);
    let (parcel, _) = loads(&effects)[0];
    let effects = bench.event(loaded(parcel, SeqRuns::new()));
    assert_eq!(effects, [bench.wake_in(200)]);
    assert!(bench.event(mail_through(5)).is_empty());
    bench.pass(200);
    assert_eq!(asked(&bench.event(Event::Woken)), [vec![1, 2, 3, 4, 5]]);
}

#[test]
fn one_that_is_put_off_does_not_hold_up_the_others() {
    let (mut bench, effects) = Bench::linked(settings(1, 1), 3);
    let until = bench.now.saturating_add(Duration::from_secs(60));
    let parcel = bench.load(&effects)[0];
    let effects = bench.answer(parcel, vec![deferred(until, false)]);
    assert_eq!(asked(&effects), [vec![2]]);
    let parcel = bench.load(&effects)[0];
    let effects = bench.answer(parcel, vec![Answer::Final]);
    let parcel = bench.load(&effects)[0];
    bench.answer(parcel, vec![Answer::Final]);
    assert_eq!(bench.courier.status().next_try, Some(until));
    bench.pass(60_000);
    assert_eq!(asked(&bench.event(Event::Woken)), [vec![1]]);
}

#[test]
fn old_and_new_mail_take_turns() {
    let (mut bench, effects) = Bench::linked(settings(1, 2), 4);
    let until = bench.now.saturating_add(Duration::from_secs(5));
    let parcel = bench.load(&effects)[0];
    let effects = bench.answer(parcel, vec![deferred(until, false); 2]);
    let parcel = bench.load(&effects)[0];
    let effects = bench.answer(parcel, vec![deferred(until, false); 2]);
    assert_eq!(effects, []);
    bench.pass(5000);
    let mut effects = bench.event(mail_through(8));
    let mut order = Vec::new();
    while let [numbers] = &asked(&effects)[..] {
        order.push(numbers.clone());
        let parcel = bench.load(&effects)[0];
        effects = bench.answer(parcel, vec![Answer::Final; 2]);
    }
    assert_eq!(order, [[1, 2], [5, 6], [3, 4], [7, 8]]);
}

#[test]
fn a_busy_peer_is_left_alone() {
    let (mut bench, effects) = Bench::linked(settings(1, 1), 100);
    let parcel = bench.load(&effects)[0];
    // It says "at once", which would be spinning.
    let effects = bench.answer(parcel, vec![deferred(bench.now, true)]);
    assert_eq!(effects, [bench.wake_in(1000)]);
    bench.pass(999);
    assert!(loads(&bench.event(mail_through(101))).is_empty());
    bench.pass(1);
    let effects = bench.event(Event::Woken);
    assert_eq!(loads(&effects).len(), 1);
    // It says "never", which is too long: mail asks again after an hour.
    let parcel = bench.load(&effects)[0];
    let effects = bench.answer(parcel, vec![deferred(UnixMillis::new(u64::MAX), true)]);
    assert_eq!(effects, [bench.wake_in(3_600_000)]);
}

#[test]
fn a_pause_and_a_lost_link_together_do_not_spin() {
    let (mut bench, effects) = Bench::linked(settings(1, 1), 3);
    let parcel = bench.load(&effects)[0];
    let until = bench.now.saturating_add(Duration::from_secs(600));
    bench.answer(parcel, vec![deferred(until, true)]);
    bench.event(LINK_LOST);
    bench.pass(300_000);
    assert_eq!(bench.event(Event::Woken), [Effect::WakeAt(until)]);
}

#[test]
fn no_more_is_offered_than_the_recipient_can_remember() {
    let (mut bench, effects) = Bench::linked(settings(1, 512), 10_000);
    let long = bench.now.saturating_add(Duration::from_secs(80_000));
    let parcel = bench.load(&effects)[0];
    let mut answers = vec![Answer::Final; 512];
    answers[0] = deferred(long, false);
    let mut effects = bench.answer(parcel, answers);
    let mut highest = 0;
    while let [(_, sequences)] = &loads(&effects)[..] {
        highest = sequences.iter().last().unwrap().get();
        let count = usize::try_from(sequences.count()).unwrap();
        let parcel = bench.load(&effects)[0];
        effects = bench.answer(parcel, vec![Answer::Final; count]);
    }
    assert_eq!(highest, LANE_WINDOW);
    bench.now = long;
    let effects = bench.event(Event::Woken);
    assert_eq!(asked(&effects), [vec![1]]);
    let parcel = bench.load(&effects)[0];
    assert_eq!(asked(&bench.answer(parcel, vec![Answer::Final]))[0][0], LANE_WINDOW + 1);
}

#[test]
fn what_was_settled_otherwise_is_not_offered() {
    let (mut bench, effects) = Bench::linked(settings(1, 2), 4);
    bench.load(&effects);
    bench.event(Event::Marked { marks: [2, 3].map(|n| Mark::Settled(LaneSeq::new(n))).to_vec() });
    bench.event(LINK_LOST);
    bench.pass(200);
    bench.event(Event::Woken);
    assert_eq!(
        asked(&bench.event(Event::LinkUp { route: Route::Direct, window_parcels: 1 })),
        [vec![1, 4]]
    );
}

#[test]
fn a_receipt_that_could_not_be_kept_leaves_its_parcel_unanswered() {
    let (mut bench, effects) = Bench::linked(settings(1, 9), 2);
    let parcel = bench.load(&effects)[0];
    bench.event(Event::ReceiptArrived { parcel, answers: vec![Answer::Final; 2] });
    assert_eq!(bench.event(Event::NotKept { parcel }), [bench.wake_in(200)]);
    assert!(bench.event(Event::NotKept { parcel }).is_empty());
    assert_eq!(bench.courier.status().unsettled, 2);
    bench.pass(200);
    assert_eq!(asked(&bench.event(Event::Woken)), [vec![1, 2]]);
}

#[test]
fn a_restart_knows_what_was_put_off_and_what_is_new() {
    let mut lane = LaneOut::new(LaneEpoch::new(1));
    (0..4).for_each(|_| assert!(lane.assign() > LaneSeq::BEFORE_FIRST));
    let until = NOW.saturating_add(Duration::from_secs(9));
    lane.apply([Mark::Settled(LaneSeq::new(3)), Mark::Deferred(LaneSeq::new(2), until)]);
    let mut bench =
        Bench { courier: Courier::new(settings(1, 9), lane, Routes::direct()), now: NOW };
    assert!(bench.event(Event::Woken).contains(&CONNECT));
    let effects = bench.event(Event::LinkUp { route: Route::Direct, window_parcels: 1 });
    assert_eq!(asked(&effects), [vec![1, 4]]);
    assert_eq!(bench.courier.status().next_try, Some(until));
}

#[test]
fn outcomes_become_answers() {
    let until = UnixMillis::new(5);
    let answer = |reason| Answer::from(&Outcome::Deferred { reason, until });
    assert_eq!(answer(Reason::Busy), deferred(until, true));
    assert_eq!(answer(Reason::Maintenance), deferred(until, true));
    assert_eq!(answer(Reason::UnknownCase), deferred(until, false));
    assert_eq!(answer(Reason::WindowExceeded), deferred(until, false));
    assert_eq!(Answer::from(&Outcome::Stored), Answer::Final);
    let refused = Outcome::Refused { reason: Reason::Expired, field: None };
    assert_eq!(Answer::from(&refused), Answer::Final);
}

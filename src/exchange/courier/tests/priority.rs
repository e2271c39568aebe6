//! A long queue goes by the deadline, a short one as it came.

use super::*;

fn looked(effects: &[Effect]) -> Option<SeqRuns> {
    effects.iter().find_map(|effect| match effect {
        Effect::Look { sequences } => Some(sequences.clone()),
        _ => None,
    })
}

/// Answers with deadlines, the later the earlier the message came.
fn reversed(bench: &mut Bench, sequences: &SeqRuns) -> Vec<Effect> {
    let due = |sequence: LaneSeq| UnixMillis::new(10_000 - sequence.get());
    let deadlines = sequences.iter().map(|sequence| (sequence, due(sequence))).collect();
    bench.unanswered(Event::Looked { deadlines })
}

/// A courier with a link and so much mail, and what it wants.
fn waiting(mail: u64) -> (Bench, Vec<Effect>) {
    let mut bench = Bench::new(settings(1, 3));
    bench.unanswered(mail_through(mail));
    let effects = bench.unanswered(Event::LinkUp { route: Route::Direct, window_parcels: 9 });
    (bench, effects)
}

#[test]
fn what_fits_in_one_parcel_is_not_looked_at() {
    let (_, effects) = waiting(3);
    assert_eq!((looked(&effects), asked(&effects)), (None, vec![vec![1, 2, 3]]));
}

#[test]
fn the_most_urgent_of_a_long_queue_go_first() {
    let (mut bench, effects) = waiting(8);
    assert_eq!(loads(&effects).len(), 0);
    let sequences = looked(&effects).unwrap();
    assert_eq!(sequences.count(), 8);
    // While the question waits nothing goes, and it is not asked twice.
    assert!(bench.unanswered(Event::Woken).is_empty());
    let effects = reversed(&mut bench, &sequences);
    assert_eq!(asked(&effects), [vec![6, 7, 8]]);
    let parcel = bench.load(&effects)[0];
    // What came meanwhile is asked for, and no more than that.
    bench.unanswered(mail_through(9));
    bench.unanswered(Event::ReceiptArrived { parcel, answers: vec![Answer::Final; 3] });
    let effects = bench.unanswered(Event::Kept { parcel });
    let sequences = looked(&effects).unwrap();
    assert_eq!(sequences.iter().map(LaneSeq::get).collect::<Vec<_>>(), [9]);
    let effects = reversed(&mut bench, &sequences);
    assert_eq!(asked(&effects), [vec![4, 5, 9]]);
    let parcel = bench.load(&effects)[0];
    // The rest fits in a parcel.
    assert_eq!(asked(&bench.answer(parcel, vec![Answer::Final; 3])), [vec![1, 2, 3]]);
}

#[test]
fn a_lost_link_while_a_question_waits_loses_nothing() {
    let (mut bench, effects) = waiting(8);
    let sequences = looked(&effects).unwrap();
    bench.unanswered(LINK_LOST);
    assert!(reversed(&mut bench, &sequences).is_empty());
    bench.pass(200);
    assert!(bench.unanswered(Event::Woken).contains(&CONNECT));
    let up = Event::LinkUp { route: Route::Direct, window_parcels: 9 };
    assert_eq!(asked(&bench.unanswered(up)), [vec![6, 7, 8]]);
}

#[test]
fn an_answer_that_says_nothing_is_no_reason_to_stop() {
    let (mut bench, effects) = waiting(8);
    assert!(looked(&effects).is_some());
    let effects = bench.unanswered(Event::Looked { deadlines: Vec::new() });
    assert_eq!(asked(&effects), [vec![1, 2, 3]]);
    // Late and repeated answers change nothing.
    assert!(bench.unanswered(Event::Looked { deadlines: Vec::new() }).is_empty());
}

#[test]
fn the_least_urgent_goes_before_the_window_ends() {
    let mut bench = Bench::new(settings(1, 512));
    bench.unanswered(mail_through(20_000));
    let mut effects = bench.unanswered(Event::LinkUp { route: Route::Direct, window_parcels: 9 });
    let mut before = 0;
    loop {
        if let Some(sequences) = looked(&effects) {
            // The first message is due last of all.
            let due = |s: LaneSeq| UnixMillis::new(if s == LaneSeq::FIRST { 9 } else { 1 });
            let deadlines = sequences.iter().map(|s| (s, due(s))).collect();
            effects = bench.unanswered(Event::Looked { deadlines });
        }
        let parcel = bench.load(&effects)[0];
        let (_, sequences) = loads(&effects).remove(0);
        if sequences.contains(LaneSeq::FIRST) {
            break;
        }
        before += sequences.count();
        let answers = vec![Answer::Final; usize::try_from(sequences.count()).unwrap()];
        bench.unanswered(Event::ReceiptArrived { parcel, answers });
        effects = bench.unanswered(Event::Kept { parcel });
    }
    assert!(before < LANE_WINDOW);
}

//! Every pair of state and step; and that the order in which messages come does not matter.

use proptest::prelude::*;

use super::*;
use crate::calendar;
use crate::time::Date;

fn area(text: &str) -> AreaCode {
    text.parse().unwrap()
}

fn id(n: u8) -> MessageId {
    MessageId::from_bytes([n; 16])
}

/// A moment on a day of November 2026; the 2nd is a Monday.
fn on(day: u64) -> UnixMillis {
    let first: Date = "2026-11-01".parse().unwrap();
    first.begins().saturating_add(std::time::Duration::from_secs((day - 1) * 86_400 + 36_000))
}

/// Residence, origin, a third county.
const A: &str = "440305";
const B: &str = "410522";
const C: &str = "330106";

fn step(n: u8, from: &str, to: &str, place: u32, day: u64, deed: Deed) -> Step {
    let (from, to) = (area(from), area(to));
    Step { id: id(n), from, to, step: place, created: on(day), deed }
}

fn opening(kind: Kind) -> Step {
    let due = kind.clock().map(|clock| clock.due(on(2)).at());
    step(1, A, B, 0, 2, Deed::Open { kind, due })
}

fn case(steps: &[Step]) -> Case {
    let mut case = Case::new(id(1).into());
    for step in steps {
        case.add(step.clone()).unwrap();
    }
    case
}

const QUESTION: Kind = Kind::Inquiry;
const ANSWER: Deed = Deed::Answer { kind: Kind::InquiryAnswer };

/// A case in each stage, with A asking and B answering.
fn in_stage(stage: Stage) -> Case {
    let clarify = step(2, B, A, 1, 3, Deed::Clarify);
    let more: &[Step] = match stage {
        Stage::Waiting => return case(&[clarify]),
        Stage::Offered => {
            let offer = Deed::Offer { seat: Seat::Answering, term: 2, until: on(9) };
            return case(&[step(2, B, C, 1, 3, offer)]);
        }
        Stage::Told => return case(&[opening(Kind::DepartureNotice)]),
        Stage::Asked => &[],
        Stage::Clarifying => &[clarify],
        Stage::Answered => &[step(2, B, A, 1, 3, ANSWER)],
        Stage::Rejected => &[step(2, B, A, 1, 3, Deed::Reject)],
        Stage::Voided => &[step(2, A, B, 1, 3, Deed::Void)],
        Stage::Closed => &[step(2, B, A, 1, 3, ANSWER), step(3, A, B, 2, 4, Deed::Close)],
    };
    let case = case(&[&[opening(QUESTION)], more].concat());
    assert_eq!(case.view().stage, stage);
    case
}

fn deeds() -> Vec<(&'static str, Deed)> {
    let seat = Seat::Answering;
    vec![
        ("open", Deed::Open { kind: QUESTION, due: None }),
        ("answer", ANSWER),
        ("document", Deed::Document { kind: Kind::BirthRegistrationResult }),
        ("remind", Deed::Remind),
        ("clarify", Deed::Clarify),
        ("clarification", Deed::Clarification { clarify: id(2) }),
        ("reject", Deed::Reject),
        ("correct", Deed::Correct { corrects: id(1) }),
        ("void", Deed::Void),
        ("close", Deed::Close),
        ("transfer", Deed::Transfer { seat, term: 2, area: area(C) }),
        ("offer", Deed::Offer { seat, term: 2, until: on(20) }),
        ("accept", Deed::Accept { seat, term: 2 }),
        ("withdraw", Deed::Withdraw { seat, term: 2, lapsed: false }),
    ]
}

/// What every stage says to every step: of the asking office, of the answering one, of a stranger. `+` allows it and
/// leaves the stage; a stage's name says where it leads; otherwise a reason: `H` NOT_HOLDER, `C` CASE_CLOSED,
/// `A` ALREADY_ANSWERED, `S` STATE_FORBIDS, `U` UNKNOWN_CASE. Acceptance and withdrawal are between the two offices of an
/// offer and are judged by that offer: they never lead anywhere by themselves.
const TABLE: &str = "
stage      | open  | answer       | document | remind | clarify        | clarification | reject         | correct   | void         | close        | transfer | offer | accept | withdraw
WAITING    | U U U | U U U        | U U U    | U U U  | U U U          | U U U         | U U U          | U U U     | U U U        | U U U        | U U U    | U U U | U U U  | U U U
OFFERED    | U U U | U U U        | U U U    | U U U  | U U U          | U U U         | U U U          | U U U     | U U U        | U U U        | U U U    | U U U | U U U  | U U U
TOLD       | S S H | H S H        | + + H    | S S H  | H S H          | S H H         | H S H          | + + H     | VOIDED H H   | S H H        | H + H    | H C H | + + +  | + + +
ASKED      | S S H | H ANSWERED H | + + H    | + H H  | H CLARIFYING H | S H H         | H REJECTED H   | + + H     | VOIDED H H   | S H H        | H + H    | H + H | + + +  | + + +
CLARIFYING | S S H | H ANSWERED H | + + H    | H + H  | H S H          | ASKED H H     | H REJECTED H   | + + H     | VOIDED H H   | S H H        | H + H    | H + H | + + +  | + + +
ANSWERED   | S S H | H A H        | + + H    | H + H  | H S H          | S H H         | H S H          | + + H     | A H H        | CLOSED H H   | H + H    | H + H | + + +  | + + +
REJECTED   | S S H | H S H        | + + H    | H + H  | H S H          | S H H         | H S H          | ASKED + H | VOIDED H H   | CLOSED H H   | H + H    | H + H | + + +  | + + +
VOIDED     | S S H | H C H        | + + H    | C C H  | H C H          | C H H         | H C H          | + + H     | C H H        | C H H        | H + H    | H C H | + + +  | + + +
CLOSED     | S S H | H C H        | + + H    | C C H  | H C H          | C H H         | H C H          | + + H     | C H H        | C H H        | H + H    | H C H | + + +  | + + +
";

fn expected(cell: &str, stage: Stage) -> Result<Stage, Reason> {
    match cell {
        "+" => Ok(stage),
        "H" => Err(Reason::NotHolder),
        "C" => Err(Reason::CaseClosed),
        "A" => Err(Reason::AlreadyAnswered),
        "S" => Err(Reason::StateForbids),
        "U" => Err(Reason::UnknownCase),
        stage => Ok(Stage::from_code(stage).unwrap()),
    }
}

#[test]
fn every_stage_answers_every_step_of_every_office() {
    let mut lines = TABLE.trim().lines().map(|line| line.split('|').map(str::trim));
    let head: Vec<_> = lines.next().unwrap().collect();
    let mut stages = Vec::new();
    for mut line in lines {
        let stage = Stage::from_code(line.next().unwrap()).unwrap();
        stages.push(stage);
        let before = in_stage(stage);
        let cells: Vec<_> = line.collect();
        assert_eq!(cells.len(), deeds().len(), "{stage:?}");
        for (at, (name, deed)) in deeds().into_iter().enumerate() {
            assert_eq!(head[at + 1], name);
            let who = cells[at].split_whitespace().zip([A, B, C]);
            assert_eq!(who.clone().count(), 3, "{stage:?} {name}");
            for (cell, who) in who {
                let may = before.may(area(who), deed);
                let mut after = before.clone();
                after.add(step(9, who, B, after.next_step(), 5, deed)).unwrap();
                let came = may.map(|()| after.view().stage);
                assert_eq!(came, expected(cell, stage), "{stage:?}: {name} by {who}");
                // What may not be done has no effect when it comes all the same.
                if may.is_err() && stage != Stage::Waiting {
                    assert_eq!(after.view().stage, stage, "{stage:?}: {name} by {who}");
                    assert_eq!(after.view().due, before.view().due);
                }
            }
        }
    }
    assert_eq!(stages, Stage::ALL);
}

#[test]
fn whose_turn_it_is_and_when_an_answer_is_due() {
    let due = |case: &Case| {
        case.view().due.unwrap().saturating_sub(std::time::Duration::from_millis(1)).date()
    };
    let asked = in_stage(Stage::Asked);
    assert_eq!(asked.view().holder(), Some(area(B)));
    assert_eq!(due(&asked), "2026-12-02".parse().unwrap());
    // Clarified from the 3rd to the 10th: seven days later.
    let clarified = case(&[
        opening(QUESTION),
        step(2, B, A, 1, 3, Deed::Clarify),
        step(3, A, B, 2, 10, Deed::Clarification { clarify: id(2) }),
    ]);
    assert_eq!(due(&clarified), "2026-12-09".parse().unwrap());
    assert_eq!(in_stage(Stage::Clarifying).view().holder(), Some(area(A)));
    assert_eq!(in_stage(Stage::Answered).view().holder(), Some(area(A)));
    assert_eq!(in_stage(Stage::Closed).view().holder(), None);
}

#[test]
fn working_days_are_prolonged_by_working_days() {
    // Asked on Monday the 2nd: five working days end on Monday the 9th. From Friday the 6th to Monday the 9th the
    // clock stands still for one working day, not for three.
    let case = case(&[
        opening(Kind::CertificateInquiry),
        step(2, B, A, 1, 6, Deed::Reject),
        step(3, A, B, 2, 9, Deed::Correct { corrects: id(1) }),
    ]);
    let due = case.view().due.unwrap().saturating_sub(std::time::Duration::from_millis(1)).date();
    assert_eq!(due, "2026-11-10".parse().unwrap());
    assert!(calendar::is_working_day(due));
}

#[test]
fn the_person_moves_again_and_nobody_asks_twice() {
    let mut moved = case(&[
        opening(QUESTION),
        step(2, A, C, 1, 3, Deed::Transfer { seat: Seat::Asking, term: 2, area: area(C) }),
    ]);
    let view = moved.view();
    assert_eq!(
        (view.asking, view.holder()),
        (Some(Held { area: area(C), term: 2 }), Some(area(B)))
    );
    // The origin answers once, to whoever asks now; the first county has left.
    moved.add(step(3, B, C, 2, 4, ANSWER)).unwrap();
    assert_eq!(moved.view().holder(), Some(area(C)));
    assert_eq!(moved.may(area(A), Deed::Close), Err(Reason::NotHolder));
    assert_eq!(moved.may(area(C), Deed::Close), Ok(()));
}

#[test]
fn what_refers_to_something_not_yet_here_waits() {
    let answer = step(3, C, A, 2, 4, ANSWER);
    let mut waits = case(&[opening(QUESTION), answer.clone()]);
    assert_eq!((waits.view().stage, waits.view().waiting), (Stage::Asked, vec![id(3)]));
    let forward = Deed::Transfer { seat: Seat::Answering, term: 2, area: area(C) };
    waits.add(step(2, B, A, 1, 3, forward)).unwrap();
    let view = waits.view();
    assert_eq!((view.stage, view.answer, view.waiting), (Stage::Answered, Some(id(3)), vec![]));
    let before_all = case(&[answer]);
    assert_eq!((before_all.view().stage, before_all.view().waiting), (Stage::Waiting, vec![id(3)]));
}

#[test]
fn a_case_takes_no_more_steps_than_it_may_have() {
    let mut full = case(&[opening(QUESTION)]);
    for n in 1..STEPS_MAX {
        let id = MessageId::from_bytes((u128::try_from(n).unwrap() << 8).to_be_bytes());
        full.add(Step { id, ..step(9, A, B, 1, 3, Deed::Remind) }).unwrap();
    }
    assert_eq!(full.add(step(9, A, B, 1, 3, Deed::Remind)), Err(Reason::TooLarge));
    assert_eq!(full.add(opening(QUESTION)), Ok(false), "a duplicate is harmless");
}

/// Any step of any office, also senseless ones.
fn any_step(n: u8) -> impl Strategy<Value = Step> {
    let deeds: Vec<_> = deeds().into_iter().map(|(_, deed)| deed).collect();
    let terms = (prop::sample::select(Seat::ALL), 1u32..4, prop::sample::select(vec![A, B, C]));
    let transfer = terms.prop_map(|(seat, term, to)| Deed::Transfer { seat, term, area: area(to) });
    let deed = prop_oneof![3 => prop::sample::select(deeds), 1 => transfer];
    let who = prop::sample::select(vec![A, B, C]);
    (who.clone(), who, 1u32..8, 2u64..20, deed)
        .prop_map(move |(from, to, place, day, deed)| step(n, from, to, place, day, deed))
}

proptest! {
    /// Whatever comes, in whatever order and however often, nodes agree on all of it.
    #[test]
    fn the_order_of_arrival_changes_nothing(
        steps in (2u8..12).prop_flat_map(|n| (2..2 + n).map(any_step).collect::<Vec<_>>()),
        order in any::<prop::sample::Index>(),
        doubled in any::<prop::sample::Index>(),
    ) {
        let mut all = steps;
        all.push(opening(QUESTION));
        let first = case(&all).view();
        let places = all.len();
        all.rotate_left(order.index(places));
        all.reverse();
        let double = doubled.get(&all).clone();
        all.push(double);
        prop_assert_eq!(case(&all).view(), first);
    }

    /// A side always has one holder, and its term counts the hand-overs.
    #[test]
    fn a_side_has_one_holder(
        steps in (2u8..12).prop_flat_map(|n| (2..2 + n).map(any_step).collect::<Vec<_>>()),
    ) {
        let mut all = steps;
        all.push(opening(QUESTION));
        let view = case(&all).view();
        for seat in Seat::ALL {
            let held = view.held(*seat).unwrap();
            prop_assert!(held.term >= 1);
            prop_assert!(view.sits(held.area, *seat));
        }
        let counted = view.idle.len() + view.waiting.len();
        prop_assert!(counted < all.len());
    }
}

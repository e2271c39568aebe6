//! Twenty days of two clerks in two counties, and of a third office that takes one case over: Monday 9 to Saturday 28
//! February 2026, with the Spring Festival in between (off from 15 to 23 February, worked on the Saturdays 14 and 28).
//!
//! Every call goes through the office API, typed at the command line; the nodes and the commands share one clock that the
//! test sets to ten o'clock of each day. What has to come of it was worked out by hand and stands in the tables below.

mod world;

use serde_json::Value;

use crate::support::eventually;
use crate::support::node::Node;
use world::{World, person};

/// Asks.
const RESIDENCE: &str = "440305";
/// Answers.
const ORIGIN: &str = "410522";
/// Takes the answering side of one case over, and the asking side of another.
const THIRD: &str = "411528";

/// Registration that notices name.
const REGISTRATION: &str = "01900000-0000-7000-8000-000000000001";

/// What is asked on which day, and by when it is to be answered: five working days for a certificate, fifteen for a birth
/// registration, thirty days for an arrival. After 13 February the next working days are 14, 24, 25, 26, 27 and 28.
const ASKED: &[(&str, &str, &str, &str)] = &[
    ("A", "02-09", "CertificateInquiry", "2026-02-14"), // 10, 11, 12, 13, 14
    ("B", "02-09", "ArrivalNotice", "2026-03-11"),
    ("D", "02-10", "BirthRegistrationInquiry", "2026-03-09"), // 11-14, 24-28, 2-6 March, 9 March
    ("F", "02-11", "CertificateInquiry", "2026-02-25"),       // 12, 13, 14, 24, 25
    ("G", "02-12", "CertificateInquiry", "2026-02-26"),       // 13, 14, 24, 25, 26
    ("C", "02-13", "CertificateInquiry", "2026-02-27"),       // 14, 24, 25, 26, 27
    ("H", "02-13", "CertificateInquiry", "2026-02-27"), // as C; the asking side goes to the third office
    ("K", "02-10", "CertificateInquiry", "2026-02-24"), // 11, 12, 13, 14, 24; answered while its clock stands still
];

/// D waits for a clarification from 12 to 24 February: the working days 13, 14 and 24. Three more after 9 March.
const D_DUE_AFTER_ITS_PAUSE: &str = "2026-03-12";
/// K waits for a clarification that never comes from 11 to 13 February, when it is answered: the working days 12 and 13. Two
/// more after 24 February.
const K_DUE_AFTER_ITS_PAUSE: &str = "2026-02-26";

/// On which day, how much of the clock, which case.
type Reminder = (&'static str, u64, &'static str);

/// Reminders at half, four fifths and all of a clock, on the day on which the offices find them in the morning. Whoever has
/// answered, was handed over, rejected or stands still is not reminded.
///
/// A: 134 hours from 9 February 10:00; half is 12 February 05:00; answered before the rest.
/// G: 350 hours from 12 February 10:00; half is 19 February 17:00, four fifths 24 February 02:00; rejected then.
/// C: 350 hours from 13 February 10:00; half is 20 February 17:00, four fifths 25 February 02:00, all 28 February 00:00.
/// D: 734 hours from 10 February 10:00 to the end of 12 March; half is 25 February 17:00.
/// B: 734 hours from 9 February 10:00; half is 24 February 17:00; answered that morning.
const REMINDERS: &[Reminder] = &[
    ("02-12", 50, "A"),
    ("02-20", 50, "G"),
    ("02-24", 80, "G"),
    ("02-25", 80, "C"),
    ("02-26", 50, "D"),
    ("02-28", 100, "C"),
];
/// At half of its clock nobody has opened C, which is opened on the 24th: the office that waits is told that instead.
const UNOPENED: &[Reminder] = &[("02-21", 50, "C")];
/// F: the third office has it from 13 February 10:00 on, 302 hours before the end of the 25th; half is 19 February 17:00,
/// four fifths 23 February 11:36; answered on the 24th. Whoever gave it away is not reminded.
const TAKEN_OVER: &[Reminder] = &[("02-20", 50, "F"), ("02-24", 80, "F")];
/// H: as C, but the third office waits since 14 February; answered on the 24th. Whoever has left is not told.
const WAITED_FOR: &[Reminder] = &[("02-21", 50, "H")];
/// Which office finds which reminders, and what they say.
const TOLD: &[(&str, &str, &[Reminder])] = &[
    (ORIGIN, "TO_ANSWER", REMINDERS),
    (ORIGIN, "TO_ANSWER", UNOPENED),
    (ORIGIN, "TO_ANSWER", WAITED_FOR),
    (RESIDENCE, "NOT_ANSWERED", REMINDERS),
    (RESIDENCE, "NOT_OPENED", UNOPENED),
    (RESIDENCE, "NOT_ANSWERED", TAKEN_OVER),
    (THIRD, "NOT_ANSWERED", WAITED_FOR),
    (THIRD, "TO_ANSWER", TAKEN_OVER),
];

/// Node, period, indicator, whose office, kind, numerator, denominator.
type Expected = (&'static str, &'static str, &'static str, &'static str, &'static str, u64, u64);
const INDICATORS: &[Expected] = &[
    // The month of February closes on the 20th. A, C, F, G, H and K were opened within five days, but for C.
    (ORIGIN, "2026-02", "OPENING", ORIGIN, "CertificateInquiry", 5, 6),
    (ORIGIN, "2026-02", "OPENING", ORIGIN, "ArrivalNotice", 1, 1),
    // One person was found for A, C and K; F had moved, and nobody looked for G and H.
    (ORIGIN, "2026-02", "PAIRING", ORIGIN, "CertificateInquiry", 3, 6),
    (ORIGIN, "2026-02", "PAIRING", ORIGIN, "BirthRegistrationInquiry", 1, 1),
    (ORIGIN, "2026-02", "PAIRING", ORIGIN, "ArrivalNotice", 0, 1),
    // Only the clock of A ended in it; A was answered in time, and so was K.
    (ORIGIN, "2026-02", "FEEDBACK", ORIGIN, "CertificateInquiry", 1, 1),
    (ORIGIN, "2026-02", "TIMELINESS", ORIGIN, "CertificateInquiry", 2, 2),
    (RESIDENCE, "2026-02", "TIMELINESS", ORIGIN, "CertificateInquiry", 2, 2),
    (RESIDENCE, "2026-02", "RECEPTION", ORIGIN, "CertificateInquiry", 6, 6),
    (RESIDENCE, "2026-02", "RECEPTION", ORIGIN, "BirthRegistrationInquiry", 1, 1),
    (RESIDENCE, "2026-02", "GAP", ORIGIN, "CertificateInquiry", 0, 6),
    // C was answered, a day late, and K is due by the 26th; G was taken back, F answered by another office, and of H this
    // office hears nothing any more; B and D came in time.
    (RESIDENCE, "2026-03", "FEEDBACK", ORIGIN, "CertificateInquiry", 2, 2),
    (RESIDENCE, "2026-03", "TIMELINESS", ORIGIN, "CertificateInquiry", 0, 1),
    (RESIDENCE, "2026-03", "FEEDBACK", ORIGIN, "ArrivalNotice", 1, 1),
    (RESIDENCE, "2026-03", "TIMELINESS", ORIGIN, "ArrivalNotice", 1, 1),
    (RESIDENCE, "2026-03", "TIMELINESS", ORIGIN, "BirthRegistrationInquiry", 1, 1),
    // The origin answered H in time and C late, and gave F away in time; the third office answered F in time, and waited
    // for H.
    (ORIGIN, "2026-03", "TIMELINESS", ORIGIN, "CertificateInquiry", 1, 2),
    (RESIDENCE, "2026-03", "TIMELINESS", THIRD, "CertificateInquiry", 1, 1),
    (THIRD, "2026-03", "TIMELINESS", THIRD, "CertificateInquiry", 1, 1),
    (THIRD, "2026-03", "FEEDBACK", THIRD, "CertificateInquiry", 1, 1),
    // A and K in time and C late, in the quarter and in the statistical year.
    (RESIDENCE, "2026-Q1", "TIMELINESS", ORIGIN, "CertificateInquiry", 2, 3),
    (RESIDENCE, "2026", "TIMELINESS", ORIGIN, "CertificateInquiry", 2, 3),
    // Three were registered, B, P and Q, and the origin was told of B. P and Q showed a certificate; that of P was checked.
    (RESIDENCE, "2026-02", "SUBMISSION", RESIDENCE, "", 1, 3),
    (RESIDENCE, "2026-02", "ENDORSEMENT", RESIDENCE, "", 1, 2),
    // P and Q applied on the 9th; Q had to wait until the 12th, two working days too long.
    (ORIGIN, "2026-02", "ISSUE", ORIGIN, "", 1, 2),
    // All six were drawn, and C was found to be wrong.
    (ORIGIN, "2026-02", "ACCURACY", ORIGIN, "CertificateInquiry", 5, 6),
];
/// What was sent to the third office when it was out of reach.
const WITHOUT_RECEIPT: Expected = (RESIDENCE, "2026-03", "GAP", THIRD, "ArrivalNotice", 1, 1);

#[test]
fn twenty_days_come_out_as_worked_out_by_hand() {
    let mut world = World::new();
    before_the_festival(&mut world);
    festival(&mut world);
    after_the_festival(&mut world);

    for node in [ORIGIN, RESIDENCE, THIRD] {
        let told = TOLD.iter().filter(|(at, ..)| *at == node);
        let mut expected: Vec<_> =
            told.flat_map(|(_, kind, all)| all.iter().map(|it| (*kind, *it))).collect();
        expected.sort_unstable();
        assert_eq!(world.reminders(node), expected, "reminders at {node}, and no others");
    }
    let found = INDICATORS.iter().map(|wanted| (wanted, world.indicator(*wanted)));
    let others: Vec<_> =
        found.filter(|(wanted, found)| *found != Some((wanted.5, wanted.6))).collect();
    assert!(others.is_empty(), "wanted, found: {others:#?}");
    world.nodes[2].kill();
    let notice = "ArrivalNotice --basis statutory-duty --purpose residence-registration";
    let about = format!("{} --set registration_id={REGISTRATION}", person("S"));
    world.clerk(
        RESIDENCE,
        &format!("message send {notice} --to {THIRD} {about} --set arrived_on=2026-02-20"),
    );
    assert_eq!(world.indicator(WITHOUT_RECEIPT), Some((WITHOUT_RECEIPT.5, WITHOUT_RECEIPT.6)));
    world.nodes.iter().for_each(Node::never_panicked);
}

fn before_the_festival(world: &mut World) {
    world.certificate("A", 1);
    world.arrives("B", "");
    world.ask(
        "B",
        &format!("--purpose residence-registration --set registration_id={REGISTRATION} --set arrived_on=2026-02-06"),
    );
    world.applies("P");
    world.applies("Q");
    let (hers, code) = world.is_given("P");
    world.open(ORIGIN, "A");
    world.open(ORIGIN, "B");
    world.step(ORIGIN, "A", "pair one");

    world.begin("02-10");
    world.ask(
        "D",
        "--purpose birth-registration --set application_number=SY-2026-1 --set children_stated=0",
    );
    world.open(ORIGIN, "D");
    world.step(ORIGIN, "D", "pair one");
    world.step(ORIGIN, "D", "verify");
    world.certificate("K", 5);
    world.open(ORIGIN, "K");
    world.step(ORIGIN, "K", "pair one");
    let registration = world.arrives("P", &format!("--certificate {hers}"));

    world.begin("02-11");
    world.certificate("F", 2);
    assert_eq!(world.todo(ORIGIN), ["A", "K", "F", "D", "B"], "earliest due first");
    world.step(ORIGIN, "K", "clarify 请补充证明编号");
    world.reaches(RESIDENCE, "K", "CLARIFYING");

    world.begin("02-12");
    world.certificate("G", 3);
    world.open(ORIGIN, "F");
    world.open(ORIGIN, "G");
    world.step(ORIGIN, "F", "pair moved");
    let offer = |cause, days| format!("hand-over --to {THIRD} --cause {cause} --days {days}");
    world.step(ORIGIN, "F", &offer("person-moved", 7));
    world.step(ORIGIN, "G", &offer("wrong-county", 3));
    world.step(ORIGIN, "D", "clarify 请补充结婚登记日期");
    world.reaches(RESIDENCE, "D", "CLARIFYING");
    world.reaches(THIRD, "F", "OFFERED");
    let checked =
        format!("certificate endorse --registration {registration} --credential-file {code}");
    assert_eq!(world.clerk(RESIDENCE, &checked)["endorsement"]["result"], "VALID");
    let (late, _) = world.is_given("Q");
    world.arrives("Q", &format!("--certificate {late}"));

    world.begin("02-13");
    world.certificate("C", 4);
    world.answer_certificate(ORIGIN, "A", 1);
    world.answer_certificate(ORIGIN, "K", 5);
    world.due(&[ORIGIN, RESIDENCE], "K", "ANSWERED", K_DUE_AFTER_ITS_PAUSE);
    world.step(THIRD, "F", "accept");
    // The same due day at all three, and one holder.
    let due = ASKED[3].3;
    eventually("F is handed over", || {
        let all = [THIRD, ORIGIN, RESIDENCE].map(|at| world.look(at, "F"));
        let fits = |shown: &Option<Value>| {
            shown.as_ref().is_some_and(|shown| shown["turn"] == THIRD && shown["due_on"] == due)
        };
        all.iter().all(fits).then_some(())
    });
    assert_eq!(world.todo(ORIGIN), ["G", "C", "B"], "A is answered, D waits, F is gone");
    assert_eq!(world.todo(THIRD)[..1], ["F"]);
    world.certificate("H", 6);
    world.open(ORIGIN, "H");

    world.begin("02-14");
    world.step(RESIDENCE, "A", "close");
    world.reaches(ORIGIN, "A", "CLOSED");
    // The person moves on: the third office waits for the answer from now on, and the origin knows.
    let offer = format!("hand-over --to {THIRD} --cause person-moved --days 7");
    world.step(RESIDENCE, "H", &offer);
    world.reaches(THIRD, "H", "OFFERED");
    world.step(THIRD, "H", "accept");
    eventually("the origin knows who waits for H", || {
        let asks = |at| world.look(at, "H").is_some_and(|shown| shown["asking"] == THIRD);
        (asks(THIRD) && asks(ORIGIN)).then_some(())
    });
}

fn festival(world: &mut World) {
    world.begin("02-15");
    world.begin("02-16");
    // Nobody has accepted G within its three days: it stays where it is.
    eventually("the offer of G has lapsed", || {
        let shown = world.look(ORIGIN, "G")?;
        let state = shown["hand_over"]["state"].as_str()?.to_owned();
        (["LAPSED", "WITHDRAWN"].contains(&state.as_str()) && shown["turn"] == ORIGIN).then_some(())
    });
    let line = world.by_the_page(THIRD, "G", "case accept");
    let (exit, _, err) = world.type_as(&world.clerks[THIRD], &line);
    assert!(exit == 3 && !err.is_empty(), "too late: {exit} {err}");
    for day in ["02-17", "02-18", "02-19", "02-20", "02-21", "02-22", "02-23"] {
        world.begin(day);
    }
    assert_eq!(world.todo(ORIGIN), ["G", "C", "H", "B"]);
}

fn after_the_festival(world: &mut World) {
    world.begin("02-24");
    world.open(ORIGIN, "C");
    world.step(ORIGIN, "C", "pair one");
    world.step(ORIGIN, "B", "answer --set outcome=confirmed");
    world.reaches(RESIDENCE, "B", "ANSWERED");
    world.step(RESIDENCE, "D", "clarification 未婚，无结婚登记");
    world.due(&[ORIGIN, RESIDENCE], "D", "ASKED", D_DUE_AFTER_ITS_PAUSE);
    world.step(ORIGIN, "G", "reject --reason 证明编号与所附材料不一致，请核对");
    world.reaches(RESIDENCE, "G", "REJECTED");
    world.answer_certificate(THIRD, "F", 2);
    let valid = "--set state=valid --set valid_until=2028-06-30";
    let answer = format!("answer --set certificate_number={} {valid}", world::certificate(6));
    world.step(ORIGIN, "H", &answer);
    world.reaches(THIRD, "H", "ANSWERED");

    world.begin("02-25");
    world.step(RESIDENCE, "G", "void --reason 编号有误，撤回");
    world.reaches(ORIGIN, "G", "VOIDED");

    world.begin("02-26");
    world.step(RESIDENCE, "C", "remind");
    eventually("the reminder is here", || {
        let shown = world.look(ORIGIN, "C")?;
        shown["steps"].as_array()?.iter().any(|step| step["kind"] == "Remind").then_some(())
    });
    assert_eq!(world.todo(ORIGIN), ["C", "D"]);

    world.begin("02-27");
    world.step(
        ORIGIN,
        "D",
        "answer --set outcome=confirmed --set marital_status=never-married --set children=0",
    );
    world.reaches(RESIDENCE, "D", "ANSWERED");

    world.begin("02-28");
    for at in [ORIGIN, RESIDENCE] {
        assert_eq!(world.look(at, "C").unwrap()["late"], true, "the 27th was its last day");
    }
    world.answer_certificate(ORIGIN, "C", 4);
    assert_eq!(world.todo(ORIGIN), [""; 0], "nothing is left to do");
    recheck(world);
}

/// The supervisor of the origin draws from the questions of the month; what was said about C was wrong.
fn recheck(world: &World) {
    let draw = "draw begin 2026-02 --from received --kind CertificateInquiry --size 6";
    let begun = world.supervisor(ORIGIN, draw);
    let draw = begun["draw_id"].as_str().unwrap();
    let published = world.supervisor(ORIGIN, &format!("draw publish {draw}"));
    let ids = published["sample"].as_array().unwrap().iter().map(|item| &item["id"]);
    for id in ids.map(|id: &Value| id.as_str().unwrap()) {
        let right = id != world.cases["C"];
        world.supervisor(ORIGIN, &format!("draw record {draw} {id} --right {right}"));
    }
}

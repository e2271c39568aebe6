//! Twenty days of two clerks in two counties, and of a third office that takes one case over: Monday 9 to Saturday 28
//! February 2026, with the Spring Festival in between (off from 15 to 23 February, worked on the Saturdays 14 and 28).
//!
//! Every call goes through the office API, typed at the command line; the nodes and the commands share one clock that the
//! test sets to ten o'clock of each day. What has to come of it was worked out by hand and stands in the tables below.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use domain::access::Role;
use domain::id::CertificateNumber;
use domain::time::{Date, UnixMillis};
use liangdi::cli::connect::ConnectArgs;
use serde_json::Value;

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{area, eventually, now, office};

/// Asks.
const RESIDENCE: &str = "440305";
/// Answers.
const ORIGIN: &str = "410522";
/// Takes a case over.
const THIRD: &str = "411528";

/// What is asked on which day, and by when it is to be answered: five working days for a certificate, fifteen for a birth
/// registration, thirty days for an arrival. After 13 February the next working days are 14, 24, 25, 26, 27 and 28.
const ASKED: &[(&str, &str, &str, &str)] = &[
    ("A", "02-09", "CertificateInquiry", "2026-02-14"), // 10, 11, 12, 13, 14
    ("B", "02-09", "ArrivalNotice", "2026-03-11"),
    ("D", "02-10", "BirthRegistrationInquiry", "2026-03-09"), // 11-14, 24-28, 2-6 March, 9 March
    ("F", "02-11", "CertificateInquiry", "2026-02-25"),       // 12, 13, 14, 24, 25
    ("G", "02-12", "CertificateInquiry", "2026-02-26"),       // 13, 14, 24, 25, 26
    ("C", "02-13", "CertificateInquiry", "2026-02-27"),       // 14, 24, 25, 26, 27
];

/// D waits for a clarification from 12 to 24 February: the working days 13, 14 and 24. Three more after 9 March.
const D_DUE_AFTER_ITS_PAUSE: &str = "2026-03-12";

/// Reminders at half, four fifths and all of a clock, on the day on which the offices find them in the morning. Whoever has
/// answered, was handed over, rejected or stands still is not reminded.
///
/// A: 134 hours from 9 February 10:00; half is 12 February 05:00; answered before the rest.
/// G: 350 hours from 12 February 10:00; half is 19 February 17:00, four fifths 24 February 02:00; rejected then.
/// C: 350 hours from 13 February 10:00; half is 20 February 17:00, four fifths 25 February 02:00, all 28 February 00:00.
/// D: 734 hours from 10 February 10:00 to the end of 12 March; half is 25 February 17:00.
/// B: 734 hours from 9 February 10:00; half is 24 February 17:00; answered that morning.
const REMINDERS: &[(&str, u64, &str)] = &[
    ("02-12", 50, "A"),
    ("02-20", 50, "G"),
    ("02-21", 50, "C"),
    ("02-24", 80, "G"),
    ("02-25", 80, "C"),
    ("02-26", 50, "D"),
    ("02-28", 100, "C"),
];
/// The same reminders at the office that waits say that nobody has answered; but that nobody has opened it for C on
/// 21 February, which is opened on the 24th.
const UNOPENED: (&str, u64, &str) = ("02-21", 50, "C");

/// Node, period, indicator, whose office, kind, numerator, denominator.
type Expected = (&'static str, &'static str, &'static str, &'static str, &'static str, u64, u64);
const INDICATORS: &[Expected] = &[
    // The month of February closes on the 20th. A, C, F and G were opened within five days, but for C.
    (ORIGIN, "2026-02", "OPENING", ORIGIN, "CertificateInquiry", 3, 4),
    (ORIGIN, "2026-02", "OPENING", ORIGIN, "ArrivalNotice", 1, 1),
    // One person was found for A and C; F had moved, and nobody looked for G.
    (ORIGIN, "2026-02", "PAIRING", ORIGIN, "CertificateInquiry", 2, 4),
    (ORIGIN, "2026-02", "PAIRING", ORIGIN, "BirthRegistrationInquiry", 1, 1),
    (ORIGIN, "2026-02", "PAIRING", ORIGIN, "ArrivalNotice", 0, 1),
    // Only the clock of A ended in it, and A was answered in time.
    (ORIGIN, "2026-02", "FEEDBACK", ORIGIN, "CertificateInquiry", 1, 1),
    (ORIGIN, "2026-02", "TIMELINESS", ORIGIN, "CertificateInquiry", 1, 1),
    (RESIDENCE, "2026-02", "RECEPTION", ORIGIN, "CertificateInquiry", 4, 4),
    (RESIDENCE, "2026-02", "RECEPTION", ORIGIN, "BirthRegistrationInquiry", 1, 1),
    (RESIDENCE, "2026-02", "GAP", ORIGIN, "CertificateInquiry", 0, 4),
    // C was answered, a day late; G was taken back, F answered by another office; B and D came in time.
    (RESIDENCE, "2026-03", "FEEDBACK", ORIGIN, "CertificateInquiry", 1, 1),
    (RESIDENCE, "2026-03", "TIMELINESS", ORIGIN, "CertificateInquiry", 0, 1),
    (RESIDENCE, "2026-03", "FEEDBACK", ORIGIN, "ArrivalNotice", 1, 1),
    (RESIDENCE, "2026-03", "TIMELINESS", ORIGIN, "ArrivalNotice", 1, 1),
    (RESIDENCE, "2026-03", "TIMELINESS", ORIGIN, "BirthRegistrationInquiry", 1, 1),
    // A in time and C late, in the quarter and in the statistical year.
    (RESIDENCE, "2026-Q1", "TIMELINESS", ORIGIN, "CertificateInquiry", 1, 2),
    (RESIDENCE, "2026", "TIMELINESS", ORIGIN, "CertificateInquiry", 1, 2),
];

/// The clock that all processes of the test share.
struct Clock {
    file: PathBuf,
    library: String,
}

impl Clock {
    fn new(network: &Network) -> Self {
        let find = "ls /usr/lib/*/faketime/libfaketimeMT.so.1 | head -n 1";
        let found = Command::new("sh").args(["-c", find]).output().unwrap().stdout;
        let library = String::from_utf8(found).unwrap().trim().to_owned();
        assert!(!library.is_empty(), "the tests need libfaketime: .ci/test installs it");
        Self { file: network.path("clock"), library }
    }

    /// From now on it is that time, and goes on from there.
    fn set(&self, at: UnixMillis) {
        let apart = i128::from(at.get()) - i128::from(now().get());
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, format!("{:+}\n", apart / 1_000)).unwrap();
        std::fs::rename(&beside, &self.file).unwrap();
    }

    fn environment(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Ten o'clock in China.
fn morning(day: &str) -> UnixMillis {
    let date: Date = format!("2026-{day}").parse().unwrap();
    date.begins().saturating_add(std::time::Duration::from_secs(10 * 3_600))
}

fn certificate(number: u32) -> CertificateNumber {
    CertificateNumber::new(area(ORIGIN), 2025, number).unwrap()
}

struct World {
    network: Network,
    clock: Clock,
    nodes: Vec<Node>,
    clerks: BTreeMap<&'static str, ConnectArgs>,
    supervisors: BTreeMap<&'static str, ConnectArgs>,
    cases: BTreeMap<&'static str, String>,
    today: &'static str,
}

impl World {
    fn new() -> Self {
        let first = morning("02-09");
        let network = Network::starting(first);
        let clock = Clock::new(&network);
        clock.set(first);
        let all = [RESIDENCE, ORIGIN, THIRD];
        let mut nodes = Vec::new();
        for own in all {
            let others: Vec<_> = all.iter().copied().filter(|other| *other != own).collect();
            let mut node = network.node(own, &others);
            node.environment = clock.environment();
            // Who has opened what is told at once.
            node.configure(|text| text.replace("progress_every_s = 3600", "progress_every_s = 1"));
            node.start();
            nodes.push(node);
        }
        let operators = |role| -> BTreeMap<&'static str, ConnectArgs> {
            all.map(|own| (own, network.operator("alice", own, role))).into()
        };
        let (clerks, supervisors) = (operators(Role::Clerk), operators(Role::Supervisor));
        let cases = BTreeMap::new();
        Self { network, clock, nodes, clerks, supervisors, cases, today: "02-09" }
    }

    /// The next day begins, with new revocation lists, as every day.
    fn begin(&mut self, day: &'static str) {
        self.today = day;
        self.clock.set(morning(day));
        self.network.set(morning(day));
        self.network.publish_lists();
        for (node, kind) in [(ORIGIN, "TO_ANSWER"), (RESIDENCE, "NOT_ANSWERED")] {
            let due = REMINDERS.iter().filter(|(on, ..)| *on == day).copied();
            let expected: Vec<_> = due.map(|it| (kind_of(kind, it), it)).collect();
            if !expected.is_empty() {
                eventually(&format!("the reminders of {day}"), || {
                    let found = self.reminders(node);
                    expected.iter().all(|it| found.contains(it)).then_some(())
                });
            }
        }
    }

    fn type_as(&self, who: &ConnectArgs, line: &str) -> (i32, String, String) {
        let path = |path: &Option<PathBuf>| path.as_ref().unwrap().display().to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_liangdi"))
            .args(line.split_whitespace())
            .args(["--json", "--office", who.office.as_ref().unwrap()])
            .args(["--cert", &path(&who.cert), "--key", &path(&who.key)])
            .args(["--root", &path(&who.root)])
            .envs(self.clock.environment())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// A clerk types a command that has to work, as soon as the other county's card is here.
    fn clerk(&self, at: &str, line: &str) -> Value {
        eventually("the other county is known", || {
            let (exit, out, err) = self.type_as(&self.clerks[at], line);
            if err.contains("PEER_CARD_MISSING") {
                return None;
            }
            assert_eq!(exit, 0, "{} {at}: {line}\n{out}{err}", self.today);
            Some(serde_json::from_str(&out).unwrap())
        })
    }

    fn look(&self, at: &str, case: &str) -> Option<Value> {
        let line = format!("case show {}", self.cases[case]);
        let (exit, out, _) = self.type_as(&self.clerks[at], &line);
        (exit == 0).then(|| serde_json::from_str(&out).unwrap())
    }

    /// Waits until the case stands so at this node, and gives it back.
    fn reaches(&self, at: &str, case: &str, stage: &str) -> Value {
        eventually(&format!("{case} is {stage} at {at} on {}", self.today), || {
            self.look(at, case).filter(|shown| shown["stage"] == stage)
        })
    }

    fn due(&self, at: &[&str], case: &str, stage: &str, due: &str) {
        for at in at {
            let shown = self.reaches(at, case, stage);
            assert_eq!(shown["due_on"], due, "{case} at {at} on {}", self.today);
        }
    }

    /// The residence asks; both sides work out the same day.
    fn ask(&mut self, case: &'static str, fields: &str) {
        let asked = ASKED.iter().find(|(name, ..)| *name == case).unwrap();
        let (_, day, kind, due) = *asked;
        assert_eq!(day, self.today, "the table says when it is asked");
        let seed = u64::from(case.as_bytes()[0]);
        let person = office::arrival(seed, ORIGIN, RESIDENCE).person.unwrap();
        let (number, name) = (person.document.unwrap().number, person.name);
        let line = format!(
            "message send {kind} --to {ORIGIN} --document {number} --name {name} --basis statutory-duty {fields}"
        );
        let sent = self.clerk(RESIDENCE, &line);
        self.cases.insert(case, sent["case_id"].as_str().unwrap().to_owned());
        self.due(&[ORIGIN, RESIDENCE], case, "ASKED", due);
    }

    fn certificate(&mut self, case: &'static str, number: u32) {
        let fields = format!(
            "--purpose certificate --set certificate_number={} --set claims=validity",
            certificate(number)
        );
        self.ask(case, &fields);
    }

    fn step(&self, at: &str, case: &str, step: &str) {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let line = self.by_the_page(at, case, &format!("case {verb}"));
        self.clerk(at, &format!("{line} {rest}"));
    }

    /// A step as a clerk types it who has the page before her.
    fn by_the_page(&self, at: &str, case: &str, verb: &str) -> String {
        let page = self.look(at, case).unwrap();
        format!("{verb} {} --seen-version {}", self.cases[case], page["version"])
    }

    fn open(&self, at: &str, case: &str) {
        let purpose = match ASKED.iter().find(|(name, ..)| *name == case).unwrap().2 {
            "ArrivalNotice" => "residence-registration",
            "BirthRegistrationInquiry" => "birth-registration",
            _ => "certificate",
        };
        let access = format!("--basis statutory-duty --purpose {purpose}");
        self.clerk(at, &format!("message show {} {access}", self.cases[case]));
        eventually("the office that waits knows that it was opened", || {
            let track = self.clerk(RESIDENCE, &format!("message track {}", self.cases[case]));
            track["opened_ms"].as_u64().filter(|at| *at > 0)
        });
    }

    /// The state's own answer to a certificate that was asked about.
    fn answer_certificate(&self, at: &str, case: &str, number: u32) {
        let number = certificate(number);
        let set = format!(
            "--set certificate_number={number} --set state=valid --set valid_until=2028-06-30"
        );
        self.step(at, case, &format!("answer {set}"));
        self.reaches(RESIDENCE, case, "ANSWERED");
    }

    /// What waits for this office, earliest due first, by the names of the tables.
    fn todo(&self, at: &str) -> Vec<&'static str> {
        let listed = self.clerk(at, "case list");
        let name = |id: &Value| {
            self.cases.iter().find(|(_, case)| *id == case.as_str()).map(|(name, _)| *name)
        };
        listed["cases"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|case| name(&case["case_id"]))
            .collect()
    }

    /// Reminders of this office about a clock: which, on which day, how much of it, for which case.
    fn reminders(&self, at: &str) -> Vec<(&'static str, (&'static str, u64, &'static str))> {
        let (_, out, _) = self.type_as(&self.clerks[at], "notice list --all --limit 500");
        let listed: Value = serde_json::from_str(&out).unwrap();
        let kinds = ["TO_ANSWER", "NOT_ANSWERED", "NOT_OPENED", "NOT_DELIVERED"];
        let mut found = Vec::new();
        for notice in listed["notices"].as_array().unwrap() {
            let Some(kind) = kinds.into_iter().find(|kind| notice["kind"] == *kind) else {
                continue;
            };
            let day = UnixMillis::new(notice["at_ms"].as_u64().unwrap()).date().to_string();
            let day: &'static str = day[5..].to_owned().leak();
            let percent = notice["percent"].as_u64().unwrap();
            for id in notice["message_ids"].as_array().unwrap() {
                let case = self.cases.iter().find(|(_, case)| *id == case.as_str());
                let case = case.map_or("another", |(name, _)| *name);
                found.push((kind, (day, percent, case)));
            }
        }
        found.sort_unstable();
        found
    }

    fn indicator(&self, (node, period, indicator, of, kind, ..): Expected) -> (u64, u64) {
        let line = format!("indicator show {period}");
        let (exit, out, err) = self.type_as(&self.supervisors[node], &line);
        assert_eq!(exit, 0, "{line}: {err}");
        let shown: Value = serde_json::from_str(&out).unwrap();
        let number = shown["indicators"].as_array().unwrap().iter().find(|number| {
            number["indicator"] == indicator
                && number["area"] == of
                && number["message_kind"] == kind
        });
        let number = number.unwrap_or_else(|| panic!("{indicator} {kind} {period}: {shown}"));
        (number["numerator"].as_u64().unwrap(), number["denominator"].as_u64().unwrap())
    }
}

/// The reminder at the office that waits is of another kind where nobody has opened the message.
fn kind_of(kind: &'static str, it: (&'static str, u64, &'static str)) -> &'static str {
    if kind == "NOT_ANSWERED" && it == UNOPENED { "NOT_OPENED" } else { kind }
}

#[test]
fn twenty_days_come_out_as_worked_out_by_hand() {
    let mut world = World::new();
    before_the_festival(&mut world);
    festival(&mut world);
    after_the_festival(&mut world);

    for (node, kind) in [(ORIGIN, "TO_ANSWER"), (RESIDENCE, "NOT_ANSWERED")] {
        let mut expected: Vec<_> = REMINDERS.iter().map(|it| (kind_of(kind, *it), *it)).collect();
        expected.sort_unstable();
        assert_eq!(world.reminders(node), expected, "reminders at {node}, and no others");
    }
    for expected in INDICATORS {
        let counts = (expected.5, expected.6);
        assert_eq!(world.indicator(*expected), counts, "{expected:?}");
    }
    world.nodes.iter().for_each(Node::never_panicked);
}

fn before_the_festival(world: &mut World) {
    world.certificate("A", 1);
    let registration = "01900000-0000-7000-8000-000000000001";
    world.ask(
        "B",
        &format!("--purpose residence-registration --set registration_id={registration} --set arrived_on=2026-02-06"),
    );
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

    world.begin("02-11");
    world.certificate("F", 2);
    assert_eq!(world.todo(ORIGIN), ["A", "F", "D", "B"], "earliest due first");

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

    world.begin("02-13");
    world.certificate("C", 4);
    world.answer_certificate(ORIGIN, "A", 1);
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

    world.begin("02-14");
    world.step(RESIDENCE, "A", "close");
    world.reaches(ORIGIN, "A", "CLOSED");
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
    assert_eq!(world.todo(ORIGIN), ["G", "C", "B"]);
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
}

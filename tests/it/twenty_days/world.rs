//! The nodes, the operators and the clock of the twenty days, and what clerks type.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use domain::access::Role;
use domain::id::CertificateNumber;
use domain::time::{Date, UnixMillis};
use liangdi::cli::connect::ConnectArgs;
use serde_json::Value;

use super::{ASKED, Expected, ORIGIN, RESIDENCE, Reminder, THIRD, TOLD};
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{area, eventually, now, office};

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

/// A made-up person, one for each letter, as she is named on a command line.
pub fn person(letter: &str) -> String {
    let seed = u64::from(letter.as_bytes()[0]);
    let person = office::arrival(seed, ORIGIN, RESIDENCE).person.unwrap();
    format!("--document {} --name {}", person.document.unwrap().number, person.name)
}

pub fn certificate(number: u32) -> CertificateNumber {
    CertificateNumber::new(area(ORIGIN), 2025, number).unwrap()
}

pub struct World {
    pub network: Network,
    clock: Clock,
    pub nodes: Vec<Node>,
    pub clerks: BTreeMap<&'static str, ConnectArgs>,
    supervisors: BTreeMap<&'static str, ConnectArgs>,
    pub cases: BTreeMap<&'static str, String>,
    today: &'static str,
}

impl World {
    pub fn new() -> Self {
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
    pub fn begin(&mut self, day: &'static str) {
        self.today = day;
        self.clock.set(morning(day));
        self.network.set(morning(day));
        self.network.publish_lists();
        for (node, kind, reminders) in TOLD {
            let due = reminders.iter().filter(|(on, ..)| on == &day);
            let expected: Vec<_> = due.map(|it| (*kind, *it)).collect();
            if !expected.is_empty() {
                eventually(&format!("the reminders of {day}"), || {
                    let found = self.reminders(node);
                    expected.iter().all(|it| found.contains(it)).then_some(())
                });
            }
        }
    }

    pub fn type_as(&self, who: &ConnectArgs, line: &str) -> (i32, String, String) {
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
    pub fn clerk(&self, at: &str, line: &str) -> Value {
        eventually("the other county is known", || {
            let (exit, out, err) = self.type_as(&self.clerks[at], line);
            if err.contains("PEER_CARD_MISSING") {
                return None;
            }
            assert_eq!(exit, 0, "{} {at}: {line}\n{out}{err}", self.today);
            Some(serde_json::from_str(&out).unwrap())
        })
    }

    /// A supervisor types a command that has to work.
    pub fn supervisor(&self, at: &str, line: &str) -> Value {
        let (exit, out, err) = self.type_as(&self.supervisors[at], line);
        assert_eq!(exit, 0, "{} {at}: {line}\n{out}{err}", self.today);
        serde_json::from_str(&out).unwrap()
    }

    /// Somebody comes to live at the residence; the id of her registration.
    pub fn arrives(&self, letter: &str, more: &str) -> String {
        let line = format!(
            "registration arrive {} --origin {ORIGIN} --residence {RESIDENCE}001 --arrived-on 2026-02-06 {more}",
            person(letter)
        );
        let arrived = self.clerk(RESIDENCE, &line);
        arrived["registration"]["registration_id"].as_str().unwrap().to_owned()
    }

    /// Somebody applies for a certificate at the origin.
    pub fn applies(&self, letter: &str) {
        let service = format!("--service certificate --recipient {ORIGIN}");
        self.clerk(ORIGIN, &format!("request record {} {service}", person(letter)));
    }

    /// She is given one: its number, and its code in a file.
    pub fn is_given(&self, letter: &str) -> (String, String) {
        let line = format!("certificate issue {} --marital-status never-married", person(letter));
        let issued = self.clerk(ORIGIN, &line);
        let code = self.network.path(&format!("{letter}.code"));
        std::fs::write(&code, issued["credential"].as_str().unwrap()).unwrap();
        let number = issued["certificate"]["certificate_number"].as_str().unwrap().to_owned();
        (number, code.display().to_string())
    }

    pub fn look(&self, at: &str, case: &str) -> Option<Value> {
        let line = format!("case show {}", self.cases[case]);
        let (exit, out, _) = self.type_as(&self.clerks[at], &line);
        (exit == 0).then(|| serde_json::from_str(&out).unwrap())
    }

    /// Waits until the case stands so at this node, and gives it back.
    pub fn reaches(&self, at: &str, case: &str, stage: &str) -> Value {
        eventually(&format!("{case} is {stage} at {at} on {}", self.today), || {
            self.look(at, case).filter(|shown| shown["stage"] == stage)
        })
    }

    pub fn due(&self, at: &[&str], case: &str, stage: &str, due: &str) {
        for at in at {
            let shown = self.reaches(at, case, stage);
            assert_eq!(shown["due_on"], due, "{case} at {at} on {}", self.today);
        }
    }

    /// The residence asks; both sides work out the same day.
    pub fn ask(&mut self, case: &'static str, fields: &str) {
        let asked = ASKED.iter().find(|(name, ..)| *name == case).unwrap();
        let (_, day, kind, due) = *asked;
        assert_eq!(day, self.today, "the table says when it is asked");
        let line = format!(
            "message send {kind} --to {ORIGIN} {} --basis statutory-duty {fields}",
            person(case)
        );
        let sent = self.clerk(RESIDENCE, &line);
        self.cases.insert(case, sent["case_id"].as_str().unwrap().to_owned());
        self.due(&[ORIGIN, RESIDENCE], case, "ASKED", due);
    }

    pub fn certificate(&mut self, case: &'static str, number: u32) {
        let fields = format!(
            "--purpose certificate --set certificate_number={} --set claims=validity",
            certificate(number)
        );
        self.ask(case, &fields);
    }

    pub fn step(&self, at: &str, case: &str, step: &str) {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let line = self.by_the_page(at, case, &format!("case {verb}"));
        self.clerk(at, &format!("{line} {rest}"));
    }

    /// A step as a clerk types it who has the page before her.
    pub fn by_the_page(&self, at: &str, case: &str, verb: &str) -> String {
        let page = self.look(at, case).unwrap();
        format!("{verb} {} --seen-version {}", self.cases[case], page["version"])
    }

    pub fn open(&self, at: &str, case: &str) {
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
    pub fn answer_certificate(&self, at: &str, case: &str, number: u32) {
        let number = certificate(number);
        let set = format!(
            "--set certificate_number={number} --set state=valid --set valid_until=2028-06-30"
        );
        self.step(at, case, &format!("answer {set}"));
        self.reaches(RESIDENCE, case, "ANSWERED");
    }

    /// What waits for this office, earliest due first, by the names of the tables.
    pub fn todo(&self, at: &str) -> Vec<&'static str> {
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
    pub fn reminders(&self, at: &str) -> Vec<(&'static str, Reminder)> {
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

    pub fn indicator(
        &self,
        (node, period, indicator, of, kind, ..): Expected,
    ) -> Option<(u64, u64)> {
        let shown = self.supervisor(node, &format!("indicator show {period}"));
        let number = shown["indicators"].as_array().unwrap().iter().find(|number| {
            number["indicator"] == indicator
                && number["area"] == of
                && number["message_kind"] == kind
        });
        let count = |field: &str| number?[field].as_u64();
        count("numerator").zip(count("denominator"))
    }
}
